import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { TidemarkError } from '../../errors.ts'
import { lockFolder } from '../folderLock.ts'
import { missing, runProgram } from './java.ts'
import { isProcessAlive } from './process.ts'

const POM_FILE = join(import.meta.dirname, 'pom.xml')
const PROJECT_FOLDER = join(import.meta.dirname, '..', '..', '..')
const LOCK_WAIT_MS = 10 * 60_000

/** The folder's own statement of what belongs into it, written last, before the folder gets its name. */
type Marker = {
  readonly pomSha256: string
  readonly jars: readonly { readonly name: string; readonly size: number; readonly sha256: string }[]
}

/** What a pom names, and where it is kept. */
export type JarSet = {
  readonly pomFile: string
  /** The folder in the cache; another one for each version. */
  readonly folderName: string
  /** What the jars are for, as it is said when they cannot be had. */
  readonly purpose: string
  /** Properties that the pom leaves open, by name. */
  readonly properties?: Readonly<Record<string, string>>
}

/**
 * The folder with Kafka's jars, `<cache>/kafka-<version>/jars`; see `ensureJars`.
 *
 * @param cacheFolder where to keep them; by default `.cache` of the project
 * @throws TidemarkError 'unreachable' when Maven is missing or fails
 */
export async function ensureKafkaJars(cacheFolder?: string): Promise<string> {
  const version = kafkaVersion(await readFile(POM_FILE, 'utf8'))
  const set = { pomFile: POM_FILE, folderName: `kafka-${version}`, purpose: 'the embedded Kafka broker' }
  return await ensureJars(set, cacheFolder)
}

/**
 * The folder with the jars that a pom names. They are fetched by Maven when the folder is absent, damaged (names and
 * sizes are compared at each call) or made from another pom; the first time that takes from 10 s to minutes. Two
 * processes that do so at once wait for each other.
 *
 * @param cacheFolder where to keep them; by default `.cache` of the project
 * @throws TidemarkError 'unreachable' when Maven is missing or fails
 */
export async function ensureJars(set: JarSet, cacheFolder: string = join(PROJECT_FOLDER, '.cache')): Promise<string> {
  const pomSha256 = sha256(await readFile(set.pomFile))
  const folder = join(cacheFolder, set.folderName)
  if (await isWhole(folder, pomSha256)) return join(folder, 'jars')
  await mkdir(cacheFolder, { recursive: true })
  const unlock = await lockFolder(`${folder}.lock`, LOCK_WAIT_MS)
  try {
    // Another process may have done it while this one waited for the lock.
    if (!(await isWhole(folder, pomSha256))) await fetchJars(set, folder, pomSha256)
  } finally {
    await unlock()
  }
  return join(folder, 'jars')
}

/** The version that the pom pins. */
export function kafkaVersion(pom: string): string {
  const version = /<kafka\.version>([\w.-]+)<\/kafka\.version>/.exec(pom)?.[1]
  if (version === undefined) throw new TypeError(`${POM_FILE} names no kafka.version`)
  return version
}

/** True when the folder holds what its marker says. Sizes only: this runs at each start of a broker. */
async function isWhole(folder: string, pomSha256: string): Promise<boolean> {
  try {
    const marker = JSON.parse(await readFile(join(folder, 'jars.json'), 'utf8')) as Marker
    if (marker.pomSha256 !== pomSha256) return false
    const sizes = await Promise.all(marker.jars.map(async jar => (await stat(join(folder, 'jars', jar.name))).size))
    return sizes.length > 0 && marker.jars.every((jar, index) => jar.size === sizes[index])
  } catch {
    // Absent, cut off, unreadable: the answer to each is to fetch the jars anew.
    return false
  }
}

/** Fetches into a folder of another name and renames it at the end, so that a half-filled one is never used. */
async function fetchJars(set: JarSet, folder: string, pomSha256: string): Promise<void> {
  await removeLeftovers(folder)
  const fresh = `${folder}.fetching-${process.pid}`
  const jarFolder = join(fresh, 'jars')
  await mkdir(jarFolder, { recursive: true })
  try {
    await runMaven(set, jarFolder)
    const names = (await readdir(jarFolder)).filter(name => name.endsWith('.jar')).sort()
    const jars = await Promise.all(names.map(async name => describeJar(jarFolder, name)))
    const marker: Marker = { pomSha256, jars }
    await writeFile(join(fresh, 'jars.json'), `${JSON.stringify(marker, null, 2)}\n`)
    await rm(folder, { recursive: true, force: true })
    await rename(fresh, folder)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

/** What processes left behind that died while fetching. */
async function removeLeftovers(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.fetching-`
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(prefix) || isProcessAlive(Number(name.slice(prefix.length)))) continue
    await rm(join(dirname(folder), name), { recursive: true, force: true })
  }
}

async function describeJar(folder: string, name: string): Promise<Marker['jars'][number]> {
  const bytes = await readFile(join(folder, name))
  return { name, size: bytes.length, sha256: sha256(bytes) }
}

/** `-C` makes Maven fail on a jar whose checksum is not the registry's. Tried twice: a download may just break off. */
async function runMaven({ pomFile, purpose, properties = {} }: JarSet, jarFolder: string): Promise<void> {
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${jarFolder}`, '-DincludeScope=runtime']
  const given = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`)
  const args = ['-q', '-B', '-C', '-f', pomFile, ...goal, ...given]
  let output = await runProgram('mvn', args)
  if (output.code === 'ENOENT') throw missing('Maven, once, to fetch its jars (`mvn` is not on PATH)')
  if (output.code !== 0) output = await runProgram('mvn', args)
  if (output.code === 0) return
  throw new TidemarkError(
    'unreachable',
    `Maven could not fetch the jars of ${purpose} (exit ${output.code}). It said:\n${output.text.trim().split('\n').slice(-15).join('\n')}`,
    { retriable: true },
  )
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
