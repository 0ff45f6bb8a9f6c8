import type { Commit, LogRange, OutputRecord } from '../tasks/task.ts'

/**
 * What the runtime of one partition needs from Kafka. Every call may fail, or succeed without our learning of it; then
 * the owner's state is thrown away and restored. Adapters: src/kafka (real), test/simulation (in memory).
 */
export interface PartitionPorts {
  /** Makes earlier owners harmless where the delivery has the means (transactions); done before the commit is read. */
  fence(): Promise<void>
  /** The committed offset with its metadata, null when the group has none for this partition. */
  readCommit(): Promise<Commit | null>
  /** The log's present start and end (high watermark). */
  readLogRange(): Promise<LogRange>
  /** Opens one delivery. At least once this does nothing; exactly once it begins a transaction. */
  begin(): Promise<void>
  /** Sends records and waits until every in-sync replica has acknowledged them. */
  send(records: readonly OutputRecord[]): Promise<void>
  /** Commits offset and metadata: through the group at least once, together with the open transaction exactly once. */
  commit(commit: Commit): Promise<void>
  /** Asks for records from `offset` on. Synchronous: what was fetched from elsewhere before is never delivered. */
  seek(offset: number): void
  /** Stops and restarts the flow of records into this partition, for backpressure. Synchronous. */
  pause(): void
  resume(): void
}
