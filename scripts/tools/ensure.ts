import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lockFolder } from '../../src/dev/folderLock.ts'
import { isProcessAlive } from '../../src/dev/kafka/process.ts'
import { sourceFolder, type Tool, type ToolName, toolOf } from './catalogue.ts'
import { runGo } from './go.ts'

const CACHE_FOLDER = join(import.meta.dirname, '..', '..', '.cache')
const BUILD_TIMEOUT_MS = 30 * 60_000
const LOCK_WAIT_MS = 45 * 60_000
const FRESH = '.building-'

/** Written beside the program, last: what it was made from, and its size. */
type Marker = { readonly recipe: string; readonly size: number }

export type EnsureOptions = {
  /** Where `tools` is kept; by default `.cache` of the project. */
  readonly cacheFolder?: string
  /** Told what happens and how long it takes; by default standard error. */
  readonly say?: (line: string) => void
}

/**
 * The path of a program, `<cache>/tools/<name>-<version>/<name>`. It is built from its pinned Go modules when it is absent,
 * cut off, or made from other modules; `<cache>/tools/bin` holds a link to each program built, for PATH. Two processes that
 * do so at once wait for each other.
 *
 * @throws TidemarkError 'unreachable' when Go is missing or fails
 */
export async function ensureTool(name: ToolName, options: EnsureOptions = {}): Promise<string> {
  const folder = toolsFolder(options)
  const tool = toolOf(name)
  const recipe = await recipeOf(tool)
  const home = join(folder, `${name}-${tool.version}`)
  if (!(await isWhole(home, tool, recipe))) {
    await mkdir(folder, { recursive: true })
    // One lock for all: a build uses every core, and most programs share most of their packages.
    const unlock = await lockFolder(join(folder, 'build.lock'), LOCK_WAIT_MS)
    try {
      // Another process may have done it while this one waited for the lock.
      if (!(await isWhole(home, tool, recipe))) await build(tool, recipe, home, options)
    } finally {
      await unlock()
    }
  }
  await link(folder, tool)
  return join(home, name)
}

/** Several programs, one after the other. @returns the folder for PATH that holds them all */
export async function ensureTools(names: readonly ToolName[], options: EnsureOptions = {}): Promise<string> {
  for (const name of names) await ensureTool(name, options)
  return join(toolsFolder(options), 'bin')
}

function toolsFolder(options: EnsureOptions): string {
  return join(options.cacheFolder ?? CACHE_FOLDER, 'tools')
}

/** A hash of everything that decides what comes out of a build, but for the Go that builds it. */
async function recipeOf(tool: Tool): Promise<string> {
  const folder = sourceFolder(tool.folder)
  const hash = createHash('sha256').update(JSON.stringify([tool.package, linkerFlags(tool)]))
  for (const file of (await readdir(folder)).sort()) hash.update(file).update(await readFile(join(folder, file)))
  return hash.digest('hex')
}

async function isWhole(home: string, tool: Tool, recipe: string): Promise<boolean> {
  try {
    const marker = JSON.parse(await readFile(join(home, 'built.json'), 'utf8')) as Marker
    return marker.recipe === recipe && (await stat(join(home, tool.name))).size === marker.size
  } catch {
    // Absent, cut off, unreadable: the answer to each is to build anew.
    return false
  }
}

/** Builds in a folder of another name and renames it at the end, so that a half-written program is never used. */
async function build(tool: Tool, recipe: string, home: string, options: EnsureOptions): Promise<void> {
  const say = options.say ?? console.error
  const folder = toolsFolder(options)
  await removeLeftovers(folder)
  const fresh = `${home}${FRESH}${process.pid}`
  const program = join(fresh, tool.name)
  const startedAt = performance.now()
  say(
    `building ${tool.name} ${tool.version} from its Go modules into ${home}: once, a minute or less when Go's caches are warm, about ${Math.ceil(tool.coldSeconds / 60)} min on two cores when they are empty`,
  )
  try {
    await mkdir(fresh, { recursive: true })
    await runGo(tool.folder, ['build', '-ldflags', linkerFlags(tool), '-o', program, tool.package], BUILD_TIMEOUT_MS)
    const marker: Marker = { recipe, size: (await stat(program)).size }
    await writeFile(join(fresh, 'built.json'), `${JSON.stringify(marker, null, 2)}\n`)
    await rm(home, { recursive: true, force: true })
    await rename(fresh, home)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
  say(`built ${tool.name} ${tool.version} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
}

function linkerFlags(tool: Tool): string {
  const variables = Object.entries(tool.variables(tool.version)).map(([name, value]) => `-X ${name}=${value}`)
  return ['-s', '-w', ...variables].join(' ')
}

/** What processes left behind that died while building. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = Number(name.split(FRESH)[1] ?? 0)
    if (pid > 0 && !isProcessAlive(pid)) await rm(join(folder, name), { recursive: true, force: true })
  }
}

/** Puts the program of this version into the folder for PATH; by a rename, since others may be using the old link. */
async function link(folder: string, tool: Tool): Promise<void> {
  const bin = join(folder, 'bin')
  await mkdir(bin, { recursive: true })
  const fresh = join(bin, `.${tool.name}-${process.pid}`)
  await rm(fresh, { force: true })
  await symlink(join('..', `${tool.name}-${tool.version}`, tool.name), fresh)
  await rename(fresh, join(bin, tool.name))
}
