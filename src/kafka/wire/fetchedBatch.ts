import type { CorruptBatch } from '../../runtime/ports.ts'
import type { RecordBatch } from '../../tasks/recordBatch.ts'
import { type AbortedTransaction, type FetchedRecords, readRecordBatches } from './recordBatches.ts'
import { WireRecords } from './records.ts'

/** Stands where kafkajs has an array of decoded messages: it only hands it on. */
export class FetchedBytes {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

/** What a fetch response says of one partition. */
export type FetchedPartition = {
  readonly partition: number
  readonly highWatermark: string
  readonly abortedTransactions?: readonly AbortedTransaction[] | null
  readonly messages: FetchedBytes
}

let maxBatchBytes = 64 * 1024 * 1024

/** Sets the bound for all fetches of this process, which kafkajs offers no other way to hand on. */
export function limitBatchBytes(bytes: number): void {
  maxBatchBytes = bytes
}

/**
 * Takes the place of kafkajs's `consumer/batch.js`: what one fetch brought of one partition. kafkajs asks it only where it
 * reaches and whether it holds anything; records are read by a cursor.
 */
export class FetchedBatch {
  readonly topic: string
  readonly partition: number
  readonly fetchedOffset: string
  readonly highWatermark: string
  /** kafkajs asks for lengths alone. */
  readonly messages: { readonly length: number }
  readonly rawMessages: { readonly length: number }
  readonly #records: FetchedRecords

  constructor(topic: string, fetchedOffset: string, data: FetchedPartition) {
    this.topic = topic
    this.partition = data.partition
    this.fetchedOffset = fetchedOffset
    this.highWatermark = data.highWatermark
    const aborted = data.abortedTransactions ?? []
    this.#records = readRecordBatches(data.messages.bytes, Number(fetchedOffset), aborted, { maxBatchBytes })
    const { count, lastOffset, corrupt } = this.#records
    // One that cannot be read counts as something to deliver, or kafkajs would go on behind it by itself.
    this.messages = { length: count + (corrupt === null ? 0 : 1) }
    this.rawMessages = { length: this.messages.length + (lastOffset === null ? 0 : 1) }
  }

  /** The first record batch that cannot be read; the records are those before it. */
  get corrupt(): CorruptBatch | null {
    return this.#records.corrupt
  }

  /** The offset to ask for next; the one asked for when nothing could be read. */
  get nextOffset(): number {
    const { lastOffset } = this.#records
    return lastOffset === null ? Number(this.fetchedOffset) : lastOffset + 1
  }

  /** A cursor from the offset that was asked for. */
  records(): RecordBatch {
    const { blocks, count } = this.#records
    return new WireRecords(blocks, count, Number(this.fetchedOffset), this.nextOffset)
  }

  isEmpty(): boolean {
    return this.messages.length === 0
  }

  isEmptyIncludingFiltered(): boolean {
    return this.rawMessages.length === 0
  }

  isEmptyDueToFiltering(): boolean {
    return this.isEmpty() && this.rawMessages.length > 0
  }

  isEmptyControlRecord(): boolean {
    return this.isEmptyDueToFiltering()
  }

  isEmptyDueToLogCompactedMessages(): boolean {
    return false
  }

  firstOffset(): string | null {
    const { firstOffset } = this.#records
    return firstOffset === null ? null : String(Math.max(firstOffset, Number(this.fetchedOffset)))
  }

  lastOffset(): string {
    const { lastOffset } = this.#records
    return lastOffset === null ? String(Number(this.highWatermark) - 1) : String(lastOffset)
  }

  offsetLag(): string {
    return String(Number(this.highWatermark) - 1 - Number(this.lastOffset()))
  }

  offsetLagLow(): string {
    const first = this.firstOffset()
    return first === null ? '0' : String(Number(this.highWatermark) - 1 - Number(first))
  }
}
