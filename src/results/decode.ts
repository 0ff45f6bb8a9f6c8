import { DAY_PARTS } from '../events/hours.ts'
import { windowSizeText } from '../windows/windows.ts'
import type { Result } from './result.ts'

/** The longest name of a counted value, in UTF-16 units; far above what an event's fields may hold. */
const MAX_NAME_LENGTH = 1_024
/** With a year of six digits. */
const MAX_TIME_LENGTH = 27
const STATUSES: ReadonlySet<unknown> = new Set(['provisional', 'final', 'corrected'])
const HOURS: ReadonlySet<string> = new Set(Array.from({ length: 24 }, (_, hour) => String(hour)))
const PARTS: ReadonlySet<string> = new Set(DAY_PARTS)
const TRACE_ID = /^[0-9a-f]{32}$/
const SPAN_ID = /^[0-9a-f]{16}$/
const PARTITION = /^(?:0|[1-9]\d{0,9})$/
/** The counts by dimension that may have any value's name. */
const NAMED_COUNTS = [
  'device_stats',
  'location_stats',
  'app_version_stats',
  'version_category_stats',
  'country_stats',
  'region_stats',
] as const

const decoder = new TextDecoder('utf-8', { fatal: true })

type Fields = Readonly<Record<string, unknown>>

/** The key of a result in its topic: `10s/2023-09-12T00:12:30.000Z`. */
export function resultKey({ window }: Pick<Result, 'window'>): string {
  return `${window.size}/${window.start}`
}

/**
 * Reads the value of a record of the results topic. Everything that the type says is checked, so that a reader needs no
 * guards of its own: counts are whole and safe, times are ISO 8601 in UTC as `toISOString` writes them, and the size is
 * the window's own length, so that `resultKey` is the one key that the window can have. Fields that are not known are
 * left in place. Counted values may be named like a property of every object (`__proto__`, `constructor`): such maps are
 * to be read by `Object.entries` and `Object.hasOwn` alone.
 * @param value UTF-8 JSON
 * @returns null when it is not a result of version 1: somebody else's record, or a damaged one
 */
export function decodeResult(value: Uint8Array): Result | null {
  let json: unknown
  try {
    json = JSON.parse(decoder.decode(value))
  } catch {
    return null
  }
  return isResult(json) ? json : null
}

/** Whether a value of JSON is a result of version 1; see decodeResult. */
export function isResult(json: unknown): json is Result {
  if (!isFields(json) || json.v !== 1 || !isAtLeast(json.generation, 1)) return false
  return isHead(json) && isCounted(json) && isOfUsers(json) && isOrigin(json) && isTrace(json.trace)
}

function isHead(json: Fields): boolean {
  const { window } = json
  if (!isFields(window) || typeof window.size !== 'string' || !isTime(window.start) || !isTime(window.end)) return false
  const [startMs, endMs] = [Date.parse(window.start), Date.parse(window.end)]
  return (
    startMs >= 0 &&
    endMs > startMs &&
    windowSizeText(endMs - startMs) === window.size &&
    json.time_window === `${window.start}/${window.end}` &&
    STATUSES.has(json.status) &&
    isAtLeast(json.revision, 0) &&
    typeof json.exact === 'boolean' &&
    isTime(json.current_time) &&
    isAtLeast(json.batch_size, 0)
  )
}

function isCounted(json: Fields): boolean {
  const { quality, hour_stats, day_part_stats, most_popular, least_popular } = json
  return (
    NAMED_COUNTS.every(name => isCounts(json[name])) &&
    isCounts(hour_stats, name => HOURS.has(name)) &&
    isCounts(day_part_stats, name => PARTS.has(name)) &&
    isPopular(most_popular) &&
    isPopular(least_popular) &&
    isFields(quality) &&
    isCounts(quality.missing) &&
    isCounts(quality.invalid)
  )
}

function isOfUsers({ users, sessions }: Fields): boolean {
  if (!isFields(users) || !isFields(users.logins_per_user) || !isFields(sessions)) return false
  const { min, avg, max } = users.logins_per_user
  return (
    isAtLeast(users.distinct, 0) &&
    typeof users.exact === 'boolean' &&
    isMeasure(users.relative_error) &&
    isAtLeast(users.devices, 0) &&
    isAtLeast(min, 0) &&
    isMeasure(avg) &&
    isAtLeast(max, 0) &&
    isAtLeast(sessions.started, 0) &&
    isAtLeast(sessions.active, 0) &&
    isMeasure(sessions.avg_seconds) &&
    isMeasure(sessions.events_per_session)
  )
}

function isOrigin({ stream_totals: totals, coverage }: Fields): boolean {
  return (
    isFields(totals) &&
    isAtLeast(totals.accepted, 0) &&
    isAtLeast(totals.late, 0) &&
    isFields(totals.rejected) &&
    Object.entries(totals.rejected).every(([code, count]) => isName(code) && isAtLeast(count, 0)) &&
    isFields(coverage) &&
    Object.entries(coverage).every(([partition, covered]) => PARTITION.test(partition) && isCovered(covered))
  )
}

/** Of a result that was told under a span. */
function isTrace(trace: unknown): boolean {
  if (trace === undefined) return true
  return isFields(trace) && isId(trace.trace_id, TRACE_ID) && isId(trace.span_id, SPAN_ID)
}

function isId(id: unknown, format: RegExp): boolean {
  return typeof id === 'string' && format.test(id)
}

function isCovered(covered: unknown): boolean {
  if (!isFields(covered)) return false
  const { from, through, clock_at_from: clock, gaps } = covered
  return (
    isRange([from, through]) && isTime(clock) && (gaps === undefined || (Array.isArray(gaps) && gaps.every(isRange)))
  )
}

/** Offsets [from, to), perhaps none. */
function isRange(range: unknown): boolean {
  if (!Array.isArray(range) || range.length !== 2) return false
  const [from, to] = range as [unknown, unknown]
  return isAtLeast(from, 0) && isAtLeast(to, from)
}

function isPopular(popular: unknown): boolean {
  if (!isFields(popular)) return false
  const { device_type, locale, app_version } = popular
  return [device_type, locale, app_version].every(name => name === null || (typeof name === 'string' && isName(name)))
}

/** Counts of 1 and more by name. */
function isCounts(counts: unknown, allowed: (name: string) => boolean = isName): boolean {
  if (!isFields(counts)) return false
  // Most of a result is this: lists of its names and values would take as long as its JSON does.
  for (const name in counts) if (!allowed(name) || !isAtLeast(counts[name], 1)) return false
  return true
}

/** Half a surrogate pair is no text that could be written again. */
function isName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && name.isWellFormed()
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isAtLeast(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least
}

function isMeasure(value: unknown): boolean {
  return Number.isFinite(value) && (value as number) >= 0
}

function isTime(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > MAX_TIME_LENGTH) return false
  const timeMs = Date.parse(value)
  return !Number.isNaN(timeMs) && new Date(timeMs).toISOString() === value
}
