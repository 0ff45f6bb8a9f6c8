import { invariant } from '../../errors.ts'
import type { EventSlice } from '../../events/eventSlice.ts'
import { areInKernel, KERNEL } from '../../events/kernel.ts'
import type { FetchTimes, RecordBatch, RecordHeader } from '../../tasks/recordBatch.ts'

/**
 * The records of one batch, unpacked: each is its length, attributes i8, timestamp delta, offset delta, key length and key,
 * value length and value, header count and headers (name length, name, value length, value). Lengths and deltas are
 * zigzag varints; a length of -1 stands for null.
 */
export type RecordBlock = {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  readonly count: number
  readonly baseOffset: number
  /** Epoch milliseconds. */
  readonly baseTimestamp: number
  /** The broker's time of appending, where that is the records' timestamp. */
  readonly appendTime: number | null
}

const NOTHING = Buffer.alloc(0)
const MOST_VARINT_BYTES = 5
const MOST_VARLONG_BYTES = 10
/** So many hold 49 bits. */
const EXACT_VARLONG_BYTES = 7
/** Where a number leads that has no end: past all bytes, so that whoever checks ranges finds it. */
const NOWHERE = 2 ** 40

/** Where the readers below stand: they are called a dozen times for a record, and this spares each an object. */
let at = 0

function readVarint(bytes: Buffer): number {
  let byte = bytes[at++] as number
  let value = byte & 0x7f
  for (let i = 1; byte >= 0x80 && i < MOST_VARINT_BYTES; i++) {
    byte = bytes[at++] as number
    value |= (byte & 0x7f) << (7 * i)
  }
  if (byte >= 0x80) at = NOWHERE
  return (value >>> 1) ^ -(value & 1)
}

/** The number of 64 bits nearest to which a double comes. */
function readVarlong(bytes: Buffer): number {
  const start = at
  let byte = bytes[at++] as number
  let value = byte & 0x7f
  for (let i = 1, scale = 128; byte >= 0x80 && i < EXACT_VARLONG_BYTES; i++, scale *= 128) {
    byte = bytes[at++] as number
    value += (byte & 0x7f) * scale
  }
  if (byte >= 0x80) return readLongVarlong(bytes, start)
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

/** Beyond what a double adds up exactly, where its lowest bit, the sign, would be lost: only strange clocks lie that far apart. */
function readLongVarlong(bytes: Buffer, start: number): number {
  let value = 0n
  let byte = 0x80
  at = start
  for (let shift = 0n; byte >= 0x80 && at < start + MOST_VARLONG_BYTES; shift += 7n) {
    byte = bytes[at++] ?? 0x80
    value |= BigInt(byte & 0x7f) << shift
  }
  if (byte >= 0x80) at = NOWHERE
  value = BigInt.asUintN(64, value)
  return Number((value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n)
}

/**
 * Whether the bytes are as many whole records as the batch says, their offsets ascending up to `lastDelta`. A cursor over
 * them then needs no checks.
 */
export function areRecords({ bytes, start, end, count }: RecordBlock, lastDelta: number): boolean {
  if (areInKernel(bytes)) {
    const { byteOffset } = bytes
    return KERNEL.areRecords(byteOffset + start, byteOffset + end, count, lastDelta) === 1
  }
  let before = -1
  at = start
  for (let i = 0; i < count; i++) {
    const length = readVarint(bytes)
    const next = at + length
    if (length < 0 || next > end) return false
    at++
    readVarlong(bytes)
    const delta = readVarint(bytes)
    if (delta <= before || delta > lastDelta) return false
    before = delta
    if (!(skipNullable(bytes, next) && skipNullable(bytes, next) && skipHeaders(bytes, next))) return false
    if (at !== next) return false
  }
  return count >= 0 && at === end
}

function skipNullable(bytes: Buffer, end: number): boolean {
  const length = readVarint(bytes)
  if (length > 0) at += length
  return length >= -1 && at <= end
}

function skipHeaders(bytes: Buffer, end: number): boolean {
  const headers = readVarint(bytes)
  for (let i = 0; i < headers; i++) {
    const name = readVarint(bytes)
    at += name
    if (name < 0 || at > end || !skipNullable(bytes, end)) return false
  }
  return headers >= 0
}

/** Names are asked for again and again, and are few: they stand in the code. */
const names = new Map<string, Buffer>()

function bytesOf(name: string): Buffer {
  const known = names.get(name)
  if (known !== undefined) return known
  const bytes = Buffer.from(name)
  names.set(name, bytes)
  return bytes
}

/** Names are short: a loop is faster than a call out of JavaScript. */
function holds(bytes: Buffer, start: number, wanted: Buffer): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false
  return true
}

/** A length and as many bytes; null where the length is -1. */
function readPart(bytes: Buffer): Buffer | null {
  const length = readVarint(bytes)
  if (length < 0) return null
  at += length
  return bytes.subarray(at - length, at)
}

/** A cursor over the records of one fetch, in place: no object is made for a record. */
export class WireRecords implements RecordBatch {
  readonly baseOffset: number
  readonly count: number
  readonly nextOffset: number
  readonly fetch: FetchTimes | null
  offset = -1
  timestamp = 0
  keyBytes: Uint8Array = NOTHING
  keyStart = -1
  keyEnd = -1
  valueBytes: Uint8Array = NOTHING
  valueStart = -1
  valueEnd = -1
  headerCount = 0
  readonly header = (name: string): string | null => {
    this.#findHeader(name)
    return this.#foundAt < 0 ? null : this.#bytes.toString('utf8', this.#foundAt, this.#foundEnd)
  }
  readonly headerByte = (name: string, index: number): number => {
    this.#findHeader(name)
    const byteAt = this.#foundAt + index
    return this.#foundAt < 0 || byteAt >= this.#foundEnd ? -1 : (this.#bytes[byteAt] as number)
  }
  /** Those still to be entered, the next one last. */
  readonly #blocks: RecordBlock[]
  #block: RecordBlock | null = null
  #bytes: Buffer = NOTHING
  #left = 0
  #at = 0
  #isReleased = false
  /** The records that were taken last, and the same bytes as a buffer. */
  #slice: EventSlice | null = null
  #sliceBytes: Buffer = NOTHING
  #headersAt = 0
  /** Where the header looked for last has its value; -1 where it has none. */
  #foundAt = -1
  #foundEnd = -1

  /**
   * @param baseOffset the offset asked for: records below it are passed over
   * @param nextOffset one past the last offset that the fetch covers
   * @param fetch when that was; null, the default, where nobody asked for it
   */
  constructor(
    blocks: readonly RecordBlock[],
    count: number,
    baseOffset: number,
    nextOffset: number,
    fetch: FetchTimes | null = null,
  ) {
    this.#blocks = blocks.toReversed()
    this.count = count
    this.baseOffset = baseOffset
    this.nextOffset = nextOffset
    this.fetch = fetch
  }

  next(): boolean {
    do {
      if (this.#left === 0 && !this.#enterBlock()) return false
      this.#left--
      this.#read()
    } while (this.offset < this.baseOffset)
    return true
  }

  /** The records' bytes are no longer theirs: none is shown any more, and to ask for one is an error. */
  release(): void {
    this.#isReleased = true
    this.#left = 0
  }

  fill(slice: EventSlice): boolean {
    if (this.#left === 0 && !this.#enterBlock()) return false
    const block = this.#block as RecordBlock
    const next = slice.take(block.bytes, this.#at, block.end, this.#left, block)
    this.#at = next
    this.#left -= slice.size
    if (slice !== this.#slice) {
      this.#slice = slice
      this.#sliceBytes = Buffer.from(slice.bytes.buffer, slice.bytes.byteOffset, slice.bytes.length)
    }
    return slice.size > 0
  }

  show(row: number): void {
    const slice = this.#slice as EventSlice
    this.#bytes = this.#sliceBytes
    this.keyBytes = this.#sliceBytes
    this.valueBytes = this.#sliceBytes
    this.offset = slice.offset(row)
    this.timestamp = slice.timestamp(row)
    this.keyStart = slice.keyStart(row)
    this.keyEnd = slice.keyEnd(row)
    this.valueStart = slice.valueStart(row)
    this.valueEnd = slice.valueEnd(row)
    this.headerCount = slice.headerCount(row)
    this.#headersAt = slice.headersAt(row)
  }

  headers(): readonly RecordHeader[] {
    const bytes = this.#bytes
    const headers: RecordHeader[] = []
    at = this.#headersAt
    for (let i = 0; i < this.headerCount; i++) {
      const name = readPart(bytes)?.toString() ?? ''
      headers.push([name, readPart(bytes)])
    }
    return headers
  }

  /** Finds the value of the current record's last header of that name; -1 when there is none, or it has no value. */
  #findHeader(name: string): void {
    this.#foundAt = -1
    if (this.headerCount === 0) return
    const wanted = bytesOf(name)
    const bytes = this.#bytes
    at = this.#headersAt
    for (let i = 0; i < this.headerCount; i++) {
      const nameLength = readVarint(bytes)
      const nameAt = at
      at += nameLength
      const length = readVarint(bytes)
      const valueAt = at
      if (length > 0) at += length
      if (nameLength !== wanted.length || !holds(bytes, nameAt, wanted)) continue
      this.#foundAt = length < 0 ? -1 : valueAt
      this.#foundEnd = at
    }
  }

  #enterBlock(): boolean {
    invariant(!this.#isReleased, 'records are read while their bytes are lent')
    let block = this.#blocks.pop()
    // Compaction leaves empty batches behind, thousands of them at times.
    while (block?.count === 0) block = this.#blocks.pop()
    // What is behind us may have been unpacked to many times its size: nothing of it is held.
    this.#bytes = block?.bytes ?? NOTHING
    this.keyBytes = this.#bytes
    this.valueBytes = this.#bytes
    this.#block = block ?? null
    if (block === undefined) return false
    this.#left = block.count
    this.#at = block.start
    return true
  }

  #read(): void {
    const { bytes, baseOffset, baseTimestamp, appendTime } = this.#block as RecordBlock
    this.#bytes = bytes
    this.keyBytes = bytes
    this.valueBytes = bytes
    at = this.#at
    const length = readVarint(bytes)
    this.#at = at + length
    at++
    const timestampDelta = readVarlong(bytes)
    this.timestamp = appendTime ?? baseTimestamp + timestampDelta
    this.offset = baseOffset + readVarint(bytes)
    const keyLength = readVarint(bytes)
    this.keyStart = keyLength < 0 ? -1 : at
    if (keyLength > 0) at += keyLength
    this.keyEnd = keyLength < 0 ? -1 : at
    const valueLength = readVarint(bytes)
    this.valueStart = valueLength < 0 ? -1 : at
    if (valueLength > 0) at += valueLength
    this.valueEnd = valueLength < 0 ? -1 : at
    this.headerCount = readVarint(bytes)
    this.#headersAt = at
  }
}
