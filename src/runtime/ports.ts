import type { TidemarkError } from '../errors.ts'
import type { RecordBatch } from '../tasks/recordBatch.ts'
import type { Commit, LogRange, Output } from '../tasks/task.ts'
import type { CaptureTrace, Traceparent } from '../tasks/traceContext.ts'

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
  /**
   * Opens the delivery of one capture. At least once this does nothing; exactly once it begins a transaction.
   * @param trace what the capture was made from; left out while tracing is off
   */
  begin(trace?: CaptureTrace): Promise<void>
  /** Sends records and waits until every in-sync replica has acknowledged them. */
  send(records: readonly Output[]): Promise<void>
  /** Commits offset and metadata: through the group at least once, together with the open transaction exactly once. */
  commit(commit: Commit): Promise<void>
  /** Asks for records from `offset` on. Synchronous: what was fetched from elsewhere before is never delivered. */
  seek(offset: number): void
  /** Stops and restarts the flow of records into this partition, for backpressure. Synchronous. */
  pause(): void
  resume(): void
}

/** How one partition's outputs and commit reach the brokers. */
export type Delivery = Pick<PartitionPorts, 'fence' | 'send' | 'commit'> & {
  /**
   * Opens the delivery of one capture, as the port does.
   * @param context the context under which it is told; null, the default, when it belongs to no trace
   */
  begin(trace?: CaptureTrace, context?: Traceparent | null): Promise<void>
  /** The context under which the last capture was told; null when it belongs to no trace, left out while tracing is off. */
  readonly traceparent?: Traceparent | null
  /** Ends the delivery's own connections; an open transaction is left to the next fence. */
  close(): Promise<void>
}

/** A record batch that cannot be read, at offsets [from, to); `to` is null when not even its end can be told. */
export type CorruptBatch = {
  readonly from: number
  readonly to: number | null
  readonly reason: string
  /** What the log holds there. */
  readonly bytes: Uint8Array
}

/** What a consumer group tells its member. */
export type GroupListener = {
  /** A new assignment: all of its partitions are paused, to be restored, sought and resumed. Must not throw. */
  onAssigned(epoch: number, partitions: readonly number[]): void
  /** The assignment has ended: nothing more is delivered for it, and its commits are refused. Must not throw. */
  onRevoked(): void
  /**
   * Records of a partition, in offset order and one batch at a time for each partition: its next one waits until this
   * resolves. `heartbeat` is cheap to call often; it throws `fenced` when the group is rebalancing: stop
   * and rethrow. Anything else that is thrown ends in `onCrash`.
   */
  onBatch(epoch: number, partition: number, batch: RecordBatch, heartbeat: () => Promise<void>): Promise<void>
  /** The log holds no readable record below `nextOffset` from where we were. */
  onAdvance(partition: number, nextOffset: number): void
  /** The broker does not hold the offset asked for. The partition is paused: seek and resume it, or give up. */
  onOutOfRange(partition: number): void
  /**
   * A record batch cannot be read; everything before it has been delivered. Told again and again while it stays so, at
   * growing intervals. The partition is paused, and tried again unless it is sought elsewhere.
   */
  onCorrupt(epoch: number, partition: number, corrupt: CorruptBatch): void
  /** The group rebalances: flush and commit now. Awaited for at most two thirds of the session timeout. */
  beforeRejoin(): Promise<void>
  /** The consumer has ended and does not come back. */
  onCrash(error: TidemarkError): void
}

/** A member's hold on its group. */
export type Group = {
  /** Joins the group; resolves after the first assignment. */
  start(): Promise<void>
  /** Leaves the group. No callback comes after the call; flush and commit before it. */
  stop(): Promise<void>
  /** The next offset to deliver; batches fetched from elsewhere are dropped. Nothing for partitions not assigned. */
  seek(partition: number, offset: number): void
  pause(partition: number): void
  resume(partition: number): void
  /**
   * Asks the coordinator now.
   * @throws TidemarkError `fenced` when this is no longer a member of its generation, `delivery_failed` without an answer
   */
  heartbeat(): Promise<void>
  /**
   * Commits in the generation of `epoch`, never in another.
   * @throws TidemarkError `fenced` when that generation is over, a retriable `delivery_failed` when the outcome is unknown
   */
  commit(epoch: number, partition: number, commit: Commit): Promise<void>
}
