import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerContent } from '../../../src/dev/generator/ledger.ts'
import { type RoleProcess, startRole } from '../../../src/dev/roleProcess.ts'

const END_LIMIT_MS = 30_000

/** Generators beside the cluster, one after the other, and what Kafka has acknowledged to them. */
export class Loads {
  readonly #env: NodeJS.ProcessEnv
  readonly #folder: string
  readonly #ledgers: LedgerContent[] = []
  #current: { readonly job: RoleProcess; readonly ledger: string; readonly logFile: string } | null = null
  #serial = 0

  constructor(env: NodeJS.ProcessEnv, folder: string) {
    this.#env = env
    this.#folder = folder
  }

  /** Begins to send logins, with every kind of trouble among them. The topic must be there. */
  start(perSecond: number): void {
    if (this.#current !== null) throw new Error('there is a load already')
    const name = `generate-${++this.#serial}`
    const ledger = join(this.#folder, `${name}.json`)
    const logFile = join(this.#folder, `${name}.log`)
    // With seed 1 the first event of each partition is a plain one: a late one could be older than what is kept.
    const args = ['generate', '--json', '--rate', String(perSecond), '--seed', String(this.#serial), '--ledger', ledger]
    this.#current = { job: startRole({ name, args, env: this.#env, logFile }), ledger, logFile }
  }

  /** Ends the load; all that it has made is acknowledged then. @throws Error when it failed before, or does not end */
  async stop(): Promise<void> {
    const current = this.#current
    if (current === null) return
    this.#current = null
    const { job, ledger, logFile } = current
    const failedBefore = !job.running
    job.kill('SIGTERM')
    const code = await Promise.race([job.exited, sleep(END_LIMIT_MS, null, { ref: false })])
    if (code === null) job.kill('SIGKILL')
    if (failedBefore || code !== 0) {
      throw new Error(`${job.name}: exit ${code ?? 'not'} : ${(await readFile(logFile, 'utf8')).slice(-2_000)}`)
    }
    this.#ledgers.push(JSON.parse(await readFile(ledger, 'utf8')) as LedgerContent)
  }

  /** What cannot be told of the log for sure, and how many events it must have. */
  acknowledged(): { readonly events: number; readonly complaints: readonly string[] } {
    const unknown = this.#ledgers.flatMap(each => each.unknown)
    return {
      events: this.#ledgers.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      complaints: unknown.map(({ partition, error }) => `a send to partition ${partition} ended unknown: ${error}`),
    }
  }
}
