/** Why a record enters no window: a closed list, shared by dead letters, totals and metrics. */
export type RejectionCode =
  | 'empty_value'
  | 'too_large'
  | 'not_utf8'
  | 'not_json'
  | 'not_an_object'
  | `missing_${EventFieldName}`
  | `invalid_${EventFieldName}`
  | 'future_timestamp'

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
