import type { Delivery } from '../runtime/ports.ts'
import { type Commit, type Output, recordsOf } from '../tasks/task.ts'
import type { CaptureTrace, Traceparent } from '../tasks/traceContext.ts'
import type { Partition } from './positions.ts'
import type { ResultDatabase, ResultRow } from './resultDatabase.ts'

export type SinkLaneOptions = {
  readonly database: ResultDatabase
  readonly at: Partition
  /** Commits in the consumer group too: for those who look at its lag. Nothing rests on it. */
  readonly commitThroughGroup: (commit: Commit) => Promise<void>
  /**
   * @param windows those that changed, of all `results` in the batch
   * @param trace the context under which they were written; null when they belong to no trace
   */
  readonly onWritten?: (windows: number, results: number, ms: number, trace: Traceparent | null) => void
}

/** The delivery of one partition into the database: rows and position in one transaction. */
export class SinkLane implements Delivery {
  readonly #options: SinkLaneOptions
  /** Where the position stands in the database, as far as we know. */
  #position: number | null = null
  #rows: ResultRow[] = []
  #context: Traceparent | null = null

  constructor(options: SinkLaneOptions) {
    this.#options = options
  }

  /** The position takes the place of a fence: whoever comes later finds it, and who came before does not. */
  async fence(): Promise<void> {}

  async readCommit(): Promise<Commit | null> {
    const position = await this.#options.database.readPosition(this.#options.at)
    this.#position = position
    if (position === null) return null
    const commit = { offset: position, metadata: '' }
    // A process that died after its transaction did not tell the group.
    void this.#tellGroup(commit)
    return commit
  }

  async begin(_trace?: CaptureTrace, context: Traceparent | null = null): Promise<void> {
    this.#rows = []
    this.#context = context
  }

  async send(records: readonly Output[]): Promise<void> {
    for (const { key, value } of recordsOf(records)) this.#rows.push({ key: String(key), json: String(value) })
  }

  async commit(commit: Commit): Promise<void> {
    const { database, at, onWritten } = this.#options
    const rows = this.#rows
    this.#rows = []
    const begunAt = performance.now()
    const context = this.#context
    const written = await database.write({ ...at, rows, from: this.#position, to: commit.offset, context })
    this.#position = commit.offset
    onWritten?.(written, rows.length, performance.now() - begunAt, context)
    await this.#tellGroup(commit)
  }

  async close(): Promise<void> {
    this.#rows = []
  }

  async #tellGroup(commit: Commit): Promise<void> {
    try {
      await this.#options.commitThroughGroup(commit)
    } catch {
      // The next commit tells it again.
    }
  }
}
