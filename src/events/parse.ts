import { EVENT_FIELDS, OPTIONAL_FIELDS, type OptionalField, type RejectionCode } from './codes.ts'
import { parseTimestamp } from './timestamp.ts'

/** What stands for a missing or invalid optional field. */
export const UNKNOWN = 'unknown'
const MAX_FIELD_LENGTH = 64
const MAX_USER_ID_LENGTH = 256

/** A login event as the aggregate counts it. One object is filled again and again: read it before the next parse. */
export type LoginEvent = {
  userId: string
  /** Event time, epoch milliseconds. */
  timeMs: number
  deviceType: string
  locale: string
  appVersion: string
  /** Optional fields that were absent, null or empty, and those of a wrong type or out of bounds, as bits of OPTIONAL_FIELDS. */
  missing: number
  invalid: number
}

export type EventRules = {
  readonly maxEventBytes: number
  /** Fields whose absence or invalidity rejects the event; user_id and timestamp always do. */
  readonly validationRequired: readonly string[]
}

/** Fills `event` from one record's value and returns null, or returns why it cannot be one. */
export type EventParser = (bytes: Uint8Array, start: number, end: number, event: LoginEvent) => RejectionCode | null

export function emptyEvent(): LoginEvent {
  return { userId: '', timeMs: 0, deviceType: UNKNOWN, locale: UNKNOWN, appVersion: UNKNOWN, missing: 0, invalid: 0 }
}

/** Compiles the parser of login events: bytes [start, end) hold one JSON object in UTF-8; start -1 is a null value. */
export function createEventParser(rules: EventRules): EventParser {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const required = EVENT_FIELDS.map(field => rules.validationRequired.includes(field))
  return (bytes, start, end, event) => {
    if (start < 0 || end <= start) return 'empty_value'
    if (end - start > rules.maxEventBytes) return 'too_large'
    let text: string
    try {
      text = decoder.decode(bytes.subarray(start, end))
    } catch {
      return 'not_utf8'
    }
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return 'not_json'
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not_an_object'
    return readFields(value as Record<string, unknown>, required, event)
  }
}

function readFields(
  value: Record<string, unknown>,
  required: readonly boolean[],
  event: LoginEvent,
): RejectionCode | null {
  const userId = value.user_id
  if (isMissing(userId)) return 'missing_user_id'
  if (typeof userId === 'string' ? userId.length > MAX_USER_ID_LENGTH : !Number.isSafeInteger(userId)) {
    return 'invalid_user_id'
  }
  if (isMissing(value.timestamp)) return 'missing_timestamp'
  const timeMs = parseTimestamp(value.timestamp)
  if (timeMs < 0) return 'invalid_timestamp'
  let missing = 0
  let invalid = 0
  for (let i = 0; i < OPTIONAL_FIELDS.length; i++) {
    const name = OPTIONAL_FIELDS[i] as OptionalField
    const field = value[name]
    if (typeof field === 'string' && field !== '' && field.length <= MAX_FIELD_LENGTH) continue
    const absent = isMissing(field)
    // EVENT_FIELDS begins with user_id and timestamp, then the optional fields in this order.
    if (required[i + 2]) return `${absent ? 'missing' : 'invalid'}_${name}`
    if (absent) missing |= 1 << i
    else invalid |= 1 << i
  }
  const bad = missing | invalid
  event.userId = String(userId)
  event.timeMs = timeMs
  event.deviceType = bad & 1 ? UNKNOWN : (value.device_type as string)
  event.locale = bad & 4 ? UNKNOWN : (value.locale as string)
  event.appVersion = bad & 8 ? UNKNOWN : (value.app_version as string)
  event.missing = missing
  event.invalid = invalid
  return null
}

function isMissing(field: unknown): boolean {
  return field === undefined || field === null || field === ''
}
