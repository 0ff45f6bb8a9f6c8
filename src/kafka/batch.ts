import type { RecordBatch, RecordHeader } from '../tasks/recordBatch.ts'
import type { KafkaBatch, RawMessage } from './patches.ts'

const NOTHING = new Uint8Array(0)

/** A cursor over the records that kafkajs decoded; it makes no object of its own for a record. */
class MessageCursor implements RecordBatch {
  readonly baseOffset: number
  readonly count: number
  readonly nextOffset: number
  offset = -1
  timestamp = 0
  keyBytes: Uint8Array = NOTHING
  keyStart = -1
  keyEnd = -1
  valueBytes: Uint8Array = NOTHING
  valueStart = -1
  valueEnd = -1
  readonly header = (name: string): string | null => {
    const values = this.#messages[this.#at - 1]?.headers[name]
    const last = Array.isArray(values) ? values.at(-1) : values
    return last === undefined ? null : last.toString()
  }
  readonly #messages: readonly RawMessage[]
  #at = 0

  get headerCount(): number {
    return this.headers().length
  }

  constructor(batch: KafkaBatch) {
    this.#messages = batch.messages
    this.baseOffset = Number(batch.fetchedOffset)
    this.count = batch.messages.length
    // Reaches past trailing control, aborted and compacted records, which `messages` leaves out.
    this.nextOffset = Number(batch.lastOffset()) + 1
  }

  headers(): readonly RecordHeader[] {
    return Object.entries(this.#messages[this.#at - 1]?.headers ?? {}).flatMap(([name, values]) =>
      (Array.isArray(values) ? values : [values]).map((value): RecordHeader => [name, value ?? null]),
    )
  }

  next(): boolean {
    const message = this.#messages[this.#at++]
    if (message === undefined) return false
    const { key, value } = message
    this.offset = +message.offset
    this.timestamp = +message.timestamp
    this.keyBytes = key ?? NOTHING
    this.keyStart = key === null ? -1 : 0
    this.keyEnd = key === null ? -1 : key.length
    this.valueBytes = value ?? NOTHING
    this.valueStart = value === null ? -1 : 0
    this.valueEnd = value === null ? -1 : value.length
    return true
  }
}

/** @param batch what kafkajs hands to `eachBatch`; not copied, so it must not be changed while the cursor is used */
export function toRecordBatch(batch: KafkaBatch): RecordBatch {
  return new MessageCursor(batch)
}
