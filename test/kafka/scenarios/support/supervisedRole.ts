import { setTimeout as sleep } from 'node:timers/promises'
import { type RoleLine, type RoleProcess, startRole } from '../../../../src/dev/roleProcess.ts'

/**
 * running: it is to go on. leaving: it was asked to drain, and must exit with 0. killed: it was ended by us.
 * What it exits with is right or wrong by this alone.
 */
export type Expectation = 'running' | 'leaving' | 'killed'

export type RoleStart = {
  readonly stage: 'aggregate' | 'reduce'
  readonly name: string
  readonly env: NodeJS.ProcessEnv
  readonly logFile: string
}

const LINE_LIMIT_MS = 60_000
const EXIT_LIMIT_MS = 30_000
const POLL_MS = 20

/** A role whose log lines are kept, and of which it is known what is expected. */
export class SupervisedRole {
  readonly stage: RoleStart['stage']
  readonly name: string
  readonly process: RoleProcess
  readonly lines: RoleLine[] = []
  expected: Expectation = 'running'
  paused = false

  constructor({ stage, name, env, logFile }: RoleStart) {
    this.stage = stage
    this.name = name
    this.process = startRole({ args: [stage], name, env, logFile, onLine: line => void this.lines.push(line) })
  }

  get running(): boolean {
    return this.process.running
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.expected = 'killed'
    this.process.kill('SIGKILL')
    await this.exit()
  }

  /** SIGTERM; resolves with the exit code. */
  async leave(): Promise<number> {
    this.expected = 'leaving'
    this.process.kill('SIGTERM')
    return await this.exit()
  }

  pause(): void {
    this.paused = true
    this.process.kill('SIGSTOP')
  }

  resume(): void {
    this.paused = false
    this.process.kill('SIGCONT')
  }

  async exit(limitMs = EXIT_LIMIT_MS): Promise<number> {
    const late = Symbol()
    const code = await Promise.race([this.process.exited, sleep(limitMs, late, { ref: false })])
    if (typeof code !== 'number') throw new Error(`${this.name} has not ended within ${limitMs / 1000} s`)
    return code
  }

  /** The first line with this event, from the line numbered `from` on, also one that was written before the call. */
  async line(event: string, from = 0, limitMs = LINE_LIMIT_MS): Promise<RoleLine> {
    const deadline = Date.now() + limitMs
    for (;;) {
      const found = this.lines.slice(from).find(line => line.event === event)
      if (found !== undefined) return found
      if (!this.running) throw new Error(`${this.name} ended before its line '${event}'`)
      if (Date.now() > deadline) throw new Error(`${this.name} has not written '${event}' within ${limitMs / 1000} s`)
      await sleep(POLL_MS)
    }
  }

  /** The partitions that it was given last. */
  get partitions(): readonly number[] {
    return (this.linesOf('assigned').at(-1)?.partitions ?? []) as readonly number[]
  }

  linesOf(event: string): RoleLine[] {
    return this.lines.filter(line => line.event === event)
  }
}
