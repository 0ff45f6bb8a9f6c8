import { invariant } from '../errors.ts'
import { ByteWriter } from '../events/byteWriter.ts'
import type { RecordHeader } from './recordBatch.ts'

/** One of the packed records, as tasks tell single ones. */
export type UnpackedRecord = {
  readonly topic: 'enriched'
  readonly partition: null
  readonly key: string
  readonly value: string
  readonly headers: readonly RecordHeader[]
}

const FIRST_BYTES = 4096
const FIRST_RECORDS = 64
/** Most keys are shorter than 64 bytes and most values at least so long: their lengths then take one byte and two. */
const KEY_RESERVE = 1
const VALUE_RESERVE = 2
const RECORD_RESERVE = 2
/** Near to what batches are cut to by default: what is left has room for one more record of usual length. */
const RUN_BYTES = 720 * 1024

/**
 * Records with keys for one topic, one behind the other in one run of bytes, each as a record batch holds it: lengths as
 * zigzag varints before record, key, value and headers. No object is made for a record. Every so many bytes a record is
 * written as the first of a batch and those behind it as its next: if all keys choose the same partition, as they do
 * where the source topic is keyed likewise, these runs are batches as they stand. Else whoever sends them copies each,
 * from its key on, into the batch of its partition.
 */
export class PackedRecords {
  readonly topic = 'enriched'
  readonly out: ByteWriter
  /** Where the key of each record begins, its length included, and where the record ends. */
  #keys = new Int32Array(FIRST_RECORDS)
  #ends = new Int32Array(FIRST_RECORDS)
  #count = 0
  #recordAt = 0
  #partAt = 0
  /** The first record of each run, and where the last run begins. */
  readonly #runs: number[] = []
  #runAt = 0
  #released = false

  /** @param expectedBytes what they will come to, so far as that is known */
  constructor(expectedBytes = 0) {
    this.out = new ByteWriter(Math.max(FIRST_BYTES, expectedBytes))
  }

  get count(): number {
    return this.#count
  }

  /** What the records come to. */
  get byteLength(): number {
    return this.out.length
  }

  /** The bytes of all records; good until the next is written. */
  get bytes(): Uint8Array {
    invariant(!this.#released, 'packed records are sent before their memory is given back')
    return this.out.bytes
  }

  /** Where the record's key begins: what comes before it belongs to its place in a run. */
  startOf(index: number): number {
    return this.#keys[index] as number
  }

  endOf(index: number): number {
    return this.#ends[index] as number
  }

  /** The numbers of the records with which runs begin. */
  get runs(): readonly number[] {
    return this.#runs
  }

  /** Where the record begins as it stands in its run: where the one before it ends. */
  wholeStartOf(index: number): number {
    return index === 0 ? 0 : (this.#ends[index - 1] as number)
  }

  /** Begins a record. Between this and `endKey` the key's bytes are written to `out`. */
  beginKey(): void {
    const { out } = this
    if (this.#runs.length === 0 || out.length - this.#runAt >= RUN_BYTES) {
      this.#runs.push(this.#count)
      this.#runAt = out.length
    }
    this.#recordAt = out.open(RECORD_RESERVE)
    // Attributes, and how much later than the batch's first it was sent: there are none, and it was not.
    out.varint(0)
    out.varint(0)
    out.varint(this.#count - (this.#runs.at(-1) as number))
    if (this.#count === this.#ends.length) this.#grow()
    this.#keys[this.#count] = out.length
    this.#partAt = out.open(KEY_RESERVE)
  }

  endKey(): void {
    this.out.close(this.#partAt, KEY_RESERVE)
  }

  beginValue(): void {
    this.#partAt = this.out.open(VALUE_RESERVE)
  }

  endValue(): void {
    this.out.close(this.#partAt, VALUE_RESERVE)
  }

  /** Ends a record, whose headers have been written as well: how many, and of each its name and value. */
  endRecord(): void {
    const end = this.out.length
    this.out.close(this.#recordAt, RECORD_RESERVE)
    // Its length may have taken more or less room than was kept for it.
    this.#keys[this.#count] = (this.#keys[this.#count] as number) + this.out.length - end
    this.#ends[this.#count++] = this.out.length
  }

  /** Forgets what was written of a record that has not ended. */
  undoRecord(): void {
    this.out.cut(this.wholeStartOf(this.#count))
  }

  #grow(): void {
    const [keys, ends] = [this.#keys, this.#ends]
    this.#keys = new Int32Array(2 * this.#count)
    this.#keys.set(keys)
    this.#ends = new Int32Array(2 * this.#count)
    this.#ends.set(ends)
  }

  /** Gives the memory back, once the records are where they belong. How many there were is still known. */
  release(): void {
    this.#released = true
    this.out.release()
  }

  /** The records one by one: for those to whom it does not matter how fast. */
  *records(): Generator<UnpackedRecord> {
    invariant(!this.#released, 'packed records are read before their memory is given back')
    for (let i = 0; i < this.#count; i++) yield unpack(this.bytes, this.startOf(i), this.endOf(i))
  }
}

/** Writes a record's header, after the number of its headers. */
export function packHeader(out: ByteWriter, [name, value]: RecordHeader): void {
  packPart(out, name)
  packPart(out, value)
}

function packPart(out: ByteWriter, part: string | Uint8Array | null): void {
  if (part === null) {
    out.varint(-1)
    return
  }
  const start = out.open(1)
  if (typeof part === 'string') out.text(part)
  else out.array(part)
  out.close(start, 1)
}

function unpack(bytes: Uint8Array, start: number, end: number): UnpackedRecord {
  let at = start
  const number = () => {
    let value = 0
    let byte: number
    let shift = 0
    do {
      byte = bytes[at++] as number
      value |= (byte & 0x7f) << shift
      shift += 7
    } while (byte >= 0x80)
    return (value >>> 1) ^ -(value & 1)
  }
  const part = () => {
    const length = number()
    if (length < 0) return null
    at += length
    return bytes.slice(at - length, at)
  }
  const text = () => textOf(part() ?? NOTHING) as string
  const [key, value] = [text(), text()]
  const headers = Array.from({ length: number() }, (): RecordHeader => {
    const name = text()
    const value = part()
    return [name, value === null ? null : textOf(value)]
  })
  invariant(at === end, 'a packed record is as long as its parts')
  return { topic: 'enriched', partition: null, key, value, headers }
}

const NOTHING = new Uint8Array(0)
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The bytes themselves where they are no text: an event's own headers may be anything. */
function textOf(bytes: Uint8Array): string | Uint8Array {
  try {
    return decoder.decode(bytes)
  } catch {
    return bytes
  }
}
