import { DAY_PARTS } from '../events/hours.ts'
import type { Schema } from './parameters.ts'

/**
 * The shapes of what the API answers, as JSON Schema 2020-12 (which OpenAPI 3.1 takes). Windows are open to further
 * fields, which a later release may write; all else is closed.
 */

const whole = { type: 'integer', minimum: 0 }
const measure = { type: 'number', minimum: 0 }
const percent = { type: 'number', minimum: 0, maximum: 100 }
const text = { type: 'string' }
const bool = { type: 'boolean' }
const time = { type: 'string', format: 'date-time' }
const status = { type: 'string', enum: ['provisional', 'final', 'corrected'] }
const orNull = (schema: Schema) => ({ anyOf: [schema, { type: 'null' }] })

/** A reference to one of SCHEMAS. */
export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

/** An object with one list. */
export function listOf(name: string, items: Schema): Schema {
  return closed({ [name]: { type: 'array', items } })
}

/** An object that always has these properties. */
function open(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  return { type: 'object', properties, required: Object.keys(properties).filter(name => !optional.includes(name)) }
}

/** An object that has these properties and no others. */
function closed(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  return { ...open(properties, optional), additionalProperties: false }
}

function arrayOf(items: Schema): Schema {
  return { type: 'array', items }
}

function hexadecimal(digits: number): Schema {
  return { type: 'string', pattern: `^[0-9a-f]{${digits}}$` }
}

const counts = { type: 'object', additionalProperties: { type: 'integer', minimum: 1 } }
const hours = { ...counts, propertyNames: { pattern: '^(1?[0-9]|2[0-3])$' } }
const parts = { ...counts, propertyNames: { enum: DAY_PARTS } }
const minAvgMax = open({ min: whole, avg: measure, max: whole })
const popular = open({ device_type: orNull(text), locale: orNull(text), app_version: orNull(text) })
const quality = open({ missing: counts, invalid: counts })
const totals = open({
  accepted: whole,
  late: whole,
  rejected: { type: 'object', additionalProperties: whole },
})
const dimensions = {
  device_stats: counts,
  location_stats: counts,
  app_version_stats: counts,
  version_category_stats: counts,
  country_stats: counts,
  region_stats: counts,
  hour_stats: hours,
  day_part_stats: parts,
}
const sessions = { started: whole, avg_seconds: measure, events_per_session: measure }
const window = open({ size: text, start: time, end: time })
const share = ref('Share')
const shares = arrayOf(share)
const ranking = {
  top: shares,
  distinct: whole,
  most_popular: orNull(text),
  least_popular: orNull(text),
  other: closed({ count: whole, percent }),
}

const result = open(
  {
    v: { const: 1 },
    generation: { type: 'integer', minimum: 1 },
    window,
    status,
    revision: whole,
    exact: bool,
    current_time: time,
    time_window: text,
    batch_size: whole,
    ...dimensions,
    users: open({ distinct: whole, exact: bool, relative_error: measure, devices: whole, logins_per_user: minAvgMax }),
    sessions: open({ ...sessions, active: whole }),
    most_popular: popular,
    least_popular: popular,
    quality,
    stream_totals: totals,
    coverage: {
      type: 'object',
      propertyNames: { pattern: '^[0-9]+$' },
      additionalProperties: open(
        {
          from: whole,
          clock_at_from: time,
          through: whole,
          gaps: arrayOf({ type: 'array', items: whole, minItems: 2, maxItems: 2 }),
        },
        ['gaps'],
      ),
    },
    // The span under which it was told.
    trace: open({ trace_id: hexadecimal(32), span_id: hexadecimal(16) }),
  },
  ['trace'],
)

const insights = closed({
  scope: closed({
    window: orNull(window),
    status,
    from: orNull(time),
    to: orNull(time),
    exact: bool,
    logins: whole,
  }),
  user_engagement: closed({
    users: closed({ at_least: whole, at_most: whole, exact: bool, relative_error: measure }),
    devices: orNull(whole),
    logins_per_user: orNull(minAvgMax),
    sessions: open({ ...sessions, active: orNull(whole) }),
    by_hour: shares,
    by_day_part: shares,
    peak_hour: orNull({ type: 'integer', minimum: 0, maximum: 23 }),
  }),
  platform_analytics: closed(ranking),
  version_adoption: closed({ ...ranking, categories: shares, newest_category: orNull(share) }),
  geographic_distribution: closed({
    ...ranking,
    states: shares,
    most_logins: orNull(share),
    fewest_logins: orNull(share),
    countries: shares,
    regions: shares,
  }),
  data_quality: closed({ missing: shares, invalid: shares, stream: ref('StreamQuality') }),
})

const problem = closed({
  error: closed(
    {
      code: text,
      message: text,
      parameters: arrayOf(closed({ name: text, value: orNull(text), allowed: text })),
      sizes: arrayOf(ref('Size')),
    },
    ['parameters', 'sizes'],
  ),
})

/** By the names under which they stand in the OpenAPI document. */
export const SCHEMAS = {
  Result: result,
  WindowList: closed({
    size: text,
    order: { type: 'string', enum: ['asc', 'desc'] },
    count: whole,
    next: orNull(text),
    windows: arrayOf(ref('Result')),
  }),
  Share: closed({ name: text, count: whole, percent: measure }),
  StreamQuality: closed({
    records: whole,
    accepted: whole,
    late: whole,
    rejected: whole,
    accepted_percent: percent,
    late_percent: percent,
    rejected_percent: percent,
    rejected_by_code: shares,
  }),
  Insights: insights,
  History: closed({
    from: orNull(time),
    to: orNull(time),
    windows: counts,
    provisional: whole,
    exact: bool,
    logins: whole,
    ...dimensions,
    users: closed({ at_least: whole, at_most: whole }),
    sessions: closed(sessions),
    most_popular: popular,
    least_popular: popular,
    quality,
    stream_totals: totals,
  }),
  Quality: closed({
    size: text,
    from: orNull(time),
    to: orNull(time),
    windows: whole,
    logins: whole,
    exact: bool,
    missing: shares,
    invalid: shares,
    stream: orNull(ref('StreamQuality')),
    next: orNull(text),
    by_window: arrayOf(closed({ start: time, status, exact: bool, logins: whole, missing: counts, invalid: counts })),
  }),
  Size: closed({
    size: text,
    windows: whole,
    first: orNull(time),
    last: orNull(time),
    last_final: orNull(time),
  }),
  Problem: problem,
} as const satisfies Readonly<Record<string, Schema>>
