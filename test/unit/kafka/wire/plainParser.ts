import type { PlainRecord } from './batchBytes.ts'

/** Thrown where bytes are no records; caught by `parsePlainly`. */
class Malformed extends Error {}

/**
 * Reads as the protocol is written down, one number at a time: slow, and sharing nothing with what it is compared to.
 */
class Reader {
  readonly #bytes: Buffer
  #at: number
  #end: number

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  get atEnd(): boolean {
    return this.#at === this.#end
  }

  byte(): number {
    if (this.#at >= this.#end) throw new Malformed('cut off')
    return this.#bytes[this.#at++] as number
  }

  /** @param bits 32 for lengths and offsets, 64 for timestamps */
  number(bits: 32 | 64): bigint {
    let raw = 0n
    for (let shift = 0n; ; shift += 7n) {
      if (shift >= BigInt(bits)) throw new Malformed('a number without an end')
      const byte = BigInt(this.byte())
      raw |= (byte & 127n) << shift
      if (byte < 128n) break
    }
    raw = BigInt.asUintN(bits, raw)
    return (raw >> 1n) ^ -(raw & 1n)
  }

  part(length: bigint): Reader {
    if (length < 0n || length > BigInt(this.#end - this.#at)) throw new Malformed('too long')
    const start = this.#at
    this.#at += Number(length)
    return new Reader(this.#bytes, start, this.#at)
  }

  nullable(): Buffer | null {
    const length = this.number(32)
    return length === -1n ? null : this.part(length).rest()
  }

  rest(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#at, this.#end))
  }
}

function recordFrom(reader: Reader, base: { readonly offset: number; readonly timestamp: number }): PlainRecord {
  reader.byte()
  const timestamp = Number(reader.number(64)) + base.timestamp
  const offset = Number(reader.number(32)) + base.offset
  const [key, value] = [reader.nullable(), reader.nullable()]
  const count = reader.number(32)
  if (count < 0n) throw new Malformed('a negative count')
  const headers: [string, Buffer | null][] = []
  for (let i = 0n; i < count; i++) {
    const name = reader.nullable()
    if (name === null) throw new Malformed('a header without a name')
    headers.push([name.toString(), reader.nullable()])
  }
  if (!reader.atEnd) throw new Malformed('more than a record')
  return { offset, timestamp, key, value, headers }
}

/**
 * The records of a batch's unpacked body, or null when it is not exactly so many, with offsets that ascend from the
 * base to at most the last.
 */
export function parsePlainly(
  body: Buffer,
  base: { readonly offset: number; readonly timestamp: number; readonly count: number; readonly lastOffset: number },
): PlainRecord[] | null {
  const reader = new Reader(body)
  const records: PlainRecord[] = []
  try {
    for (let i = 0; i < base.count; i++) {
      const record = recordFrom(reader.part(reader.number(32)), base)
      if (record.offset <= (records.at(-1)?.offset ?? base.offset - 1) || record.offset > base.lastOffset) return null
      records.push(record)
    }
  } catch (error) {
    if (error instanceof Malformed) return null
    throw error
  }
  return base.count >= 0 && reader.atEnd ? records : null
}
