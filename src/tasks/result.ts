import type { Aggregate } from '../aggregate/aggregate.ts'
import type { Counter } from '../aggregate/counter.ts'
import { summarize } from '../aggregate/userSummary.ts'
import { OPTIONAL_FIELDS } from '../events/codes.ts'
import { UNKNOWN } from '../events/fields.ts'
import { DAY_PARTS, dayPartOf } from '../events/hours.ts'
import {
  type Counts,
  type Coverage,
  type DeviceStats,
  OTHER_VALUES,
  type Popular,
  type Result,
  type ResultStatus,
  type Totals,
} from '../results/result.ts'
import { gapTouches } from '../windows/gaps.ts'
import { endMsOf, type Level, startMsOf } from '../windows/levels.ts'
import { isoTime } from '../windows/windows.ts'
import type { Covered, SourceGap } from './messages.ts'

export type ResultInput = {
  readonly generation: number
  readonly level: Level
  readonly index: number
  readonly latenessMs: number
  readonly status: ResultStatus
  readonly revision: number
  readonly counts: WindowCounts
  readonly coverage: readonly Covered[]
  /** All gaps known in the log. */
  readonly gaps: readonly SourceGap[]
  readonly totals: Totals
  readonly now: number
}

/** What a window's events add up to, as results tell it. */
export type WindowCounts = Omit<
  Result,
  | 'v'
  | 'generation'
  | 'window'
  | 'status'
  | 'revision'
  | 'exact'
  | 'current_time'
  | 'time_window'
  | 'stream_totals'
  | 'coverage'
> & {
  /** False once a dimension had more distinct values than it may keep. */
  readonly isWhole: boolean
}

/** @param endMs of the window, epoch milliseconds */
export function windowCounts(aggregate: Aggregate, endMs: number): WindowCounts {
  const { users, sessions } = summarize(aggregate.users, endMs)
  const dimensions = {
    devices: countsOf(aggregate.devices),
    locales: countsOf(aggregate.locales),
    versions: countsOf(aggregate.versions),
  }
  return {
    isWhole: aggregate.exact,
    batch_size: aggregate.count,
    device_stats: dimensions.devices,
    location_stats: dimensions.locales,
    app_version_stats: dimensions.versions,
    version_category_stats: countsOf(aggregate.categories),
    country_stats: countsOf(aggregate.countries),
    region_stats: countsOf(aggregate.regions),
    ...hourStats(aggregate.hours),
    users,
    sessions,
    most_popular: popular(dimensions, (count, best) => count > best),
    least_popular: popular(dimensions, (count, best) => count < best),
    quality: { missing: byField(aggregate.missing), invalid: byField(aggregate.invalid) },
  }
}

export function buildResult(input: ResultInput): Result {
  const { level, index } = input
  const { isWhole, ...counts } = input.counts
  const endMs = endMsOf(level, index)
  const [start, end] = [isoTime(startMsOf(level, index)), isoTime(endMs)]
  const gaps = input.gaps.filter(gap => gapTouches(gap, startMsOf(level, index), endMs, input.latenessMs))
  const coverage = coverageOf(input.coverage, gaps)
  const vouched = Object.values(coverage).every(entry => entry.gaps === undefined)
  return {
    v: 1,
    generation: input.generation,
    window: { size: level.size, start, end },
    status: input.status,
    revision: input.revision,
    exact: vouched && isWhole,
    current_time: isoTime(input.now),
    time_window: `${start}/${end}`,
    ...counts,
    stream_totals: input.totals,
    coverage,
  }
}

/** What pipelines that follow users and devices read, of the same window at the same revision. */
export function buildDeviceStats(result: Result): DeviceStats {
  const known = (counts: Counts) => Object.keys(counts).filter(isKnown).length
  return {
    v: 1,
    generation: result.generation,
    window: result.window,
    status: result.status,
    revision: result.revision,
    logins_per_user: result.users.logins_per_user,
    users: result.users.distinct,
    device_types: known(result.device_stats),
    locations: known(result.location_stats),
    logins_at_night: result.day_part_stats.night ?? 0,
    logins_in_the_morning: result.day_part_stats.morning ?? 0,
    logins_by_hour: result.hour_stats,
  }
}

/** @param gaps those that may have held events of the window */
function coverageOf(covered: readonly Covered[], gaps: readonly SourceGap[]): Record<string, Coverage> {
  // What a longer window covers may have been handed up before a source had told anything; its gaps are known all the same.
  const unheard = gaps.filter(gap => !covered.some(({ p }) => p === gap.p))
  const silent = unheard.map(({ p, to, clockBefore }) => {
    return { p, from: to, clockAtFrom: clockBefore, through: to, twice: [] }
  })
  const entries: Record<string, Coverage> = {}
  for (const { p, from, clockAtFrom, through, twice } of [...silent, ...covered].sort((a, b) => a.p - b.p)) {
    const lost = gaps.filter(gap => gap.p === p).map(gap => [gap.from, gap.to] as const)
    const entry = { from, clock_at_from: isoTime(clockAtFrom), through }
    entries[p] = lost.length + twice.length === 0 ? entry : { ...entry, gaps: [...lost, ...twice] }
  }
  return entries
}

function countsOf(counter: Counter): Counts {
  const counts: Record<string, number> = counter.toJSON().c
  if (counter.overflow > 0) counts[OTHER_VALUES] = (counts[OTHER_VALUES] ?? 0) + counter.overflow
  return counts
}

function hourStats(hours: readonly number[]): Pick<Result, 'hour_stats' | 'day_part_stats'> {
  const byHour: Record<string, number> = {}
  const byPart: Record<string, number> = {}
  hours.forEach((count, hour) => {
    if (count === 0) return
    byHour[hour] = count
    byPart[dayPartOf(hour)] = (byPart[dayPartOf(hour)] ?? 0) + count
  })
  const parts = DAY_PARTS.filter(part => byPart[part] !== undefined).map(part => [part, byPart[part] as number])
  return { hour_stats: byHour, day_part_stats: Object.fromEntries(parts) }
}

type Dimensions = { readonly devices: Counts; readonly locales: Counts; readonly versions: Counts }

function popular(
  { devices, locales, versions }: Dimensions,
  isBetter: (count: number, best: number) => boolean,
): Popular {
  const choose = (counts: Counts): string | null => {
    let best: string | null = null
    for (const value of Object.keys(counts)) {
      if (!isKnown(value)) continue
      const count = counts[value] as number
      const least = best === null ? count : (counts[best] as number)
      if (best === null || isBetter(count, least) || (count === least && value < best)) best = value
    }
    return best
  }
  return { device_type: choose(devices), locale: choose(locales), app_version: choose(versions) }
}

function isKnown(value: string): boolean {
  return value !== UNKNOWN && value !== OTHER_VALUES
}

function byField(counts: readonly number[]): Record<string, number> {
  const named: Record<string, number> = {}
  OPTIONAL_FIELDS.forEach((field, i) => {
    if ((counts[i] ?? 0) > 0) named[field] = counts[i] as number
  })
  return named
}
