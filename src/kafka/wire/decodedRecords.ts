import { invariant } from '../../errors.ts'
import type { FetchTimes, RecordBatch, RecordHeader } from '../../tasks/recordBatch.ts'
import type { RecordBlock } from './records.ts'

/** A record as kafkajs decodes it. */
export type DecodedRecord = {
  readonly offset: string
  /** Epoch milliseconds. */
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** All values of a name that comes more than once. */
  readonly headers: Readonly<Record<string, Buffer | null | readonly (Buffer | null)[]>>
}

/** Decodes the records of one batch, whose bytes were checked and unpacked before. */
export type DecodeBlock = (block: RecordBlock) => readonly DecodedRecord[]

const NOTHING = Buffer.alloc(0)

/**
 * What `WireRecords` is, over records that kafkajs has decoded: an object for each, and a batch at a time. Headers come
 * grouped by name.
 */
export class DecodedRecords implements RecordBatch {
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
  readonly header = (name: string): string | null => this.#lastHeader(name)?.toString() ?? null
  readonly headerByte = (name: string, index: number): number => this.#lastHeader(name)?.[index] ?? -1
  readonly #decode: DecodeBlock
  readonly #blocks: RecordBlock[]
  #records: readonly DecodedRecord[] = []
  #at = 0
  #headers: DecodedRecord['headers'] = {}
  #isReleased = false

  /**
   * @param baseOffset the offset asked for: records below it are passed over
   * @param nextOffset one past the last offset that the fetch covers
   * @param fetch when that was; null where nobody took note of it
   */
  constructor(
    decode: DecodeBlock,
    blocks: readonly RecordBlock[],
    count: number,
    baseOffset: number,
    nextOffset: number,
    fetch: FetchTimes | null,
  ) {
    this.#decode = decode
    this.#blocks = blocks.toReversed()
    this.count = count
    this.baseOffset = baseOffset
    this.nextOffset = nextOffset
    this.fetch = fetch
  }

  next(): boolean {
    for (;;) {
      const record = this.#records[this.#at++]
      if (record === undefined) {
        invariant(!this.#isReleased, 'records are read while their bytes are lent')
        const block = this.#blocks.pop()
        if (block === undefined) return false
        this.#records = this.#decode(block)
        this.#at = 0
      } else if (Number(record.offset) >= this.baseOffset) {
        this.#show(record)
        return true
      }
    }
  }

  /** The records' bytes are no longer theirs: none is shown any more, and to ask for one is an error. */
  release(): void {
    this.#isReleased = true
    this.#records = []
  }

  /** Objects are no bytes to take apart. */
  fill(): boolean {
    return false
  }

  /** Of no slice. */
  show(): void {}

  headers(): readonly RecordHeader[] {
    return Object.entries(this.#headers).flatMap(([name, value]) =>
      (value === null || Buffer.isBuffer(value) ? [value] : value).map((each): RecordHeader => [name, each]),
    )
  }

  #lastHeader(name: string): Buffer | null {
    const value = this.headers().findLast(([found]) => found === name)?.[1] ?? null
    return value === null ? null : Buffer.from(value)
  }

  #show({ offset, timestamp, key, value, headers }: DecodedRecord): void {
    this.offset = Number(offset)
    this.timestamp = Number(timestamp)
    this.keyBytes = key ?? NOTHING
    this.keyStart = key === null ? -1 : 0
    this.keyEnd = key === null ? -1 : key.length
    this.valueBytes = value ?? NOTHING
    this.valueStart = value === null ? -1 : 0
    this.valueEnd = value === null ? -1 : value.length
    this.#headers = headers
    this.headerCount = this.headers().length
  }
}
