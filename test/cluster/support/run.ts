import { type ChildProcess, spawn } from 'node:child_process'

export type Ran = {
  /** The exit code; -1 when a signal or the time limit ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

export type RunOptions = {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** What it reads. */
  readonly input?: string
  /** After so many milliseconds it is ended; a minute by default. */
  readonly limitMs?: number
  /** Lets what it prints be seen at once, on stderr; then `stdout` holds no less. */
  readonly shown?: boolean
}

const DEFAULT_LIMIT_MS = 60_000
const LAST_WORDS = 4_000

const alive = new Set<ChildProcess>()
// Whatever way this process ends, none of what it has started is left behind.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** Runs a program to its end. Rejects only when it cannot be started. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const startedAt = performance.now()
  const child = spawn(program, args, {
    env: options.env ?? process.env,
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  alive.add(child)
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
      if (options.shown) process.stderr.write(text)
    })
  }
  // A program that ends without reading all is no failure by itself.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const timer = setTimeout(() => child.kill('SIGKILL'), options.limitMs ?? DEFAULT_LIMIT_MS)
  return new Promise((resolve, reject) => {
    const ended = () => {
      clearTimeout(timer)
      alive.delete(child)
    }
    child.once('error', error => {
      ended()
      reject(error)
    })
    child.once('close', code => {
      ended()
      resolve({ code: code ?? -1, ...texts, seconds: (performance.now() - startedAt) / 1000 })
    })
  })
}

/** @returns what it printed to stdout @throws Error with its last words when it did not exit with 0 */
export async function must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(program, args, options)
  if (ran.code === 0) return ran.stdout
  const what = [program, ...args].join(' ').slice(0, 200)
  const words = `${ran.stderr}${ran.stderr === '' ? ran.stdout : ''}`.trim().slice(-LAST_WORDS)
  throw new Error(`${what}: exit ${ran.code} after ${ran.seconds.toFixed(0)} s: ${words}`)
}

export type Background = {
  readonly running: boolean
  /** SIGTERM, and after 5 s SIGKILL; resolves when it has ended. */
  end(): Promise<void>
}

/** Starts a program that runs until it is ended. What it prints goes to `onText`. */
export function background(
  program: string,
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly onText: (text: string) => void },
): Background {
  const child = spawn(program, args, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'] })
  alive.add(child)
  let running = true
  const exited = new Promise<void>(resolve => {
    const ended = () => {
      running = false
      alive.delete(child)
      resolve()
    }
    child.once('error', ended)
    child.once('close', ended)
  })
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', options.onText)
  return {
    get running() {
      return running
    },
    async end() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await exited
      clearTimeout(timer)
    },
  }
}
