import { encodeMessage, type Message } from '../../src/tasks/messages.ts'
import type { RecordBatch, RecordHeader } from '../../src/tasks/recordBatch.ts'
import { type Capture, type OutputRecord, recordsOf } from '../../src/tasks/task.ts'

/** A record as a test writes it. A `value` that is no text and no bytes is written as JSON. */
export type TestRecord = {
  readonly offset: number
  readonly timestamp: number
  readonly value: unknown
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

const encoder = new TextEncoder()
const NOTHING = new Uint8Array(0)

/** Seeds of property tests: printed by fast-check when a property fails; SEED=… runs one again. */
export const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)

/** UTF-8 bytes of a text; null stays null, bytes stay bytes, all else becomes JSON. */
export function bytesOf(value: unknown): Uint8Array | null {
  if (value === null || value instanceof Uint8Array) return value
  return encoder.encode(typeof value === 'string' ? value : JSON.stringify(value))
}

/** What an aggregate counts of a login. */
export function login(over: Partial<CountedLogin> = {}): CountedLogin {
  return { ...LOGIN, ...over }
}

type CountedLogin = typeof LOGIN

const LOGIN = {
  deviceType: 'ios',
  locale: 'NY',
  appVersion: '1',
  userId: 'u',
  deviceId: 'd',
  timeMs: 0,
  missing: 0,
  invalid: 0,
}

/** A batch over an array: it was asked for at `baseOffset` and reaches to `nextOffset`, one past its last record by default. */
export class ArrayBatch implements RecordBatch {
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
  readonly header = (name: string): string | null => this.#records[this.#at - 1]?.headers?.[name] ?? null
  readonly headerByte = (name: string, index: number): number => Buffer.from(this.header(name) ?? '')[index] ?? -1
  readonly #records: readonly TestRecord[]
  #at = 0

  get headerCount(): number {
    return this.headers().length
  }

  constructor(records: readonly TestRecord[], range: { baseOffset?: number; nextOffset?: number } = {}) {
    this.#records = records
    this.count = records.length
    this.baseOffset = range.baseOffset ?? records[0]?.offset ?? 0
    this.nextOffset = range.nextOffset ?? (records.at(-1)?.offset ?? this.baseOffset - 1) + 1
  }

  headers(): readonly RecordHeader[] {
    return Object.entries(this.#records[this.#at - 1]?.headers ?? {})
  }

  next(): boolean {
    const record = this.#records[this.#at++]
    if (record === undefined) return false
    const bytes = bytesOf(record.value)
    this.offset = record.offset
    this.timestamp = record.timestamp
    const key = record.key === undefined ? null : encoder.encode(record.key)
    this.keyBytes = key ?? NOTHING
    this.keyStart = key === null ? -1 : 0
    this.keyEnd = key === null ? -1 : key.length
    // The value stands in the middle of a buffer, as on the wire: a reader that ignores its range fails.
    this.valueBytes = bytes === null ? NOTHING : new Uint8Array([0x7b, ...bytes, 0x7d])
    this.valueStart = bytes === null ? -1 : 1
    this.valueEnd = bytes === null ? -1 : 1 + bytes.length
    return true
  }
}

/** The records that a capture tells, each by itself. */
export function recordsIn(captured: Capture | null): OutputRecord[] {
  return recordsOf(captured?.stages.flat() ?? [])
}

/** What a produced record says, as JSON. */
export function jsonOf<T>(record: OutputRecord | undefined): T {
  return JSON.parse(Buffer.from(bytesOf(record?.value ?? null) ?? NOTHING).toString()) as T
}

/** Records of a partials log from messages, at consecutive offsets. */
export function messageRecords(messages: readonly Message[], firstOffset = 0, timestamp = 0): TestRecord[] {
  return messages.map((message, i) => ({ offset: firstOffset + i, timestamp, value: encodeMessage(message) }))
}

/** A record's headers by name; of a name that comes more than once the last. */
export function headersOf(record: OutputRecord | undefined): Record<string, string> {
  return Object.fromEntries((record?.headers ?? []).map(([name, value]) => [name, Buffer.from(value ?? '').toString()]))
}
