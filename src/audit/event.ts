import { isUtf8 } from 'node:buffer'
import { isIP } from 'node:net'

/** What decides whether a record is a login event, and its time. */
export type EventReadingRules = {
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
  /** In their order, or by name. Of a header that comes more than once the last counts. */
  readonly headers?: readonly RecountHeader[] | RecountHeaders
}

export type RecountHeader = readonly [name: string, value: string | Uint8Array | null]

/** By name, each with one value or several. */
export type RecountHeaders = {
  readonly [name: string]: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
}

/** All fields of an event as JSON.parse gives them, of a CloudEvent those of its data; and its time, epoch milliseconds. */
export type RecountedEvent = { readonly fields: EventFields; readonly time: number }
export type EventFields = { readonly [name: string]: unknown }

export const OPTIONAL_FIELDS = ['device_type', 'device_id', 'locale', 'app_version', 'ip'] as const
export type OptionalField = (typeof OPTIONAL_FIELDS)[number]

const DEFAULT_DEPTH = 64
const OPEN_BRACKET = 0x5b
const OPEN_BRACE = 0x7b
const MAX_USER_ID_LENGTH = 256
const MAX_FIELD_LENGTH = 64
/** A device type may be a browser's whole signature. */
const MAX_DEVICE_TYPE_LENGTH = 512
const MILLISECONDS_FROM = 1e11
const LAST_MOMENT = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * The naive reading of one record: the event, or the code for which it is rejected. Like the recount it is written from the
 * rules alone and shares nothing with src/events.
 */
export function readEvent(record: RecountRecord, rules: EventReadingRules): RecountedEvent | string {
  const whole = readObject(record.value, rules)
  if (typeof whole === 'string') return whole
  const unwrapped = unwrap(whole, listHeaders(record.headers))
  if (unwrapped === null) return 'not_an_object'
  const { fields, timestamp } = unwrapped
  if (isMissing(fields.user_id)) return 'missing_user_id'
  if (!isUserId(fields.user_id)) return 'invalid_user_id'
  if (isMissing(timestamp)) return 'missing_timestamp'
  const time = readTimestamp(timestamp)
  if (time === null) return 'invalid_timestamp'
  for (const name of OPTIONAL_FIELDS) {
    if (!rules.validationRequired.includes(name)) continue
    if (isMissing(fields[name])) return `missing_${name}`
    if (!isValid(name, fields[name])) return `invalid_${name}`
  }
  if (time > record.timestamp + rules.maxFutureSkewMs) return 'future_timestamp'
  return { fields, time }
}

function readObject(value: Uint8Array | null, rules: EventReadingRules): EventFields | string {
  if (value === null || value.length === 0) return 'empty_value'
  if (value.length > rules.maxEventBytes) return 'too_large'
  if (!isUtf8(value)) return 'not_utf8'
  if (isDeeper(value, rules.maxEventDepth ?? DEFAULT_DEPTH)) return 'too_deep'
  let parsed: unknown
  try {
    // `toString` leaves a byte order mark in the text, and JSON.parse refuses it.
    parsed = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString())
  } catch {
    return 'not_json'
  }
  return isObject(parsed) ? parsed : 'not_an_object'
}

const isObject = (value: unknown): value is EventFields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function isDeeper(value: Uint8Array, limit: number): boolean {
  let opening = 0
  for (let i = 0; i < value.length; i++) if (value[i] === OPEN_BRACKET || value[i] === OPEN_BRACE) opening++
  // Most values have too few brackets to be deep, wherever they stand.
  return opening > limit && depthOf(value) > limit
}

/** The most brackets that are ever open at once. Bytes of ASCII mean themselves everywhere in UTF-8. */
function depthOf(value: Uint8Array): number {
  const quote = 0x22
  const backslash = 0x5c
  const opening = (byte: number) => byte === OPEN_BRACKET || byte === OPEN_BRACE
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
function unwrap(
  value: EventFields,
  headers: readonly RecountHeader[],
): { fields: EventFields; timestamp: unknown } | null {
  const isStructured =
    typeof value.specversion === 'string' ||
    /^application\/cloudevents\+json\s*($|;)/i.test(lastText(headers, 'content-type') ?? '')
  if (isStructured && value.data !== undefined && value.user_id === undefined) {
    if (!isObject(value.data)) return null
    const { timestamp } = value.data
    return { fields: value.data, timestamp: isMissing(timestamp) ? value.time : timestamp }
  }
  const isBinary = lastText(headers, 'ce_specversion') !== undefined
  const timestamp = isMissing(value.timestamp) && isBinary ? lastText(headers, 'ce_time') : value.timestamp
  return { fields: value, timestamp }
}

/** The headers one by one. */
export function listHeaders(headers: RecountRecord['headers']): readonly RecountHeader[] {
  if (headers === undefined) return []
  if (isList(headers)) return headers
  return Object.entries(headers).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map(value => [name, value ?? null] as const),
  )
}

const isList = (headers: NonNullable<RecountRecord['headers']>): headers is readonly RecountHeader[] =>
  Array.isArray(headers)

function lastText(headers: readonly RecountHeader[], name: string): string | undefined {
  const last = headers.findLast(header => header[0] === name)?.[1]
  return typeof last === 'string' || last === undefined || last === null
    ? (last ?? undefined)
    : Buffer.from(last).toString()
}

export const isMissing = (value: unknown) => value === undefined || value === null || value === ''

/** Half a surrogate pair is no character, and cannot be written in UTF-8. */
const isText = (value: unknown, maxLength: number): value is string =>
  typeof value === 'string' && value.length <= maxLength && !/\p{Surrogate}/u.test(value)

/** Whether a value that is not missing may stand in the field. */
export function isValid(name: OptionalField, value: unknown): boolean {
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

/** What counts for an optional field: what came, or `unknown`. */
export function knownText(fields: EventFields, name: OptionalField): string {
  return isMissing(fields[name]) || !isValid(name, fields[name]) ? 'unknown' : String(fields[name])
}
