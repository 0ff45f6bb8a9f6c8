import { hashText53 } from '../aggregate/hash.ts'
import { binaryTime, type HeaderLookup, isEnvelope } from './cloudEvent.ts'
import { EVENT_FIELDS, OPTIONAL_FIELDS, type OptionalField, optionalBits, type RejectionCode } from './codes.ts'
import { nestsDeeper } from './depth.ts'
import { DEFAULT_MAX_DEPTH, MAX_LENGTHS, UNKNOWN } from './fields.ts'
import { DEVICES, LOCALES, UNKNOWN_DEVICE, UNKNOWN_LOCALE, UNKNOWN_VERSION, VERSIONS } from './fieldTerms.ts'
import { isIp, readIpv4 } from './ip.ts'
import type { JsonObject, LoginEvent } from './loginEvent.ts'
import { EventScanner } from './scan.ts'
import { parseTimestamp } from './timestamp.ts'

export { emptyEvent, type JsonObject, type LoginEvent } from './loginEvent.ts'

const OPTIONAL_LENGTHS = OPTIONAL_FIELDS.map(name => MAX_LENGTHS[name])
const IP = OPTIONAL_FIELDS.indexOf('ip')

export type EventRules = {
  readonly maxEventBytes: number
  /** How deep objects and arrays may nest, the event itself being level 1; DEFAULT_MAX_DEPTH when left out. */
  readonly maxEventDepth?: number
  /** Fields whose absence or invalidity rejects the event; user_id and timestamp always do. */
  readonly validationRequired: readonly string[]
}

/**
 * Fills `event` from one record's value and returns null, or returns why it cannot be one. It asks for headers only where
 * an event by itself is not enough, as with CloudEvents.
 */
export type EventParser = (
  bytes: Uint8Array,
  start: number,
  end: number,
  event: LoginEvent,
  headers?: HeaderLookup,
) => RejectionCode | null

/**
 * Compiles the parser of login events: bytes [start, end) hold one JSON object in UTF-8; start -1 is a null value. What is
 * usual is read in place, all else by the full parser, and both read alike.
 * @param keepFields whether `event.fields` and `event.members` tell all that came, which counting alone does not need
 */
export function createEventParser(rules: EventRules, keepFields = false): EventParser {
  const full = createFullParser(rules, keepFields)
  const { maxEventBytes, maxEventDepth: maxDepth = DEFAULT_MAX_DEPTH } = rules
  const required = optionalBits(rules.validationRequired)
  const scanner = new EventScanner({ required, maxDepth, keepFields })
  return (bytes, start, end, event, headers) => {
    if (start < 0 || end <= start) return 'empty_value'
    if (end - start > maxEventBytes) return 'too_large'
    if (maxDepth > 0 && scanner.scan(bytes, start, end, event)) return null
    return full(bytes, start, end, event, headers)
  }
}

/** The same by strict UTF-8 and JSON.parse, which read whatever there is. */
export function createFullParser(rules: EventRules, keepFields = false): EventParser {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const required = EVENT_FIELDS.map(field => rules.validationRequired.includes(field))
  const maxDepth = rules.maxEventDepth ?? DEFAULT_MAX_DEPTH
  return (bytes, start, end, event, headers) => {
    if (start < 0 || end <= start) return 'empty_value'
    if (end - start > rules.maxEventBytes) return 'too_large'
    let text: string
    try {
      text = decoder.decode(bytes.subarray(start, end))
    } catch {
      return 'not_utf8'
    }
    if (nestsDeeper(text, maxDepth)) return 'too_deep'
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return 'not_json'
    }
    if (!isObject(value)) return 'not_an_object'
    let fields = value
    let time = value.timestamp
    event.traceparent = null
    if (isEnvelope(value, headers)) {
      if (!isObject(value.data)) return 'not_an_object'
      fields = value.data
      time = isMissing(fields.timestamp) ? value.time : fields.timestamp
      if (typeof value.traceparent === 'string') event.traceparent = value.traceparent
    } else if (isMissing(time)) time = binaryTime(headers)
    event.hold(bytes)
    event.start = start
    event.end = end
    event.place = null
    event.keepsFields = keepFields
    event.knownFields = keepFields ? fields : null
    // Strict UTF-8 holds no half of a surrogate pair: only an escape can bring one.
    return readFields(fields, time, text.includes('\\u'), required, event)
  }
}

function readFields(
  value: JsonObject,
  timestamp: unknown,
  escapes: boolean,
  required: readonly boolean[],
  event: LoginEvent,
): RejectionCode | null {
  const userId = value.user_id
  if (isMissing(userId)) return 'missing_user_id'
  if (!isUserId(userId, escapes)) return 'invalid_user_id'
  if (isMissing(timestamp)) return 'missing_timestamp'
  const timeMs = parseTimestamp(timestamp)
  if (timeMs < 0) return 'invalid_timestamp'
  let missing = 0
  let invalid = 0
  for (let i = 0; i < OPTIONAL_FIELDS.length; i++) {
    const name = OPTIONAL_FIELDS[i] as OptionalField
    const field = value[name]
    if (typeof field === 'string' && field !== '' && isValid(i, field, escapes)) continue
    const absent = isMissing(field)
    // EVENT_FIELDS begins with user_id and timestamp, then the optional fields in this order.
    if (required[i + 2]) return `${absent ? 'missing' : 'invalid'}_${name}`
    if (absent) missing |= 1 << i
    else invalid |= 1 << i
  }
  event.timeMs = timeMs
  event.missing = missing
  event.invalid = invalid
  fill(event, value, String(userId), missing | invalid)
  return null
}

/** Fills in what is known as texts only. `bad` are the fields that are unknown, as bits of OPTIONAL_FIELDS. */
function fill(event: LoginEvent, value: JsonObject, userId: string, bad: number): void {
  event.device = bad & 1 ? UNKNOWN_DEVICE : DEVICES.ofText(value.device_type as string)
  event.localeTerm = bad & 4 ? UNKNOWN_LOCALE : LOCALES.ofText(value.locale as string)
  event.version = bad & 8 ? UNKNOWN_VERSION : VERSIONS.ofText(value.app_version as string)
  event.userText = userId
  event.deviceIdText = bad & 2 ? UNKNOWN : (value.device_id as string)
  event.ipText = bad & 16 ? UNKNOWN : (value.ip as string)
  event.userHash = hashText53(userId)
  event.ipv4 = readIpv4(event.ipText)
  event.userStart = -1
  event.deviceIdStart = -1
  event.ipStart = -1
  event.memberCount = -1
}

function isUserId(value: unknown, escapes: boolean): boolean {
  if (typeof value !== 'string') return Number.isSafeInteger(value)
  return value.length <= MAX_LENGTHS.user_id && isText(value, escapes)
}

/** Whether a text may stand in the optional field of that number. */
function isValid(field: number, value: string, escapes: boolean): boolean {
  if (value.length > (OPTIONAL_LENGTHS[field] as number)) return false
  return field === IP ? isIp(value) : isText(value, escapes)
}

/** Whether the text can be written in UTF-8: half a surrogate pair cannot, and would make two users one. */
function isText(value: string, escapes: boolean): boolean {
  return !escapes || value.isWellFormed()
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isMissing(field: unknown): boolean {
  return field === undefined || field === null || field === ''
}
