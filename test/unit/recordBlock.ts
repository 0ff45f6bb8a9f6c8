import type { RecordBlock } from '../../src/kafka/wire/records.ts'
import type { RecordHeader } from '../../src/tasks/recordBatch.ts'

/** A record of a log, as its reader meets it. */
export type LoggedRecord = {
  readonly offset: number
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly key?: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly RecordHeader[]
}

const MOST_NUMBER_BYTES = 10

/** Records as one block of the wire's format, unpacked and checked: what a fetch hands to a cursor. */
export function blockOf(records: readonly LoggedRecord[]): RecordBlock {
  const [baseOffset, baseTimestamp] = [records[0]?.offset ?? 0, records[0]?.timestamp ?? 0]
  const writer = new BlockWriter()
  for (const record of records) writer.record(record, baseOffset, baseTimestamp)
  const { bytes, length } = writer
  return { bytes, start: 0, end: length, count: records.length, baseOffset, baseTimestamp, appendTime: null }
}

class BlockWriter {
  bytes = Buffer.alloc(1024)
  length = 0

  record(
    { offset, timestamp, key = null, value, headers = [] }: LoggedRecord,
    base: number,
    baseTimestamp: number,
  ): void {
    const body = new BlockWriter()
    body.byte(0)
    body.number(timestamp - baseTimestamp)
    body.number(offset - base)
    body.part(key)
    body.part(value)
    body.number(headers.length)
    for (const [name, each] of headers) {
      body.part(Buffer.from(name))
      body.part(typeof each === 'string' ? Buffer.from(each) : each)
    }
    this.part(body.bytes.subarray(0, body.length))
  }

  byte(byte: number): void {
    this.#reserve(1)
    this.bytes[this.length++] = byte
  }

  /** Seven bits a byte, least first, after zigzag. */
  number(value: number): void {
    this.#reserve(MOST_NUMBER_BYTES)
    let rest = value < 0 ? -2 * value - 1 : 2 * value
    for (; rest > 127; rest = Math.floor(rest / 128)) this.bytes[this.length++] = (rest % 128) + 128
    this.bytes[this.length++] = rest
  }

  part(part: Uint8Array | null): void {
    this.number(part?.length ?? -1)
    if (part === null) return
    this.#reserve(part.length)
    this.bytes.set(part, this.length)
    this.length += part.length
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return
    this.bytes = Buffer.concat([this.bytes.subarray(0, this.length), Buffer.alloc(this.length + bytes)])
  }
}
