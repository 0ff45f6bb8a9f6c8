import type { Insights } from '../results/insights.ts'
import type { Counts, Result } from '../results/result.ts'

export type Cell = string | number | boolean | null

/** A first character by which a spreadsheet takes a text for a formula. */
const FORMULA = /^[=+\-@\t\r\n]/
const QUOTED = /[",\r\n]/

/** A table as CSV (RFC 4180, UTF-8): a text that a spreadsheet would compute begins with an apostrophe. */
export function csvOf(head: readonly string[], rows: Iterable<readonly Cell[]>): string {
  let csv = `${head.join(',')}\r\n`
  for (const row of rows) csv += `${row.map(cellText).join(',')}\r\n`
  return csv
}

function cellText(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell !== 'string') return String(cell)
  const safe = FORMULA.test(cell) ? `'${cell}` : cell
  return QUOTED.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

type Column = readonly [name: string, value: (result: Result) => Cell]

const counts = (name: string, read: (result: Result) => Counts): Column => [
  name,
  result => JSON.stringify(read(result)),
]

/** A window as a row. Counts by value are JSON objects in one cell each. */
const COLUMNS: readonly Column[] = [
  ['window_size', ({ window }) => window.size],
  ['window_start', ({ window }) => window.start],
  ['window_end', ({ window }) => window.end],
  ['generation', ({ generation }) => generation],
  ['status', ({ status }) => status],
  ['revision', ({ revision }) => revision],
  ['exact', ({ exact }) => exact],
  ['current_time', ({ current_time }) => current_time],
  ['batch_size', ({ batch_size }) => batch_size],
  ['users', ({ users }) => users.distinct],
  ['users_exact', ({ users }) => users.exact],
  ['users_relative_error', ({ users }) => users.relative_error],
  ['devices', ({ users }) => users.devices],
  ['logins_per_user_min', ({ users }) => users.logins_per_user.min],
  ['logins_per_user_avg', ({ users }) => users.logins_per_user.avg],
  ['logins_per_user_max', ({ users }) => users.logins_per_user.max],
  ['sessions_started', ({ sessions }) => sessions.started],
  ['sessions_active', ({ sessions }) => sessions.active],
  ['session_avg_seconds', ({ sessions }) => sessions.avg_seconds],
  ['session_avg_events', ({ sessions }) => sessions.events_per_session],
  ['most_popular_device_type', ({ most_popular }) => most_popular.device_type],
  ['most_popular_locale', ({ most_popular }) => most_popular.locale],
  ['most_popular_app_version', ({ most_popular }) => most_popular.app_version],
  ['least_popular_device_type', ({ least_popular }) => least_popular.device_type],
  ['least_popular_locale', ({ least_popular }) => least_popular.locale],
  ['least_popular_app_version', ({ least_popular }) => least_popular.app_version],
  ['stream_accepted', ({ stream_totals }) => stream_totals.accepted],
  ['stream_late', ({ stream_totals }) => stream_totals.late],
  ['stream_rejected', ({ stream_totals }) => Object.values(stream_totals.rejected).reduce((sum, n) => sum + n, 0)],
  counts('device_stats', result => result.device_stats),
  counts('location_stats', result => result.location_stats),
  counts('app_version_stats', result => result.app_version_stats),
  counts('version_category_stats', result => result.version_category_stats),
  counts('country_stats', result => result.country_stats),
  counts('region_stats', result => result.region_stats),
  counts('hour_stats', result => result.hour_stats),
  counts('day_part_stats', result => result.day_part_stats),
  counts('missing', result => result.quality.missing),
  counts('invalid', result => result.quality.invalid),
]

/** A row for each window. */
export function windowsCsv(results: readonly Result[]): string {
  const rows = results.map(result => COLUMNS.map(([, value]) => value(result)))
  return csvOf(
    COLUMNS.map(([name]) => name),
    rows,
  )
}

type Tree = { readonly [name: string]: unknown }

/** Objects under these names are counts by a value's name, and not measures of their own. */
const COUNTS_BY_NAME = /^(?:\w+_stats|missing|invalid|rejected|windows)$/

/**
 * A tree of measures (insights, all of history) as a table: a row for each measure, and for each named value of a
 * measure that has many.
 */
export function measuresCsv(tree: Insights | Tree): string {
  return csvOf(['measure', 'name', 'value', 'percent'], measureRows(tree as Tree, []))
}

function* measureRows(tree: Tree, path: readonly string[]): Iterable<readonly Cell[]> {
  for (const [name, value] of Object.entries(tree)) {
    const measure = [...path, name].join('.')
    if (typeof value !== 'object' || value === null) yield [measure, null, value as Cell, null]
    else if (COUNTS_BY_NAME.test(name) && !Array.isArray(value)) {
      for (const [each, count] of Object.entries(value)) yield [measure, each, count as number, null]
    } else if (isShare(value)) yield [measure, value.name, value.count, value.percent]
    else if (Array.isArray(value)) {
      for (const share of value.filter(isShare)) yield [measure, share.name, share.count, share.percent]
    } else yield* measureRows(value as Tree, [...path, name])
  }
}

function isShare(value: object): value is { name: string; count: number; percent: number } {
  return 'name' in value && 'count' in value && 'percent' in value
}
