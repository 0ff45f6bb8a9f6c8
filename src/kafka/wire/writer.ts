import { SPARE_ARRAYS } from '../../events/spareArrays.ts'

const FIRST_BYTES = 64 * 1024

/** Bytes written one after the other into one buffer, which grows by doubling. All numbers are big-endian. */
export class Writer {
  #bytes: Buffer
  #length = 0

  /** @param firstBytes what is expected to be written */
  constructor(firstBytes = FIRST_BYTES) {
    this.#bytes = bufferOf(SPARE_ARRAYS.take(firstBytes))
  }

  /** Gives the memory back: nobody reads what was written any more. */
  release(): void {
    SPARE_ARRAYS.give(new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length))
    this.#bytes = bufferOf(new Uint8Array(0))
    this.#length = 0
  }

  get length(): number {
    return this.#length
  }

  /** The bytes from `start` on, not copied: good until the next write. */
  view(start = 0): Buffer {
    return this.#bytes.subarray(start, this.#length)
  }

  /** Makes room and moves on by so many bytes, to be filled in later; returns where they begin. */
  skip(bytes: number): number {
    this.#reserve(bytes)
    this.#length += bytes
    return this.#length - bytes
  }

  /** Forgets everything from `length` on. */
  cut(length: number): void {
    this.#length = length
  }

  int8(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  /** Here and below room comes first: growing puts another array in the place of this one. */
  int16(value: number): void {
    const at = this.skip(2)
    this.#bytes.writeInt16BE(value, at)
  }

  int32(value: number): void {
    const at = this.skip(4)
    this.#bytes.writeInt32BE(value, at)
  }

  int64(value: bigint): void {
    const at = this.skip(8)
    this.#bytes.writeBigInt64BE(value, at)
  }

  int32At(at: number, value: number): void {
    this.#bytes.writeInt32BE(value, at)
  }

  uint32At(at: number, value: number): void {
    this.#bytes.writeUInt32BE(value, at)
  }

  /** A length as i16, then the text in UTF-8; null is a length of -1. */
  shortText(text: string | null): void {
    this.int16(text === null ? -1 : Buffer.byteLength(text))
    if (text !== null) this.part(text, Buffer.byteLength(text))
  }

  /** A text in UTF-8, of which `length` is the byte length, or bytes. */
  part(part: string | Uint8Array, length: number): void {
    this.#reserve(length)
    if (typeof part === 'string') this.#bytes.write(part, this.#length)
    else this.#bytes.set(part, this.#length)
    this.#length += length
  }

  /** The bytes [start, end) of `from`. */
  range(from: Buffer, start: number, end: number): void {
    this.#reserve(end - start)
    from.copy(this.#bytes, this.#length, start, end)
    this.#length += end - start
  }

  /** A zigzag varint of a whole number of at most 2^52. */
  varint(value: number): void {
    this.#reserve(10)
    let rest = value < 0 ? -2 * value - 1 : 2 * value
    for (; rest > 0x7f_ff_ff_ff; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 0x80
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
    this.#bytes[this.#length++] = rest
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const grown = bufferOf(SPARE_ARRAYS.take(Math.max(needed, 2 * this.#bytes.length)))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** How many bytes `Writer.varint` writes. */
export function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value < 0 ? -2 * value - 1 : 2 * value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++
  return bytes
}
