import type { EventSlice } from '../events/eventSlice.ts'

/** A record's header. Names may repeat within a record; the last of a name counts. */
export type RecordHeader = readonly [name: string, value: string | Uint8Array | null]

/** When records were asked for, and when they came; epoch milliseconds. */
export type FetchTimes = { readonly askedMs: number; readonly cameMs: number }

/**
 * Records of one partition in offset order, read by a cursor so that no object is made for each record. Fields hold
 * byte ranges of `bytes` until the next call of `next`.
 *
 * Offsets are numbers (whole, at most 2^53 - 1) everywhere but inside src/kafka.
 */
export interface RecordBatch {
  /** The offset that was asked for: the batch holds every readable record in [baseOffset, nextOffset). */
  readonly baseOffset: number
  /** How many records the batch holds. */
  readonly count: number
  /** The offset to read after this batch; it may lie past the last record by control or compacted records. */
  readonly nextOffset: number
  /** Of the fetch that brought the batch; left out, or null, where nobody asked for it. It decides nothing. */
  readonly fetch?: FetchTimes | null
  /** Moves to the next record and fills the fields below; false after the last. */
  next(): boolean
  /**
   * Takes the next records into the slice, which tells their offsets, timestamps and events, and moves behind them. Some
   * may lie before `baseOffset`, as the batch on the wire that holds it begins wherever it does.
   * @returns false, and nothing has moved, when there are none left or the next is none for a slice: `next` is to be asked
   */
  fill(slice: EventSlice): boolean
  /** Fills the fields below with a record of the slice taken last. */
  show(row: number): void
  readonly offset: number
  /** The record's timestamp, epoch milliseconds: set by the producer or, on a LogAppendTime topic, by the broker. */
  readonly timestamp: number
  /** The buffer that holds the current record's key and value. */
  readonly keyBytes: Uint8Array
  /** -1 when the record has no key. */
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueBytes: Uint8Array
  /** -1 when the record has no value (a tombstone). */
  readonly valueStart: number
  readonly valueEnd: number
  /** The current record's last header of that name as text, null when it has none. */
  readonly header: (name: string) => string | null
  /** The byte at an index of the value of that same header, without a text being made of it; -1 when it has none there. */
  readonly headerByte: (name: string, index: number) => number
  /** How many headers the current record has. */
  readonly headerCount: number
  /** All of the current record's headers in their order; their bytes are good as long as the batch's. */
  headers(): readonly RecordHeader[]
}

/** A record batch that cannot be read: offsets [from, to), and what the log holds there as far as it is known. */
export type CorruptRange = { readonly from: number; readonly to: number; readonly bytes: Uint8Array | null }
