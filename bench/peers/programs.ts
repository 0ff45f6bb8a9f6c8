import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureJars, kafkaVersion } from '../../src/dev/kafka/jars.ts'
import { findJava, runProgram } from '../../src/dev/kafka/java.ts'
import { watchProcess } from '../proc.ts'
import type { PeerRun } from '../readers.ts'

/** A program to be run with the arguments that all peers take; `env` beside the one of this process. */
export type Program = { readonly file: string; readonly args: readonly string[]; readonly env?: NodeJS.ProcessEnv }

const PROJECT = join(import.meta.dirname, '..', '..')
const CACHE = join(PROJECT, '.cache')
const WATCH_MS = 100
const LIMIT_MS = 600_000
/** As in `kafka-run-class.sh`, and what both libraries need on newer Javas. */
const JVM_FLAGS = [
  '-Xmx1g',
  '-XX:+UseG1GC',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '--add-opens=java.base/java.util=ALL-UNNAMED',
  '--add-opens=java.base/java.lang=ALL-UNNAMED',
]

/** A main class of bench/peers/streams, compiled at its first use. */
export async function streamsProgram(mainClass: string): Promise<Program> {
  const version = kafkaVersion(await readFile(join(PROJECT, 'src', 'dev', 'kafka', 'pom.xml'), 'utf8'))
  return await javaProgram('streams', version, { 'kafka.version': version }, mainClass)
}

/** The program of bench/peers/flink. */
export async function flinkProgram(): Promise<Program> {
  const pom = await readFile(join(import.meta.dirname, 'flink', 'pom.xml'), 'utf8')
  const version = /<flink\.version>([\w.-]+)</.exec(pom)?.[1] ?? 'unknown'
  return await javaProgram('flink', version, {}, 'FlinkCounts')
}

async function javaProgram(
  folder: 'streams' | 'flink',
  version: string,
  properties: Readonly<Record<string, string>>,
  mainClass: string,
): Promise<Program> {
  const sources = join(import.meta.dirname, folder)
  const set = { pomFile: join(sources, 'pom.xml'), folderName: `${folder}-${version}`, purpose: folder, properties }
  const jars = join(await ensureJars(set), '*')
  const classes = await compile(sources, jars, join(CACHE, `${folder}-classes`))
  return { file: await findJava(), args: [...JVM_FLAGS, '-cp', `${classes}:${jars}`, mainClass] }
}

/** @returns the folder with the classes, named by what the sources say: another text is compiled anew */
async function compile(sourceFolder: string, jars: string, classesBase: string): Promise<string> {
  const files = (await readdir(sourceFolder))
    .filter(name => name.endsWith('.java'))
    .map(name => join(sourceFolder, name))
  const texts = await Promise.all(files.map(file => readFile(file)))
  const classes = `${classesBase}-${hashOf(texts)}`
  if (await exists(classes)) return classes
  const fresh = `${classes}.fresh-${process.pid}`
  await mkdir(fresh, { recursive: true })
  const java = await findJava()
  const { code, text } = await runProgram(java.replace(/java$/, 'javac'), ['-d', fresh, '-cp', jars, ...files])
  if (code !== 0) {
    await rm(fresh, { recursive: true, force: true })
    throw new Error(`javac (a JDK is needed, not only a JRE) failed with ${code}:\n${text}`)
  }
  await rename(fresh, classes)
  return classes
}

/** A Python program of bench/peers/python, in an environment of its own that pip fills at its first use. */
export async function pythonProgram(file: string): Promise<Program> {
  const folder = join(import.meta.dirname, 'python')
  const requirements = join(folder, 'requirements.txt')
  const venv = join(CACHE, `bench-python-${hashOf([await readFile(requirements)])}`)
  if (!(await exists(join(venv, 'ready')))) {
    await must('python3', ['-m', 'venv', '--clear', venv])
    await must(join(venv, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', '-r', requirements])
    await mkdir(join(venv, 'ready'))
  }
  return { file: join(venv, 'bin', 'python'), args: [join(folder, file)], env: { PYTHONDONTWRITEBYTECODE: '1' } }
}

async function must(program: string, args: readonly string[]): Promise<void> {
  const { code, text } = await runProgram(program, args)
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed with ${code}:\n${text.trim()}`)
}

/** Runs a program to its end; the last line that it prints is its report. @throws Error with what it said when it fails */
export async function runPeer(program: Program, args: readonly string[]): Promise<PeerRun> {
  const child = spawn(program.file, [...program.args, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...program.env },
  })
  const killOnExit = () => child.kill('SIGKILL')
  process.once('exit', killOnExit)
  const watch = watchProcess(child.pid ?? -1, WATCH_MS)
  const limit = setTimeout(killOnExit, LIMIT_MS)
  let output = ''
  let errors = ''
  child.stdout.on('data', chunk => {
    output += chunk
  })
  child.stderr.on('data', chunk => {
    errors = `${errors}${chunk}`.slice(-4_000)
  })
  try {
    const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
    if (code !== 0) throw new Error(`${program.args.at(-1)} ended with ${code}:\n${errors}`)
  } finally {
    clearTimeout(limit)
    process.off('exit', killOnExit)
    watch.stop()
  }
  const line = output.trim().split('\n').at(-1) ?? ''
  const { events, seconds, cpuSeconds } = JSON.parse(line) as PeerRun
  return { events, seconds, cpuSeconds, peakBytes: watch.stop().at(-1)?.peakBytes ?? Number.NaN }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}

function hashOf(texts: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text)
  return hash.digest('hex').slice(0, 12)
}
