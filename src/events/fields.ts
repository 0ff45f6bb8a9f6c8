import { CODE_MEANINGS, EVENT_FIELDS, type EventFieldName } from './codes.ts'

/** What stands for a missing or invalid optional field. */
export const UNKNOWN = 'unknown'

/** The longest texts that fields may hold, in UTF-16 units. A device type may be a whole user agent. */
export const MAX_LENGTHS: Readonly<Record<Exclude<EventFieldName, 'timestamp'>, number>> = {
  user_id: 256,
  device_type: 512,
  device_id: 64,
  locale: 64,
  app_version: 64,
  ip: 64,
}

/** How deep objects and arrays may nest when nothing else is set; the event itself is level 1. */
export const DEFAULT_MAX_DEPTH = 64

/** What is written about one field; texts are Markdown. */
type FieldRules = {
  readonly required: 'always' | 'by setting'
  readonly accepted: string
  readonly enriched: string
}

const text = (name: keyof typeof MAX_LENGTHS) => `text of at most ${MAX_LENGTHS[name]} UTF-16 units`

/** The fields that an event brings. */
const INCOMING: Readonly<Record<EventFieldName, FieldRules>> = {
  user_id: {
    required: 'always',
    accepted: `${text('user_id')}, or a whole number up to ±(2^53 - 1), which is taken as its decimal text`,
    enriched: "as text; its HMAC-SHA-256 instead when user ids are hashed. Also the record's key",
  },
  timestamp: {
    required: 'always',
    accepted:
      'epoch seconds, or milliseconds when >= 1e11, as a number or as digits; or ISO 8601 (without a zone: UTC). From 1970 to 9999. ' +
      "Of a CloudEvent that has none, the envelope's `time`",
    enriched: 'epoch seconds, a whole number (the fraction is dropped)',
  },
  device_type: {
    required: 'by setting',
    accepted: text('device_type'),
    enriched: '`android`, `ios`, `web`, `tv`, `other` or `unknown`, by the table below; counted so, too',
  },
  device_id: { required: 'by setting', accepted: text('device_id'), enriched: 'as it came' },
  locale: { required: 'by setting', accepted: text('locale'), enriched: 'as it came' },
  app_version: {
    required: 'by setting',
    accepted: `${text('app_version')}; a number is invalid, since 2.10 written as a number is 2.1`,
    enriched: 'as it came',
  },
  ip: {
    required: 'by setting',
    accepted: 'an IPv4 or IPv6 address as text, without port, brackets or zone',
    enriched:
      'masked: IPv4 to /24 as `199.172.111.0`, IPv6 to /48 as `2001:db8:1::`; IPv4 inside of IPv6 (`::ffff:`) as IPv4, ' +
      'and 6to4, which holds an IPv4 address, to /40',
  },
}

/** The fields that enrichment adds after the incoming ones, in this order; an incoming field of such a name is replaced. */
export const ADDED_FIELDS = [
  'processed_timestamp',
  'readable_timestamp',
  'hour_of_day',
  'day_part',
  'version_category',
  'locale_kind',
  'country',
  'region',
] as const

const ADDED: Readonly<Record<(typeof ADDED_FIELDS)[number], string>> = {
  processed_timestamp: 'when the event was enriched, ISO 8601 in UTC',
  readable_timestamp: "the event's time, ISO 8601 in UTC with milliseconds",
  hour_of_day: "hour of the event's time, 0 to 23, in UTC or the time zone set",
  day_part: '`night` (hours 0-5), `morning` (6-11), `afternoon` (12-17) or `evening` (18-23)',
  version_category: '`major.minor` of the first version number in `app_version`, else `unknown`',
  locale_kind:
    '`state` when `locale` names a US state or the District of Columbia (`NY`, `US-NY`; `CA` is California), `country` (`RU`, `en-CA`), ' +
    '`other`, or `unknown`',
  country: "ISO 3166 alpha-2 code of the whole address's country, else `unknown`",
  region: "ISO 3166-2 code of the address's region (`US-NY`) where the database knows regions, else `unknown`",
}

/** The reference of a login event's fields, as a Markdown table for the README. */
export function eventTable(): string {
  const incoming = EVENT_FIELDS.map(name => {
    const { required, accepted, enriched } = INCOMING[name]
    return row(`\`${name}\``, required, accepted, enriched)
  })
  const added = ADDED_FIELDS.map(name => row(`\`${name}\``, 'made', '', ADDED[name]))
  return [
    row('Field', 'Required', 'Accepted', 'In the enriched record'),
    row('---', '---', '---', '---'),
    ...incoming,
    row('any other', 'no', 'any JSON', 'as it came'),
    ...added,
  ].join('\n')
}

/** The closed list of codes, as a Markdown table. */
export function codeTable(): string {
  const codes = Object.entries(CODE_MEANINGS).map(([code, meaning]) => row(`\`${code}\``, meaning))
  return [row('Code', 'Meaning'), row('---', '---'), ...codes].join('\n')
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
