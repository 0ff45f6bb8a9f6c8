import { UNKNOWN } from '../events/fields.ts'
import { type Counts, OTHER_VALUES, type Popular, type Result, type ResultStatus } from './result.ts'

/** The counts by dimension that every result and all of history has. */
export const DIMENSIONS = [
  'device_stats',
  'location_stats',
  'app_version_stats',
  'version_category_stats',
  'country_stats',
  'region_stats',
  'hour_stats',
  'day_part_stats',
] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** All windows that are known, added up. Times are ISO 8601 in UTC. */
export type History = Readonly<Record<Dimension, Counts>> & {
  /** From the begin of the first window to the end of the last; null when there is none. */
  readonly from: string | null
  readonly to: string | null
  /** How many windows of each size were added up; no two of them overlap. */
  readonly windows: Counts
  /** How many of them are provisional. */
  readonly provisional: number
  /** Whether all of them are. */
  readonly exact: boolean
  /** Accepted events. */
  readonly logins: number
  /** Users of two windows may be the same ones: so many there are at least, and at most. */
  readonly users: { readonly at_least: number; readonly at_most: number }
  /** Sessions that run over the border of two windows are counted in both. */
  readonly sessions: {
    readonly started: number
    readonly avg_seconds: number
    readonly events_per_session: number
  }
  readonly most_popular: Popular
  readonly least_popular: Popular
  readonly quality: Result['quality']
  /** Those of the result that was written last. */
  readonly stream_totals: Result['stream_totals']
}

/** The windows of one size that tile time, by their first millisecond. */
export type Tiles = {
  readonly sizeMs: number
  readonly windows: ReadonlyMap<number, { readonly status: ResultStatus; readonly count: number }>
}

/** Names one window by its size and its first millisecond. */
export type Tile = { readonly sizeMs: number; readonly startMs: number }

/**
 * Chooses the windows that are to be added up for all of history: the longest ones, except where one is provisional (or
 * is not there yet) and the shorter windows within it already count more events. Lengths are multiples of each other, so
 * no two windows chosen overlap: no event is added twice. A result counts a prefix of its window, so more events are all
 * the fewer and others.
 * @param sizes ascending
 * @returns in the order of time
 */
export function tilesOfHistory(sizes: readonly Tiles[]): Tile[] {
  const chosen: Tile[] = []
  const within = indexes(sizes)
  const choose = (depth: number, startMs: number): { tiles: Tile[]; count: number } => {
    const { sizeMs, windows } = sizes[depth] as Tiles
    const known = windows.get(startMs)
    const own = { tiles: known === undefined ? [] : [{ sizeMs, startMs }], count: known?.count ?? 0 }
    if (known !== undefined && known.status !== 'provisional') return own
    const parts = (within[depth]?.get(startMs) ?? []).map(start => choose(depth - 1, start))
    const count = parts.reduce((sum, part) => sum + part.count, 0)
    return known === undefined || count > own.count ? { tiles: parts.flatMap(part => part.tiles), count } : own
  }
  const top = sizes.length - 1
  if (top < 0) return chosen
  const starts = new Set([...(sizes[top] as Tiles).windows.keys(), ...(within[top]?.keys() ?? [])])
  for (const startMs of [...starts].sort((a, b) => a - b)) chosen.push(...choose(top, startMs).tiles)
  return chosen
}

/** By size and start of a window, even of one that is not there: the starts of the windows one size shorter in it. */
function indexes(sizes: readonly Tiles[]): ReadonlyMap<number, readonly number[]>[] {
  const found: ReadonlyMap<number, readonly number[]>[] = []
  let below: Iterable<number> = []
  for (const { sizeMs, windows } of sizes) {
    const inside = new Map<number, number[]>()
    for (const startMs of below) {
      const parent = Math.floor(startMs / sizeMs) * sizeMs
      const list = inside.get(parent)
      if (list === undefined) inside.set(parent, [startMs])
      else list.push(startMs)
    }
    for (const list of inside.values()) list.sort((a, b) => a - b)
    found.push(inside)
    below = new Set([...windows.keys(), ...inside.keys()])
  }
  return found
}

/** Adds up the results of windows that do not overlap, in any order. */
export function historyOf(results: Iterable<Result>): History {
  const fold = new Fold()
  for (const result of results) fold.add(result)
  return fold.history()
}

class Fold {
  readonly #counts = DIMENSIONS.map(() => new Map<string, number>())
  readonly #missing = new Map<string, number>()
  readonly #invalid = new Map<string, number>()
  readonly #windows = new Map<string, number>()
  #from: string | null = null
  #to: string | null = null
  #provisional = 0
  #exact = true
  #logins = 0
  #users = { at_least: 0, at_most: 0 }
  #started = 0
  #sessionSeconds = 0
  #sessionEvents = 0
  #latest: Result | null = null

  add(result: Result): void {
    const { window, users, sessions, quality } = result
    DIMENSIONS.forEach((dimension, i) => {
      addCounts(this.#counts[i] as Map<string, number>, result[dimension])
    })
    addCounts(this.#missing, quality.missing)
    addCounts(this.#invalid, quality.invalid)
    addCounts(this.#windows, { [window.size]: 1 })
    if (this.#from === null || Date.parse(window.start) < Date.parse(this.#from)) this.#from = window.start
    if (this.#to === null || Date.parse(window.end) > Date.parse(this.#to)) this.#to = window.end
    if (result.status === 'provisional') this.#provisional++
    this.#exact &&= result.exact
    this.#logins += result.batch_size
    this.#users.at_least = Math.max(this.#users.at_least, users.distinct)
    this.#users.at_most += users.distinct
    this.#started += sessions.started
    this.#sessionSeconds += sessions.started * sessions.avg_seconds
    this.#sessionEvents += sessions.started * sessions.events_per_session
    if (this.#latest === null || toldAfter(result, this.#latest)) this.#latest = result
  }

  history(): History {
    const counts = Object.fromEntries(DIMENSIONS.map((name, i) => [name, sorted(this.#counts[i] ?? new Map())]))
    const { device_stats, location_stats, app_version_stats } = counts as Record<Dimension, Counts>
    const popular = (extreme: typeof mostCounted): Popular => ({
      device_type: extreme(device_stats),
      locale: extreme(location_stats),
      app_version: extreme(app_version_stats),
    })
    const perSession = (sum: number) => (this.#started === 0 ? 0 : rounded(sum / this.#started))
    return {
      from: this.#from,
      to: this.#to,
      windows: sorted(this.#windows),
      provisional: this.#provisional,
      exact: this.#exact,
      logins: this.#logins,
      ...(counts as Record<Dimension, Counts>),
      users: this.#users,
      sessions: {
        started: this.#started,
        avg_seconds: perSession(this.#sessionSeconds),
        events_per_session: perSession(this.#sessionEvents),
      },
      most_popular: popular(mostCounted),
      least_popular: popular(leastCounted),
      quality: { missing: sorted(this.#missing), invalid: sorted(this.#invalid) },
      stream_totals: this.#latest?.stream_totals ?? { accepted: 0, late: 0, rejected: {} },
    }
  }
}

/** Of two written at the same moment the one that knew more. */
function toldAfter(result: Result, other: Result): boolean {
  const ms = Date.parse(result.current_time) - Date.parse(other.current_time)
  return ms > 0 || (ms === 0 && result.stream_totals.accepted > other.stream_totals.accepted)
}

function addCounts(sums: Map<string, number>, counts: Counts): void {
  for (const [name, count] of Object.entries(counts)) sums.set(name, (sums.get(name) ?? 0) + count)
}

function sorted(sums: ReadonlyMap<string, number>): Counts {
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The known name counted most, of equals the first in text order; null when there is none. */
export function mostCounted(counts: Counts): string | null {
  return ranked(counts)[0]?.[0] ?? null
}

/** The known name counted least, of equals the first in text order; null when there is none. */
export function leastCounted(counts: Counts): string | null {
  const known = ranked(counts)
  const least = known.at(-1)?.[1]
  return known.find(([, count]) => count === least)?.[0] ?? null
}

/** Known names by their counts, the greatest first, those of equals in text order. */
export function ranked(counts: Counts): [name: string, count: number][] {
  return Object.entries(counts)
    .filter(([name]) => name !== UNKNOWN && name !== OTHER_VALUES)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
}

/** To 3 decimals. */
export function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
