import type { ResultStatus } from '../results/result.ts'
import { PackedRecords } from './packedRecords.ts'
import type { CorruptRange, RecordBatch, RecordHeader } from './recordBatch.ts'
import type { CaptureTrace } from './traceContext.ts'

/**
 * What a task has to say to the outside, in the order in which it must be said. Each stage is acknowledged by the
 * brokers before the next one is sent, and the commit follows the last. A task's outputs are true statements about the
 * prefix of its log below `commit.offset`, so sending any of them twice, or late, changes nothing.
 */
export type Capture = {
  /** Record lists to be sent one after the other: a stage is acknowledged before the next is sent. */
  readonly stages: readonly (readonly Output[])[]
  readonly commit: Commit
  /** What was made of the source records since the capture before: added up by metrics. Null for a task that makes nothing of events. */
  readonly tally: Tally | null
  /** How many results it holds, of a task that makes results: added up by metrics. */
  readonly told?: ToldResults
  /** What people should hear of: logged and counted once the capture is delivered. */
  readonly notices: readonly Notice[]
  /** What a trace has to know of the records that led to it; left out while tracing is off. Nothing that is told depends on it. */
  readonly trace?: CaptureTrace
}

/** Counts of records by what became of them. */
export type Tally = {
  readonly accepted: number
  readonly late: number
  readonly rejected: Readonly<Record<string, number>>
}

/** Results of one size of window by their status. */
export type ToldResults = { readonly size: string } & Readonly<Record<ResultStatus, number>>

/** Something worth a log line, without personal data. */
export type Notice =
  | { readonly kind: 'rejected'; readonly offset: number; readonly code: string }
  | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  | { readonly kind: 'foreign_record'; readonly offset: number }
  | { readonly kind: 'partial_too_late'; readonly window: number; readonly partition: number; readonly from: number }
  | { readonly kind: 'parked'; readonly fromWindow: number }

/** A record to be produced. The topic is named by role; the runtime knows the topic's real name. */
export type OutputRecord = {
  readonly topic: OutputTopic
  /** Of a partial: the level that reads it, the base when left out. */
  readonly level?: number
  /** The explicit partition, or null to let the murmur2 of the key choose one (as the Java client does). */
  readonly partition: number | null
  /** UTF-8 text, raw bytes (a dead letter's original ones), or null for no key. */
  readonly key: string | Uint8Array | null
  /** UTF-8 text, raw bytes, or null for a tombstone. */
  readonly value: string | Uint8Array | null
  /** In this order; a name may come more than once. */
  readonly headers?: readonly RecordHeader[]
}

/** What a task has to produce: a record, or many that stand for themselves in a run of bytes. */
export type Output = OutputRecord | PackedRecords

/** The records of outputs, each by itself, in their order. */
export function recordsOf(outputs: readonly Output[]): OutputRecord[] {
  return outputs.flatMap(output => (output instanceof PackedRecords ? [...output.records()] : [output]))
}

/** How many records the output is. */
export function countOf(output: Output): number {
  return output instanceof PackedRecords ? output.count : 1
}

export type OutputTopic = 'partials' | 'results' | 'deviceStats' | 'enriched' | 'deadLetters'

/** The atomic statement that a task leaves behind: everything below `offset` is processed and acknowledged. */
export type Commit = {
  /** The next offset to read, a whole number of at most 2^53 - 1. */
  readonly offset: number
  /** What the next owner needs, as JSON text of fewer than 4,096 bytes (Kafka's offset.metadata.max.bytes). */
  readonly metadata: string
}

/** The offsets that the log of one partition holds: [start, end). */
export type LogRange = { readonly start: number; readonly end: number }

/** Facts about the outside world at the moment of a capture: time comes in as data. */
export type CaptureInput = {
  /** Wall clock, epoch milliseconds. */
  readonly now: number
  /** How many partitions the task's source topic has. */
  readonly sourcePartitions: number
  /**
   * When the task's log was last seen to end exactly at our position, having done so for IDLE_TIMEOUT (at once for a
   * log that holds nothing); epoch milliseconds, null while it is not idle.
   */
  readonly idleAsOf: number | null
}

/**
 * One partition's life as a pure state machine: no clock, no Kafka, no logger, no randomness. Everything it does is
 * decided by its restored state and the records it is given, so that every owner of a partition decides the same.
 */
export interface Task {
  /** The next offset to be processed: one past the last record or skipped offset. */
  readonly position: number
  /** About how many bytes wait for the next capture: past a bound the runtime captures early and holds back records. */
  readonly pendingBytes: number
  /** Events that wait for the next capture, of one window or of all: past a set number the runtime captures early. */
  readonly pendingEvents: number
  /** False while records below the committed offset are being replayed; nothing may be captured until then. */
  readonly live: boolean
  /**
   * Processes records [from, to) of a batch; the batch's first unprocessed record must be at or past `position`.
   * @param now wall clock, epoch milliseconds, for outputs that tell when they were made; it decides nothing
   */
  process(batch: RecordBatch, now: number): void
  /** The log holds no (readable) record between `position` and `offset`: control batches, aborted or compacted ones. */
  skipTo(offset: number): void
  /**
   * Goes on behind a record batch that cannot be read, saying what is lost by it. Everything before it must have been
   * processed. A task without this can only wait for it.
   */
  skipCorrupt?(range: CorruptRange, now: number): void
  /**
   * Everything to be told, in one synchronous step; records processed later belong to the next capture. Null when
   * nothing has changed since the last one. Only to be called while `live`. What is captured must be sent and
   * acknowledged, or this task must be thrown away and restored from the commit.
   */
  capture(input: CaptureInput): Capture | null
  /** An offset that the task wants to read again, in the order asked for; null mostly. Reading it clears it. */
  takeSeek(): number | null
}

/** How a task comes to life again: from the log range and the last commit, to a task and the offset to read next. */
export interface TaskFactory<T extends Task> {
  /**
   * @param commit the committed offset and its metadata; null when nothing was ever committed for the partition
   * @throws TidemarkError with a `refused_*` code when going on would be a silent reset
   */
  restore(partition: number, commit: Commit | null, log: LogRange, now: number): T
}
