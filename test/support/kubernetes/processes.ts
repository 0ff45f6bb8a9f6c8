import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
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
