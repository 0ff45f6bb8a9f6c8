import { DAY_PARTS } from '../events/hours.ts'
import { localeKindOf } from '../events/locale.ts'
import { type History, ranked } from './history.ts'
import type { Counts, MinAvgMax, Popular, Result, ResultStatus } from './result.ts'

/** A counted name and its share of all logins (or of all records, where that is said), in percent to 2 decimals. */
export type Share = { readonly name: string; readonly count: number; readonly percent: number }

/** What a window, or all of history, tells about its users, platforms, versions, places and data. */
export type Insights = {
  readonly scope: {
    /** Null of all history. */
    readonly window: Result['window'] | null
    /** Of all history `provisional` when one of its windows is, else `final`. */
    readonly status: ResultStatus
    readonly from: string | null
    readonly to: string | null
    readonly exact: boolean
    readonly logins: number
  }
  readonly user_engagement: {
    /** Between these two the number lies; they are equal within one window. */
    readonly users: {
      readonly at_least: number
      readonly at_most: number
      readonly exact: boolean
      readonly relative_error: number
    }
    /** Null of all history, as the next. */
    readonly devices: number | null
    readonly logins_per_user: MinAvgMax | null
    readonly sessions: {
      readonly started: number
      readonly active: number | null
      readonly avg_seconds: number
      readonly events_per_session: number
    }
    /** By hour of the day, 0 to 23, those without a login left out. */
    readonly by_hour: readonly Share[]
    readonly by_day_part: readonly Share[]
    /** The hour with most logins. */
    readonly peak_hour: number | null
  }
  readonly platform_analytics: Ranking
  readonly version_adoption: Ranking & {
    /** major.minor */
    readonly categories: readonly Share[]
    /** The greatest category by its numbers. */
    readonly newest_category: Share | null
  }
  readonly geographic_distribution: Ranking & {
    /** US states and the District of Columbia, as the locale names them. */
    readonly states: readonly Share[]
    readonly most_logins: Share | null
    readonly fewest_logins: Share | null
    readonly countries: readonly Share[]
    readonly regions: readonly Share[]
  }
  readonly data_quality: {
    readonly missing: readonly Share[]
    readonly invalid: readonly Share[]
    readonly stream: StreamQuality
  }
}

/** One dimension: its top values, and what is known of all of them. */
export type Ranking = {
  readonly top: readonly Share[]
  /** How many known values there are. */
  readonly distinct: number
  readonly most_popular: string | null
  readonly least_popular: string | null
  /** Logins whose value is missing, invalid or was not kept. */
  readonly other: { readonly count: number; readonly percent: number }
}

/** What became of all records of the stream so far; percentages are of `records`. */
export type StreamQuality = {
  readonly records: number
  readonly accepted: number
  readonly late: number
  readonly rejected: number
  readonly accepted_percent: number
  readonly late_percent: number
  /** The error rate. */
  readonly rejected_percent: number
  readonly rejected_by_code: readonly Share[]
}

/** Top lists end after so many values. */
export const TOP_VALUES = 10

/** The insights of one window's result, or of all history. */
export function insightsOf(source: Result | History): Insights {
  const window = 'window' in source ? source : null
  const logins = window === null ? (source as History).logins : window.batch_size
  return {
    scope: scopeOf(source),
    user_engagement: engagementOf(source, logins),
    platform_analytics: rankingOf(source.device_stats, logins, source, 'device_type'),
    version_adoption: {
      ...rankingOf(source.app_version_stats, logins, source, 'app_version'),
      categories: topOf(source.version_category_stats, logins),
      newest_category: newestOf(source.version_category_stats, logins),
    },
    geographic_distribution: geographyOf(source, logins),
    data_quality: {
      missing: sharesOf(Object.entries(source.quality.missing), logins),
      invalid: sharesOf(Object.entries(source.quality.invalid), logins),
      stream: streamQualityOf(source.stream_totals),
    },
  }
}

function scopeOf(source: Result | History): Insights['scope'] {
  if ('window' in source) {
    const { window, status, exact, batch_size } = source
    return { window, status, from: window.start, to: window.end, exact, logins: batch_size }
  }
  const { from, to, exact, logins, provisional } = source
  return { window: null, status: provisional > 0 ? 'provisional' : 'final', from, to, exact, logins }
}

function engagementOf(source: Result | History, logins: number): Insights['user_engagement'] {
  const hours = Object.entries(source.hour_stats).sort(([a], [b]) => Number(a) - Number(b))
  const parts = DAY_PARTS.flatMap(part => {
    const count = countOf(source.day_part_stats, part)
    return count === 0 ? [] : [[part, count] as const]
  })
  const peak = hours.reduce<readonly [string, number] | null>((best, hour) => {
    return best === null || hour[1] > best[1] ? hour : best
  }, null)
  const common = {
    by_hour: sharesOf(hours, logins),
    by_day_part: sharesOf(parts, logins),
    peak_hour: peak === null ? null : Number(peak[0]),
  }
  if ('window' in source) {
    const { distinct, exact, relative_error, devices, logins_per_user } = source.users
    const users = { at_least: distinct, at_most: distinct, exact, relative_error }
    return { users, devices, logins_per_user, sessions: source.sessions, ...common }
  }
  const { at_least, at_most } = source.users
  const users = { at_least, at_most, exact: at_least === at_most, relative_error: 0 }
  return { users, devices: null, logins_per_user: null, sessions: { ...source.sessions, active: null }, ...common }
}

function geographyOf(source: Result | History, logins: number): Insights['geographic_distribution'] {
  const states = ranked(source.location_stats).filter(([locale]) => localeKindOf(locale) === 'state')
  const fewest = states.at(-1)?.[1]
  const [least] = states.filter(([, count]) => count === fewest)
  return {
    ...rankingOf(source.location_stats, logins, source, 'locale'),
    states: sharesOf(states.slice(0, TOP_VALUES), logins),
    most_logins: states[0] === undefined ? null : shareOf(states[0], logins),
    fewest_logins: least === undefined ? null : shareOf(least, logins),
    countries: topOf(source.country_stats, logins),
    regions: topOf(source.region_stats, logins),
  }
}

function rankingOf(
  counts: Counts,
  logins: number,
  { most_popular, least_popular }: Pick<Result, 'most_popular' | 'least_popular'>,
  popular: keyof Popular,
): Ranking {
  const known = ranked(counts)
  const other = logins - known.reduce((sum, [, count]) => sum + count, 0)
  return {
    top: sharesOf(known.slice(0, TOP_VALUES), logins),
    distinct: known.length,
    most_popular: most_popular[popular],
    least_popular: least_popular[popular],
    other: { count: Math.max(0, other), percent: percentOf(Math.max(0, other), logins) },
  }
}

function newestOf(categories: Counts, logins: number): Share | null {
  const numbers = (category: string) => category.split('.').map(Number)
  const newest = ranked(categories).reduce<[string, number] | null>((best, category) => {
    if (best === null) return category
    const [[major = 0, minor = 0], [bestMajor = 0, bestMinor = 0]] = [numbers(category[0]), numbers(best[0])]
    return major - bestMajor > 0 || (major === bestMajor && minor > bestMinor) ? category : best
  }, null)
  return newest === null ? null : shareOf(newest, logins)
}

/** What became of the records of the stream, from the totals that its partitions told. */
export function streamQualityOf({ accepted, late, rejected: byCode }: Result['stream_totals']): StreamQuality {
  const codes = Object.entries(byCode).filter(([, count]) => count > 0)
  const rejected = codes.reduce((sum, [, count]) => sum + count, 0)
  const records = accepted + late + rejected
  return {
    records,
    accepted,
    late,
    rejected,
    accepted_percent: percentOf(accepted, records),
    late_percent: percentOf(late, records),
    rejected_percent: percentOf(rejected, records),
    rejected_by_code: sharesOf(ranked(Object.fromEntries(codes)), records),
  }
}

function topOf(counts: Counts, logins: number): Share[] {
  return sharesOf(ranked(counts).slice(0, TOP_VALUES), logins)
}

/** The shares of names and their counts in `whole`. */
export function sharesOf(counts: readonly (readonly [string, number])[], whole: number): Share[] {
  return counts.map(entry => shareOf(entry, whole))
}

function shareOf([name, count]: readonly [string, number], whole: number): Share {
  return { name, count, percent: percentOf(count, whole) }
}

/** To 2 decimals; 0 of nothing. */
export function percentOf(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 100
}

function countOf(counts: Counts, name: string): number {
  return Object.hasOwn(counts, name) ? (counts[name] as number) : 0
}
