import { SPARE_ARRAYS } from './spareArrays.ts'

/** Above so many bytes the call of a copy costs less than words moved one by one. */
const MOST_WORDS_BYTES = 192
/**
 * Words are moved whole: what the last brings too much is written over by what comes next. V8 compiles a BigInt that only
 * goes from one array to another to a move of a register, and makes none.
 */
const WORD_BYTES = 8
const LONGEST_VARINT = 5
/** Up to here V8 divides whole numbers as such. */
const MOST_INT32 = 0x7fff_ffff

const NOTHING = new Uint8Array(0)
const encoder = new TextEncoder()

/** Ranges come from few arrays, one after the other, and a part of a Buffer costs more than a part of a plain array. */
let lastFrom = new Uint8Array(0)
let lastBytes = lastFrom
let lastView = new DataView(lastFrom.buffer)

function lookAt(from: Uint8Array): void {
  lastFrom = from as Uint8Array<ArrayBuffer>
  lastBytes = new Uint8Array(lastFrom.buffer, lastFrom.byteOffset, lastFrom.length)
  lastView = new DataView(lastFrom.buffer, lastFrom.byteOffset, lastFrom.length)
}

/** Bytes that are written again and again. */
export class Piece {
  readonly length: number
  /** Of whole words, the last of them filled up with zeros. */
  readonly view: DataView

  constructor(bytes: Uint8Array) {
    this.length = bytes.length
    const words = new Uint8Array(Math.ceil(bytes.length / WORD_BYTES) * WORD_BYTES)
    words.set(bytes)
    this.view = new DataView(words.buffer)
  }

  /** A text in UTF-8. */
  static of(text: string): Piece {
    return new Piece(encoder.encode(text))
  }
}

/** Bytes written one after the other into one array, which grows by doubling. */
export class ByteWriter {
  /** What is written stands in [0, length). Another array takes its place when it grows. */
  bytes: Uint8Array
  length = 0
  /** Of `bytes`. */
  #view: DataView

  /** @param firstBytes what is expected to be written */
  constructor(firstBytes: number) {
    this.bytes = SPARE_ARRAYS.take(firstBytes)
    this.#view = viewOf(this.bytes)
  }

  /** Gives the memory back: nothing is written any more, and what was written is gone. */
  release(): void {
    SPARE_ARRAYS.give(this.bytes)
    this.bytes = NOTHING
    this.#view = viewOf(NOTHING)
    this.length = 0
  }

  /** Makes room for so many bytes more, and for the rest of the last one's word. */
  reserve(more: number): void {
    if (this.length + more + WORD_BYTES > this.bytes.length) this.#grow(this.length + more + WORD_BYTES)
  }

  #grow(needed: number): void {
    const grown = SPARE_ARRAYS.take(Math.max(needed, 2 * this.bytes.length))
    grown.set(this.bytes.subarray(0, this.length))
    SPARE_ARRAYS.give(this.bytes)
    this.bytes = grown
    this.#view = viewOf(grown)
  }

  /** Writes the bytes [start, end) of another array. */
  range(from: Uint8Array, start: number, end: number): void {
    const count = end - start
    this.reserve(count)
    if (from !== lastFrom) lookAt(from)
    const source = lastView
    const at = this.length
    if (count <= MOST_WORDS_BYTES && end + WORD_BYTES <= source.byteLength) {
      const target = this.#view
      for (let i = 0; i < count; i += WORD_BYTES) target.setBigInt64(at + i, source.getBigInt64(start + i, true), true)
    } else this.bytes.set(lastBytes.subarray(start, end), at)
    this.length = at + count
  }

  piece({ view, length }: Piece): void {
    this.reserve(length)
    const target = this.#view
    const at = this.length
    for (let i = 0; i < length; i += WORD_BYTES) target.setBigInt64(at + i, view.getBigInt64(i, true), true)
    this.length = at + length
  }

  /** Writes an array whole. */
  array(array: Uint8Array): void {
    this.reserve(array.length)
    this.bytes.set(array, this.length)
    this.length += array.length
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
    const { bytes } = this
    let at = this.length + count
    this.length = at
    let rest = value
    for (; rest > MOST_INT32; count--) {
      const next = Math.floor(rest / 10)
      bytes[--at] = 0x30 + (rest - next * 10)
      rest = next
    }
    let low = rest | 0
    for (; count > 0; count--) {
      const next = (low / 10) | 0
      bytes[--at] = 0x30 + (low - next * 10)
      low = next
    }
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

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}
