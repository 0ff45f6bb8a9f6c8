import type { Counts, Result } from '../results/result.ts'
import { recountValueHash } from './hashes.ts'
import { DIMENSIONS, type Dimension, type Login } from './login.ts'
import { SmallestKept } from './smallest.ts'

export type TallyRules = {
  readonly sessionGapMs: number
  readonly userSampleSize: number
  readonly maxDimensionValues: number
}

/**
 * All that a result says about the events of its window, in the result's own names. Averages, and estimates of a sample,
 * are not rounded.
 */
export type Recounted = Pick<
  Result,
  Dimension | 'batch_size' | 'users' | 'sessions' | 'most_popular' | 'least_popular' | 'quality'
> & {
  /** Whether every value of every dimension is counted by its own name. */
  readonly complete: boolean
}

type User = { readonly times: number[]; readonly devices: Set<string> }
type Session = { readonly first: number; readonly last: number; readonly logins: number }

const NOBODY: Pick<Recounted, 'users' | 'sessions'> = {
  users: { distinct: 0, exact: true, relative_error: 0, devices: 0, logins_per_user: { min: 0, avg: 0, max: 0 } },
  sessions: { started: 0, active: 0, avg_seconds: 0, events_per_session: 0 },
}
const DEVICES_PER_USER = 16
const OTHER = '(other)'
const UNKNOWN = 'unknown'
const HASH_RANGE = 2 ** 53

/** One window, counted naively: values into maps, users into lists, everything else is worked out at the end. */
export class WindowTally {
  readonly #rules: TallyRules
  readonly #endMs: number
  #events = 0
  readonly #dimensions: Readonly<Record<Dimension, ValueCounts>>
  readonly #missing = new Map<string, number>()
  readonly #invalid = new Map<string, number>()
  readonly #users: SmallestKept<number, User>

  constructor(rules: TallyRules, endMs: number) {
    this.#rules = rules
    this.#endMs = endMs
    const counts = DIMENSIONS.map(name => [name, new ValueCounts(rules.maxDimensionValues)])
    this.#dimensions = Object.fromEntries(counts) as Record<Dimension, ValueCounts>
    this.#users = new SmallestKept(rules.userSampleSize, (a, b) => a - b)
  }

  add(login: Login): void {
    this.#events++
    for (const name of DIMENSIONS) this.#dimensions[name].add(login.values[name])
    for (const field of login.missing) increment(this.#missing, field)
    for (const field of login.invalid) increment(this.#invalid, field)
    const user = this.#users.get(login.user, () => ({ times: [], devices: new Set() }))
    user?.times.push(login.time)
    // One more than count is enough to know that there were more.
    if (login.device !== null && user !== null && user.devices.size <= DEVICES_PER_USER) user.devices.add(login.device)
  }

  /** What the window comes to. */
  recounted(): Recounted {
    const stats = DIMENSIONS.map(name => [name, this.#dimensions[name].toCounts()])
    const named = Object.fromEntries(stats) as Record<Dimension, Counts>
    const popular = (order: 1 | -1) => ({
      device_type: extreme(named.device_stats, order),
      locale: extreme(named.location_stats, order),
      app_version: extreme(named.app_version_stats, order),
    })
    return {
      batch_size: this.#events,
      ...named,
      ...this.#ofUsers(),
      most_popular: popular(1),
      least_popular: popular(-1),
      quality: { missing: Object.fromEntries(this.#missing), invalid: Object.fromEntries(this.#invalid) },
      complete: DIMENSIONS.every(name => !this.#dimensions[name].overflown),
    }
  }

  #ofUsers(): Pick<Recounted, 'users' | 'sessions'> {
    const { userSampleSize: k, sessionGapMs } = this.#rules
    const kept = this.#users.smallest()
    if (kept.length === 0) return NOBODY
    const isSample = this.#users.overflown
    const distinct = isSample ? Math.round((k - 1) / (kept.at(-1)![0] / HASH_RANGE)) : kept.length
    const scale = isSample ? distinct / k : 1
    const users = kept.map(([, user]) => user)
    const logins = users.map(({ times }) => times.length)
    const sessions = users.flatMap(({ times }) => sessionsOf(times, sessionGapMs))
    const active = sessions.filter(({ last }) => last > this.#endMs - sessionGapMs)
    return {
      users: {
        distinct,
        exact: !isSample && users.every(({ devices }) => devices.size <= DEVICES_PER_USER),
        relative_error: isSample ? 1 / Math.sqrt(k - 2) : 0,
        devices: sum(users.map(({ devices }) => Math.min(devices.size, DEVICES_PER_USER))) * scale,
        logins_per_user: {
          min: logins.reduce((least, count) => Math.min(least, count), Number.POSITIVE_INFINITY),
          avg: sum(logins) / logins.length,
          max: logins.reduce((most, count) => Math.max(most, count), 0),
        },
      },
      sessions: {
        started: sessions.length * scale,
        active: active.length * scale,
        avg_seconds: sum(sessions.map(({ first, last }) => last - first)) / sessions.length / 1000,
        events_per_session: sum(logins) / sessions.length,
      },
    }
  }
}

/** Counts by value; of more than `limit` values those with the smallest hashes, and the others together. */
class ValueCounts {
  readonly #counts: SmallestKept<string, { count: number }>
  #total = 0

  constructor(limit: number) {
    this.#counts = new SmallestKept(limit, compareByHash)
  }

  get overflown(): boolean {
    return this.#counts.overflown
  }

  add(value: string): void {
    this.#total++
    const entry = this.#counts.get(value, () => ({ count: 0 }))
    if (entry !== null) entry.count++
  }

  toCounts(): Counts {
    const kept = new Map(this.#counts.smallest().map(([value, { count }]) => [value, count]))
    const others = this.#total - sum([...kept.values()])
    // Somebody's own value may have that very name.
    if (others > 0) kept.set(OTHER, (kept.get(OTHER) ?? 0) + others)
    return Object.fromEntries(kept)
  }
}

function compareByHash(a: string, b: string): number {
  const [hashA, hashB] = [recountValueHash(a), recountValueHash(b)]
  if (hashA !== hashB) return hashA < hashB ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

/** A login further than the gap behind the one before it begins a new session. */
function sessionsOf(times: readonly number[], gapMs: number): Session[] {
  const sessions: Session[] = []
  for (const time of [...times].sort((a, b) => a - b)) {
    const open = sessions.at(-1)
    if (open === undefined || time - open.last > gapMs) sessions.push({ first: time, last: time, logins: 1 })
    else sessions[sessions.length - 1] = { first: open.first, last: time, logins: open.logins + 1 }
  }
  return sessions
}

/** The known value counted most (1) or least (-1); of equals the first in text order. */
function extreme(counts: Counts, order: 1 | -1): string | null {
  const known = Object.entries(counts).filter(([value]) => value !== UNKNOWN && value !== OTHER)
  known.sort(([a, countA], [b, countB]) => (countB - countA) * order || (a < b ? -1 : 1))
  return known[0]?.[0] ?? null
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
