import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { guard, hasExited } from '../../../src/dev/kafka/process.ts'

const KILL_TIMEOUT_MS = 10_000
const LOG_LINES = 20

/** A server process whose output goes into `<folder>/<program>.log`. */
export type Server = {
  readonly name: string
  /** False once it has ended, by itself or by `kill`. */
  isRunning(): boolean
  /** The last lines of its log. */
  lastLines(): string
  /** Ends it and waits until it has gone. */
  kill(): Promise<void>
}

/** Starts a server, which also ends when this process does, even by SIGKILL; its folder goes then, too. */
export function startServer(program: string, args: readonly string[], folder: string): Server {
  const name = basename(program)
  const logPath = join(folder, `${name}.log`)
  const log = openSync(logPath, 'w')
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', log, log] })
  closeSync(log)
  // A program that cannot be started shows as one that has ended.
  let failure = ''
  child.on('error', error => {
    failure = `${error.message}\n`
  })
  const endGuard = child.pid === undefined ? () => {} : guard(child.pid, folder)
  return {
    name,
    isRunning: () => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
    lastLines: () => failure + readFileSync(logPath, 'utf8').trim().split('\n').slice(-LOG_LINES).join('\n'),
    kill: async () => {
      child.kill('SIGKILL')
      if (child.pid !== undefined && !(await hasExited(child, KILL_TIMEOUT_MS))) {
        throw new Error(`${name} (process ${child.pid}) did not end within ${KILL_TIMEOUT_MS} ms`)
      }
      endGuard()
    },
  }
}

/** `status` is null when the program was ended by a signal, as after its time. */
export type Done = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

type RunOptions = {
  readonly input?: string | undefined
  readonly timeoutMs: number
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a program to its end. @throws Error when it cannot be started */
export function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<Done> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
      env: { ...process.env, ...options.env },
    })
    const [out, err]: [Buffer[], Buffer[]] = [[], []]
    child.stdout.on('data', chunk => out.push(chunk))
    child.stderr.on('data', chunk => err.push(chunk))
    child.on('error', reject)
    child.on('close', status =>
      resolve({ status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
    // It may end before it has read all.
    child.stdin.on('error', () => {})
    child.stdin.end(options.input)
  })
}

/** Ports of the loopback interface that were free a moment ago, each another. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  try {
    return await Promise.all(
      servers.map(
        server =>
          new Promise<number>((resolve, reject) => {
            server.on('error', reject)
            server.listen(0, '127.0.0.1', () => {
              const address = server.address()
              if (address === null || typeof address === 'string') reject(new Error('a TCP server has a port'))
              else resolve(address.port)
            })
          }),
      ),
    )
  } finally {
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  }
}
