import { isUtf8 } from 'node:buffer'
import { isIP } from 'node:net'
import { recountDeviceType } from './recountDevices.ts'

/**
 * A second, naive implementation of what a core event is and where it counts: the judge of the real one. It is written from
 * the rules alone and imports nothing of src/events, src/aggregate or src/windows, so that no mistake can be in both.
 * Obvious before fast.
 */
export type RecountRules = {
  readonly windowSizeMs: number
  readonly allowedLatenessMs: number
  readonly maxFutureSkewMs: number
  readonly maxEventBytes: number
  /** How many objects and arrays may lie in each other, the event being the first; 64 when left out. */
  readonly maxEventDepth?: number
  /** Fields without which an event is rejected, beside user_id and timestamp. */
  readonly validationRequired: readonly string[]
}

/** A record as it lies in the log. `timestamp` is the record's, epoch milliseconds. */
export type RecountRecord = {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly value: Uint8Array | null
  /** As a Kafka client gives them. Of a header that comes more than once the last counts. */
  readonly headers?: RecountHeaders
}

export type RecountHeaders = {
  readonly [name: string]: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
}

/** 'accepted', 'late', or the code of a rejection (`not_json`, `missing_user_id`, ...). */
export type RecountOutcome = string

export type PartitionCount = {
  readonly records: number
  readonly accepted: number
  readonly late: number
  readonly rejected: Readonly<Record<string, number>>
  /** The partition's clock after its last record, epoch milliseconds; 0 before the first. */
  readonly clock: number
}

export type WindowCount = {
  readonly count: number
  readonly device_stats: Readonly<Record<string, number>>
  readonly location_stats: Readonly<Record<string, number>>
  readonly app_version_stats: Readonly<Record<string, number>>
  readonly quality: {
    readonly missing: Readonly<Record<string, number>>
    readonly invalid: Readonly<Record<string, number>>
  }
}

/** Both maps have sorted keys: partition numbers, and window keys as `10s/2023-09-12T00:12:30.000Z`. */
export type RecountResult = {
  readonly partitions: Readonly<Record<string, PartitionCount>>
  readonly windows: Readonly<Record<string, WindowCount>>
}

export type Recount = {
  /** Takes the next record of its partition. Records of one partition come in offset order, each once. */
  add(record: RecountRecord): RecountOutcome
  result(): RecountResult
}

type Counts = Map<string, number>
type PartitionState = {
  records: number
  accepted: number
  late: number
  rejected: Counts
  clock: number
  nextOffset: number
}
type WindowState = { count: number; device: Counts; locale: Counts; version: Counts; missing: Counts; invalid: Counts }
type Fields = { readonly [name: string]: unknown }

const OPTIONAL_FIELDS = ['device_type', 'device_id', 'locale', 'app_version', 'ip'] as const
const DEFAULT_DEPTH = 64
const MAX_USER_ID_LENGTH = 256
const MAX_FIELD_LENGTH = 64
/** A device type may be a browser's whole signature. */
const MAX_DEVICE_TYPE_LENGTH = 512
const MILLISECONDS_FROM = 1e11
const LAST_MOMENT = Date.parse('9999-12-31T23:59:59.999Z')

export function createRecount(rules: RecountRules): Recount {
  const partitions = new Map<number, PartitionState>()
  const windows = new Map<number, WindowState>()
  const required = new Set(rules.validationRequired)

  const add = (record: RecountRecord): RecountOutcome => {
    const partition = getOrMake(partitions, record.partition, emptyPartition)
    if (record.offset < partition.nextOffset) {
      throw new RangeError(
        `offset ${record.offset} of partition ${record.partition} came after ${partition.nextOffset - 1}`,
      )
    }
    partition.nextOffset = record.offset + 1
    partition.records++
    const event = readEvent(record, rules, required)
    if (typeof event === 'string') {
      increment(partition.rejected, event)
      return event
    }
    const index = Math.floor(event.time / rules.windowSizeMs)
    const isLate = (index + 1) * rules.windowSizeMs + rules.allowedLatenessMs <= partition.clock
    partition.clock = Math.max(partition.clock, Math.min(event.time, record.timestamp))
    if (isLate) {
      partition.late++
      return 'late'
    }
    partition.accepted++
    countEvent(getOrMake(windows, index, emptyWindow), event.fields)
    return 'accepted'
  }

  const result = (): RecountResult => ({
    partitions: Object.fromEntries(
      [...partitions].sort(byNumber).map(([partition, state]) => [partition, describePartition(state)]),
    ),
    windows: Object.fromEntries(
      [...windows]
        .sort(byNumber)
        .map(([index, state]) => [windowKey(index, rules.windowSizeMs), describeWindow(state)]),
    ),
  })
  return { add, result }
}

/** The event's fields and its time, epoch milliseconds; or the code for which it is rejected. */
function readEvent(
  record: RecountRecord,
  rules: RecountRules,
  required: ReadonlySet<string>,
): { fields: Fields; time: number } | string {
  const whole = readObject(record.value, rules)
  if (typeof whole === 'string') return whole
  const unwrapped = unwrap(whole, record.headers ?? {})
  if (unwrapped === null) return 'not_an_object'
  const { fields, timestamp } = unwrapped
  if (isMissing(fields.user_id)) return 'missing_user_id'
  if (!isUserId(fields.user_id)) return 'invalid_user_id'
  if (isMissing(timestamp)) return 'missing_timestamp'
  const time = readTimestamp(timestamp)
  if (time === null) return 'invalid_timestamp'
  for (const name of OPTIONAL_FIELDS) {
    if (!required.has(name)) continue
    if (isMissing(fields[name])) return `missing_${name}`
    if (!isValid(name, fields[name])) return `invalid_${name}`
  }
  if (time > record.timestamp + rules.maxFutureSkewMs) return 'future_timestamp'
  return { fields, time }
}

function readObject(value: Uint8Array | null, rules: RecountRules): Fields | string {
  if (value === null || value.length === 0) return 'empty_value'
  if (value.length > rules.maxEventBytes) return 'too_large'
  if (!isUtf8(value)) return 'not_utf8'
  if (depthOf(value) > (rules.maxEventDepth ?? DEFAULT_DEPTH)) return 'too_deep'
  let parsed: unknown
  try {
    // `toString` leaves a byte order mark in the text, and JSON.parse refuses it.
    parsed = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString())
  } catch {
    return 'not_json'
  }
  return isObject(parsed) ? parsed : 'not_an_object'
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The most brackets that are ever open at once. Bytes of ASCII mean themselves everywhere in UTF-8. */
function depthOf(value: Uint8Array): number {
  const quote = 0x22
  const backslash = 0x5c
  const opening = (byte: number) => byte === 0x5b || byte === 0x7b
  const closing = (byte: number) => byte === 0x5d || byte === 0x7d
  let depth = 0
  let deepest = 0
  let quoted = false
  let escaped = false
  for (let i = 0; i < value.length; i++) {
    const byte = value[i]!
    if (escaped) escaped = false
    else if (quoted && byte === backslash) escaped = true
    else if (byte === quote) quoted = !quoted
    else if (!quoted && opening(byte)) depth++
    else if (!quoted && closing(byte)) depth--
    if (depth > deepest) deepest = depth
  }
  return deepest
}

/** The login event and its time: of a CloudEvent the data, and its `time` when the data has none. Null when there is none. */
function unwrap(value: Fields, headers: RecountHeaders): { fields: Fields; timestamp: unknown } | null {
  const isStructured =
    typeof value.specversion === 'string' ||
    /^application\/cloudevents\+json\s*($|;)/i.test(headerText(headers['content-type']) ?? '')
  if (isStructured && value.data !== undefined && value.user_id === undefined) {
    if (!isObject(value.data)) return null
    const { timestamp } = value.data
    return { fields: value.data, timestamp: isMissing(timestamp) ? value.time : timestamp }
  }
  const isBinary = headers.ce_specversion !== undefined
  const timestamp = isMissing(value.timestamp) && isBinary ? headerText(headers.ce_time) : value.timestamp
  return { fields: value, timestamp }
}

function headerText(header: RecountHeaders[string]): string | undefined {
  const last = Array.isArray(header) ? header.at(-1) : header
  return typeof last === 'string' || last === undefined ? last : Buffer.from(last).toString()
}

const isMissing = (value: unknown) => value === undefined || value === null || value === ''

/** Half a surrogate pair is no character, and cannot be written in UTF-8. */
const isText = (value: unknown, maxLength: number): value is string =>
  typeof value === 'string' && value.length <= maxLength && !/\p{Surrogate}/u.test(value)

function isValid(name: (typeof OPTIONAL_FIELDS)[number], value: unknown): boolean {
  if (name === 'ip') return isText(value, MAX_FIELD_LENGTH) && !value.includes('%') && isIP(value) !== 0
  return isText(value, name === 'device_type' ? MAX_DEVICE_TYPE_LENGTH : MAX_FIELD_LENGTH)
}

function isUserId(value: unknown): boolean {
  return typeof value === 'string' ? isText(value, MAX_USER_ID_LENGTH) : Number.isSafeInteger(value)
}

/** Whole epoch milliseconds, null for anything that is no moment from 1970 to 9999. */
function readTimestamp(value: unknown): number | null {
  let time: number | null = null
  if (typeof value === 'number') time = epochMilliseconds(value)
  else if (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value)) time = epochMilliseconds(Number(value))
  else if (typeof value === 'string') time = readIsoTimestamp(value)
  return time !== null && time >= 0 && time <= LAST_MOMENT ? time : null
}

function epochMilliseconds(secondsOrMilliseconds: number): number {
  return Math.floor(secondsOrMilliseconds >= MILLISECONDS_FROM ? secondsOrMilliseconds : secondsOrMilliseconds * 1000)
}

const ISO_8601 =
  /^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})([T ](?<hour>\d{2}):(?<minute>\d{2})(:(?<second>\d{2})([.,](?<fraction>\d{1,9}))?)?(?<zone>Z|[+-]\d{2}:?\d{2})?)?$/i

function readIsoTimestamp(text: string): number | null {
  const groups = ISO_8601.exec(text)?.groups
  if (groups === undefined) return null
  const part = (name: string) => Number(groups[name] ?? 0)
  const [year, month, day] = [part('year'), part('month'), part('day')]
  const [hour, minute, second] = [part('hour'), part('minute'), part('second')]
  if (hour > 23 || minute > 59 || second > 59) return null
  const midnight = new Date(0)
  // Not Date.UTC, which takes the year 70 for 1970.
  midnight.setUTCFullYear(year, month - 1, day)
  // A day that the calendar lacks (30 February) comes out as another one.
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return null
  const offset = readZone(groups.zone)
  if (offset === null) return null
  const milliseconds = Number((groups.fraction ?? '').padEnd(3, '0').slice(0, 3))
  return midnight.getTime() + hour * 3_600_000 + minute * 60_000 + second * 1000 + milliseconds - offset
}

/** How far the zone is ahead of UTC, milliseconds; null for one that no clock can show. */
function readZone(zone: string | undefined): number | null {
  if (zone === undefined || zone.toUpperCase() === 'Z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(-2))
  if (hours > 23 || minutes > 59) return null
  return (zone.startsWith('-') ? -1 : 1) * (hours * 3_600_000 + minutes * 60_000)
}

function countEvent(window: WindowState, fields: Fields): void {
  window.count++
  const known = (name: (typeof OPTIONAL_FIELDS)[number]) =>
    isMissing(fields[name]) || !isValid(name, fields[name]) ? 'unknown' : String(fields[name])
  increment(window.device, recountDeviceType(known('device_type')))
  increment(window.locale, known('locale'))
  increment(window.version, known('app_version'))
  for (const name of OPTIONAL_FIELDS) {
    if (isMissing(fields[name])) increment(window.missing, name)
    else if (!isValid(name, fields[name])) increment(window.invalid, name)
  }
}

/** The key of a result: `<size>/<window start>`, the size in its greatest whole unit. */
export function windowKey(index: number, windowSizeMs: number): string {
  return `${sizeText(windowSizeMs)}/${new Date(index * windowSizeMs).toISOString()}`
}

function sizeText(milliseconds: number): string {
  if (milliseconds % 86_400_000 === 0) return `${milliseconds / 86_400_000}d`
  if (milliseconds % 3_600_000 === 0) return `${milliseconds / 3_600_000}h`
  if (milliseconds % 60_000 === 0) return `${milliseconds / 60_000}m`
  if (milliseconds % 1000 === 0) return `${milliseconds / 1000}s`
  return `${milliseconds}ms`
}

function emptyPartition(): PartitionState {
  return { records: 0, accepted: 0, late: 0, rejected: new Map(), clock: 0, nextOffset: 0 }
}

function emptyWindow(): WindowState {
  const counts = { device: new Map(), locale: new Map(), version: new Map(), missing: new Map(), invalid: new Map() }
  return { count: 0, ...counts }
}

function describePartition({ records, accepted, late, rejected, clock }: PartitionState): PartitionCount {
  return { records, accepted, late, rejected: sorted(rejected), clock }
}

function describeWindow(window: WindowState): WindowCount {
  return {
    count: window.count,
    device_stats: sorted(window.device),
    location_stats: sorted(window.locale),
    app_version_stats: sorted(window.version),
    quality: { missing: sorted(window.missing), invalid: sorted(window.invalid) },
  }
}

function sorted(counts: Counts): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const byNumber = ([a]: readonly [number, unknown], [b]: readonly [number, unknown]) => a - b

function increment(counts: Counts, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function getOrMake<V>(map: Map<number, V>, key: number, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
