import { SPARE_ARRAYS } from './spareArrays.ts'

/** Below so many bytes a loop is faster than the call of a copy. */
const SHORT = 24
const LONGEST_VARINT = 5

const NOTHING = new Uint8Array(0)
const encoder = new TextEncoder()

/** Ranges come from few arrays, one after the other, and a part of a Buffer costs more than a part of a plain array. */
let lastFrom = new Uint8Array(0)
let lastView = lastFrom

function plainViewOf(from: Uint8Array): Uint8Array {
  if (from !== lastFrom) {
    lastFrom = from as Uint8Array<ArrayBuffer>
    lastView = new Uint8Array(lastFrom.buffer, lastFrom.byteOffset, lastFrom.length)
  }
  return lastView
}

/** Bytes written one after the other into one array, which grows by doubling. */
export class ByteWriter {
  /** What is written stands in [0, length). Another array takes its place when it grows. */
  bytes: Uint8Array
  length = 0

  /** @param firstBytes what is expected to be written */
  constructor(firstBytes: number) {
    this.bytes = SPARE_ARRAYS.take(firstBytes)
  }

  /** Gives the memory back: nothing is written any more, and what was written is gone. */
  release(): void {
    SPARE_ARRAYS.give(this.bytes)
    this.bytes = NOTHING
    this.length = 0
  }

  /** Makes room for so many bytes more. */
  reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.bytes.length) return
    const grown = SPARE_ARRAYS.take(Math.max(needed, 2 * this.bytes.length))
    grown.set(this.bytes.subarray(0, this.length))
    SPARE_ARRAYS.give(this.bytes)
    this.bytes = grown
  }

  /** Writes the bytes [start, end) of another array. */
  range(from: Uint8Array, start: number, end: number): void {
    const count = end - start
    this.reserve(count)
    if (count <= SHORT) {
      const { bytes } = this
      let at = this.length
      for (let i = start; i < end; i++) bytes[at++] = from[i] as number
    } else this.bytes.set(plainViewOf(from).subarray(start, end), this.length)
    this.length += count
  }

  /** Writes an array whole. */
  piece(piece: Uint8Array): void {
    this.reserve(piece.length)
    this.bytes.set(piece, this.length)
    this.length += piece.length
  }

  /** Writes a text that is known to be ASCII. */
  ascii(text: string): void {
    const count = text.length
    this.reserve(count)
    const { bytes } = this
    let at = this.length
    for (let i = 0; i < count; i++) bytes[at++] = text.charCodeAt(i)
    this.length = at
  }

  /** Writes any text in UTF-8. */
  text(text: string): void {
    this.reserve(3 * text.length)
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written
  }

  /** Writes a whole number of at least 0 in decimal digits. */
  digits(value: number): void {
    let count = 1
    for (let power = 10; power <= value; power *= 10) count++
    this.reserve(count)
    let rest = value
    for (let at = this.length + count - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10)
      this.bytes[at] = 0x30 + (rest - next * 10)
      rest = next
    }
    this.length += count
  }

  /** A zigzag varint of a whole number in [-1, 2^31), as record batches hold lengths; -1 stands for null. */
  varint(value: number): void {
    this.reserve(LONGEST_VARINT)
    let rest = value < 0 ? 1 : (value << 1) >>> 0
    for (; rest > 0x7f; rest >>>= 7) this.bytes[this.length++] = (rest & 0x7f) | 0x80
    this.bytes[this.length++] = rest
  }

  /** Begins a part whose length is written before it and not known yet: `reserved` bytes are kept for that. Returns its start. */
  open(reserved: number): number {
    this.reserve(reserved)
    this.length += reserved
    return this.length
  }

  /** Ends the part that began at `start` with `reserved` bytes before it, and writes its length there. */
  close(start: number, reserved: number): void {
    const length = this.length - start
    let needed = 1
    for (let rest = length >>> 6; rest > 0; rest >>>= 7) needed++
    // Before the length is set back: an array that grew after it would leave the part behind.
    this.reserve(LONGEST_VARINT)
    if (needed !== reserved) {
      this.bytes.copyWithin(start - reserved + needed, start, this.length)
    }
    this.length = start - reserved
    this.varint(length)
    this.length += length
  }

  /** Forgets everything from `length` on. */
  cut(length: number): void {
    this.length = length
  }
}
