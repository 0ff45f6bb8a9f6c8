import { invariant } from '../../errors.ts'
import type { CorruptBatch } from '../../runtime/ports.ts'
import type { FetchTimes, RecordBatch } from '../../tasks/recordBatch.ts'
import { claimedEnd } from './batchHeader.ts'
import { type DecodeBlock, DecodedRecords } from './decodedRecords.ts'
import { type AbortedTransaction, type FetchedRecords, readRecordBatches } from './recordBatches.ts'
import { WireRecords } from './records.ts'

/** Stands where kafkajs has an array of decoded messages: it only hands it on. */
export class FetchedBytes {
  readonly bytes: Buffer
  /** Why the broker gave nothing, when that is because it cannot read its own log. */
  readonly refusal: string | null
  /** The response that brought them, also where it brought none of this partition. */
  readonly response: Buffer

  constructor(bytes: Buffer, refusal: string | null = null, response: Buffer = bytes) {
    this.bytes = bytes
    this.refusal = refusal
    this.response = response
  }
}

/** What a fetch response says of one partition. */
export type FetchedPartition = {
  readonly partition: number
  readonly highWatermark: string
  readonly lastStableOffset?: string
  readonly abortedTransactions?: readonly AbortedTransaction[] | null
  readonly messages: FetchedBytes
}

let maxBatchBytes = 64 * 1024 * 1024

/** Sets the bound for all fetches of this process, which kafkajs offers no other way to hand on. */
export function limitBatchBytes(bytes: number): void {
  maxBatchBytes = bytes
}

let decode: DecodeBlock | null = null

/** Has somebody else decode the records of all fetches of this process; null, as at the start, reads them in place. */
export function decodeRecordsBy(other: DecodeBlock | null): void {
  decode = other
}

/**
 * Takes the place of kafkajs's `consumer/batch.js`: what one fetch brought of one partition. kafkajs asks it only where it
 * reaches and whether it holds anything; records are read by a cursor. Nothing is unpacked before the first question, so
 * that the partitions of one fetch are unpacked one after the other.
 */
export class FetchedBatch {
  readonly topic: string
  readonly partition: number
  readonly fetchedOffset: string
  readonly highWatermark: string
  /** When it was fetched; null where nobody took note of it. */
  times: FetchTimes | null = null
  readonly #data: FetchedPartition
  #found: FetchedRecords | null = null
  #cursor: WireRecords | DecodedRecords | null = null
  #isReleased = false

  constructor(topic: string, fetchedOffset: string, data: FetchedPartition) {
    this.topic = topic
    this.partition = data.partition
    this.fetchedOffset = fetchedOffset
    this.highWatermark = data.highWatermark
    this.#data = data
  }

  /** As the broker has sent them; empty when it sent nothing. */
  get bytes(): Buffer {
    return this.#data.messages.bytes
  }

  /** Whether the broker has sent nothing of this partition, not even a reason. */
  get isBare(): boolean {
    return this.bytes.length === 0 && this.#data.messages.refusal === null
  }

  /** Where it ends by what its headers say, unchecked; null when they say nothing that can be so. Unpacks nothing. */
  get claimedEnd(): number | null {
    const end = claimedEnd(this.bytes)
    const from = Number(this.fetchedOffset)
    return end !== null && end > from && end <= Number(this.highWatermark) ? end : null
  }

  /** The first record batch that cannot be read; the records are those before it. */
  get corrupt(): CorruptBatch | null {
    return this.#records.corrupt
  }

  /**
   * Whether nothing could be read though the log goes on: the fetch had no room left, or not enough of it, for the next
   * record batch. It has next time, unless the log is damaged there.
   */
  get isStalled(): boolean {
    const { lastOffset, corrupt } = this.#records
    return lastOffset === null && corrupt === null && this.readableEnd > Number(this.fetchedOffset)
  }

  /** The offset to ask for next; the one asked for when nothing could be read. */
  get nextOffset(): number {
    const { lastOffset } = this.#records
    return lastOffset === null ? Number(this.fetchedOffset) : lastOffset + 1
  }

  /**
   * A cursor from the offset that was asked for. To be asked for once: it lets go of what it has passed, which may be large.
   */
  records(): RecordBatch {
    const { blocks, count } = this.#records
    const from = Number(this.fetchedOffset)
    const records =
      decode === null
        ? new WireRecords(blocks, count, from, this.nextOffset, this.times)
        : new DecodedRecords(decode, blocks, count, from, this.nextOffset, this.times)
    this.#found = { ...this.#records, blocks: [] }
    this.#cursor = records
    return records
  }

  /** Its bytes are another response's from now on: whoever reads on, or asks what was found in them, fails. */
  release(): void {
    this.#isReleased = true
    this.#cursor?.release()
  }

  /** kafkajs asks for lengths alone. What cannot be read counts as one, or kafkajs would pass it by itself. */
  get messages(): { readonly length: number } {
    const { count, corrupt } = this.#records
    return { length: count + (corrupt !== null || this.isStalled ? 1 : 0) }
  }

  get rawMessages(): { readonly length: number } {
    return { length: this.messages.length + (this.#records.lastOffset === null ? 0 : 1) }
  }

  get #records(): FetchedRecords {
    invariant(!this.#isReleased, 'a fetched batch is read while its bytes are lent')
    this.#found ??= this.#read()
    return this.#found
  }

  #read(): FetchedRecords {
    const { messages, abortedTransactions } = this.#data
    const from = Number(this.fetchedOffset)
    if (messages.refusal !== null) {
      const corrupt = { from, to: null, reason: messages.refusal, bytes: messages.bytes }
      return { blocks: [], count: 0, firstOffset: null, lastOffset: null, corrupt }
    }
    const highWatermark = Number(this.highWatermark)
    // One below what was asked for is that of a leader that has just begun.
    const rules = highWatermark > from ? { maxBatchBytes, highWatermark } : { maxBatchBytes }
    return readRecordBatches(messages.bytes, from, abortedTransactions ?? [], rules)
  }

  /** One past the last offset that this fetch could bring. */
  get readableEnd(): number {
    const stable = Number(this.#data.lastStableOffset ?? -1)
    return stable < 0 ? Number(this.highWatermark) : stable
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
