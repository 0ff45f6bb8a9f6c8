/**
 * The number of the rules by which an event is accepted and read into what is counted. A release that changes them counts
 * it up: a chunk begun by the old ones must not be rebuilt by the new ones.
 */
export const EVENT_RULES = 1

/** Why a record enters no window: a closed list, shared by dead letters, totals and metrics. */
export type RejectionCode =
  | 'empty_value'
  | 'too_large'
  | 'not_utf8'
  | 'too_deep'
  | 'not_json'
  | 'not_an_object'
  | `missing_${EventFieldName}`
  | `invalid_${EventFieldName}`
  | 'future_timestamp'

/** Every `error.code` of a dead letter. */
export type DeadLetterCode = RejectionCode | 'late' | 'corrupt_batch' | 'partial_too_late'

export type EventFieldName = 'user_id' | 'timestamp' | 'device_type' | 'device_id' | 'locale' | 'app_version' | 'ip'

/** Fields in the order in which they are tested; the first that fails names the rejection. */
export const EVENT_FIELDS: readonly EventFieldName[] = [
  'user_id',
  'timestamp',
  'device_type',
  'device_id',
  'locale',
  'app_version',
  'ip',
]

/** Fields whose absence never rejects an event unless VALIDATION_REQUIRED names them. */
export const OPTIONAL_FIELDS = ['device_type', 'device_id', 'locale', 'app_version', 'ip'] as const
export type OptionalField = (typeof OPTIONAL_FIELDS)[number]

/** What each code means, in one sentence without personal data: the `error.message` of a dead letter. */
export const CODE_MEANINGS: Readonly<Record<DeadLetterCode, string>> = {
  empty_value: 'the record has no value, or an empty one',
  too_large: 'the value is longer than MAX_EVENT_BYTES',
  not_utf8: 'the value is not UTF-8',
  too_deep: 'the value nests objects and arrays deeper than allowed',
  not_json: 'the value is not one JSON text; a byte order mark is not JSON',
  not_an_object: 'the value is JSON, but not an object; or the data of a CloudEvent is not',
  ...meaningsOfFields(),
  future_timestamp: "the event's time is further ahead of its record's than MAX_FUTURE_SKEW",
  late: "the event's window took no more events when it came",
  corrupt_batch: 'the record lies in a batch that cannot be read',
  partial_too_late: 'a partial came after its window could still be corrected',
}

function meaningsOfFields(): Record<`missing_${EventFieldName}` | `invalid_${EventFieldName}`, string> {
  const meanings = EVENT_FIELDS.flatMap(name => [
    [`missing_${name}`, `the required field ${name} is absent, null or empty`],
    [`invalid_${name}`, `the required field ${name} is of a wrong type, out of its bounds or not well-formed`],
  ])
  return Object.fromEntries(meanings)
}

/** The optional fields among these names, as bits in the order of OPTIONAL_FIELDS. */
export function optionalBits(names: readonly string[]): number {
  return OPTIONAL_FIELDS.reduce((bits, field, i) => bits | (Number(names.includes(field)) << i), 0)
}
