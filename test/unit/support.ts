import { WireRecords } from '../../src/kafka/wire/records.ts'
import { encodeMessage, type Message } from '../../src/tasks/messages.ts'
import { type Capture, type OutputRecord, recordsOf } from '../../src/tasks/task.ts'
import { blockOf, type LoggedRecord } from './recordBlock.ts'

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
export class ArrayBatch extends WireRecords {
  constructor(records: readonly TestRecord[], range: { baseOffset?: number; nextOffset?: number } = {}) {
    const baseOffset = range.baseOffset ?? records[0]?.offset ?? 0
    const nextOffset = range.nextOffset ?? (records.at(-1)?.offset ?? baseOffset - 1) + 1
    super([blockOf(records.map(logged))], records.length, baseOffset, nextOffset)
  }
}

function logged({ offset, timestamp, key, value, headers = {} }: TestRecord): LoggedRecord {
  const bytes = key === undefined ? null : encoder.encode(key)
  return { offset, timestamp, key: bytes, value: bytesOf(value), headers: Object.entries(headers) }
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
