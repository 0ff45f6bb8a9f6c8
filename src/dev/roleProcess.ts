import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { extname, join } from 'node:path'
import { createInterface } from 'node:readline'

/** Beside this file, in the form that it has itself: the image holds plain JavaScript. */
const MAIN = join(import.meta.dirname, '..', `main${extname(import.meta.filename)}`)

/** As in package.json: V8 lets its young generation grow with the machine's memory, to 128 MiB where 8 do. */
const NODE_FLAGS = ['--max-semi-space-size=8']

/** As there: glibc has an arena for each thread otherwise, of which none gives back to another what it has no use for. */
const NODE_ENVIRONMENT = { MALLOC_ARENA_MAX: '2' }

export type RoleLine = { readonly event?: string; readonly [field: string]: unknown }

/** A role of Tidemark in a process of its own, as a user starts it. */
export type RoleProcess = {
  readonly name: string
  readonly pid: number
  /** Resolves with the exit code, or -1 when a signal ended the process. */
  readonly exited: Promise<number>
  /** True until the process has ended. */
  readonly running: boolean
  kill(signal: NodeJS.Signals): void
  /** Resolves with the first log line, of those to come, that the test holds for; rejects when the process ends before. */
  line(test: (line: RoleLine) => boolean): Promise<RoleLine>
}

export type RoleOptions = {
  /** Arguments of the CLI, as ['aggregate']. */
  readonly args: readonly string[]
  readonly name: string
  readonly env: NodeJS.ProcessEnv
  /** Where all that it prints is kept. */
  readonly logFile: string
  readonly onLine?: (line: RoleLine) => void
}

const alive = new Set<ChildProcess>()
// Whatever way this process ends, none of its roles is left behind.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** Starts `tidemark <args>` with this Node. */
export function startRole(options: RoleOptions): RoleProcess {
  const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, ...options.args], {
    // Several roles on one machine: the default port would be free for the first alone.
    env: { HTTP_PORT: '0', ...NODE_ENVIRONMENT, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  alive.add(child)
  let running = true
  const listeners = new Set<(line: RoleLine | null) => void>()
  const file = createWriteStream(options.logFile, { flags: 'a' })
  child.stderr.pipe(file, { end: false })
  child.stdout.pipe(file, { end: false })
  createInterface({ input: child.stdout }).on('line', text => {
    const line = parseLine(text)
    options.onLine?.(line)
    for (const listener of listeners) listener(line)
  })
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      running = false
      alive.delete(child)
      file.end()
      for (const listener of listeners) listener(null)
      resolve(code ?? -1)
    })
  })
  return {
    name: options.name,
    pid: child.pid ?? -1,
    exited,
    get running() {
      return running
    },
    kill: signal => void child.kill(signal),
    line: test =>
      new Promise((resolve, reject) => {
        const listener = (line: RoleLine | null) => {
          if (line !== null && !test(line)) return
          listeners.delete(listener)
          if (line === null) reject(new Error(`${options.name} ended before the line came; see ${options.logFile}`))
          else resolve(line)
        }
        listeners.add(listener)
      }),
  }
}

function parseLine(text: string): RoleLine {
  try {
    const line = JSON.parse(text)
    return typeof line === 'object' && line !== null ? line : {}
  } catch {
    return {}
  }
}
