import { UNKNOWN } from '../events/fields.ts'
import { Counter, type CounterJson, isCount, isCounterJson, isRecord } from './counter.ts'
import { isSampleText } from './sampleText.ts'
import { UserSample } from './userSample.ts'

/** What is counted of a login event. `missing` and `invalid` are bit sets of field numbers, `timeMs` is epoch milliseconds. */
export type CountedEvent = {
  readonly userId: string
  readonly deviceId: string
  readonly timeMs: number
  readonly deviceType: string
  readonly locale: string
  readonly appVersion: string
  readonly missing: number
  readonly invalid: number
}

export type AggregateLimits = {
  /** Distinct values kept for each dimension. */
  readonly dimensionValues: number
  /** How many fields quality is counted for. */
  readonly qualityFields: number
  /** Users followed one by one. */
  readonly userSample: number
  /** Logins of a user further apart than this are two sessions, in milliseconds. */
  readonly sessionGapMs: number
}

/**
 * What is known of a set of login events: a mergeable value. `merge` is commutative and associative, and merging parts
 * equals counting their events at once. It is not idempotent: repeats are the business of the (partition, from) map.
 */
export class Aggregate {
  /** Accepted events. */
  count = 0
  readonly devices: Counter
  readonly locales: Counter
  readonly versions: Counter
  /** Version categories: `major.minor`. */
  readonly categories: Counter
  readonly countries: Counter
  readonly regions: Counter
  /** Events whose optional field was missing or invalid, by the field's number in the order of the field names. */
  readonly missing: number[]
  readonly invalid: number[]
  /** By hour of the day, 0 to 23. All events of a short window share one: who knows the window fills it, `add` does not. */
  readonly hours: number[] = new Array(HOURS).fill(0)
  readonly users: UserSample

  constructor(limits: AggregateLimits) {
    const { dimensionValues, qualityFields, userSample, sessionGapMs } = limits
    this.devices = new Counter(dimensionValues)
    this.locales = new Counter(dimensionValues)
    this.versions = new Counter(dimensionValues)
    this.categories = new Counter(dimensionValues)
    this.countries = new Counter(dimensionValues)
    this.regions = new Counter(dimensionValues)
    this.missing = new Array(qualityFields).fill(0)
    this.invalid = new Array(qualityFields).fill(0)
    this.users = new UserSample(userSample, sessionGapMs)
  }

  /** Counts one event, with the category of its version and the place of its address. */
  add(event: CountedEvent, category: string, country: string, region: string): void {
    const { deviceId, missing, invalid } = event
    this.count++
    this.devices.add(event.deviceType, 1)
    this.locales.add(event.locale, 1)
    this.versions.add(event.appVersion, 1)
    this.categories.add(category, 1)
    this.countries.add(country, 1)
    this.regions.add(region, 1)
    this.users.add(event.userId, deviceId === UNKNOWN ? null : deviceId, event.timeMs)
    if ((missing | invalid) !== 0) this.addQuality(missing, invalid)
  }

  /** Counts the fields that were missing or invalid, bit sets of field numbers, in so many events, as `add` does. */
  addQuality(missing: number, invalid: number, events = 1): void {
    for (let i = 0; i < this.missing.length; i++) {
      if ((missing >> i) & 1) this.missing[i]! += events
      if ((invalid >> i) & 1) this.invalid[i]! += events
    }
  }

  merge(other: Aggregate): void {
    this.count += other.count
    this.devices.merge(other.devices)
    this.locales.merge(other.locales)
    this.versions.merge(other.versions)
    this.categories.merge(other.categories)
    this.countries.merge(other.countries)
    this.regions.merge(other.regions)
    addUp(this.missing, other.missing)
    addUp(this.invalid, other.invalid)
    addUp(this.hours, other.hours)
    this.users.merge(other.users)
  }

  /**
   * Adds a stored aggregate, under this side's limits.
   * @throws RangeError when its user sample cannot be read, which leaves this aggregate of no use; see isAggregateJson
   */
  mergeJson(json: AggregateJson): void {
    this.count += json.n
    this.devices.mergeJson(json.d)
    this.locales.mergeJson(json.l)
    this.versions.mergeJson(json.v)
    this.categories.mergeJson(json.g)
    this.countries.mergeJson(json.c)
    this.regions.mergeJson(json.r)
    addUp(this.missing, json.m)
    addUp(this.invalid, json.i)
    if (json.h !== undefined) addUp(this.hours, json.h)
    if (json.u !== undefined) this.users.mergeText(json.u)
  }

  /** False once a dimension had more distinct values than it may keep. The users tell for themselves. */
  get exact(): boolean {
    const { devices, locales, versions, categories, countries, regions } = this
    const overflow = devices.overflow + locales.overflow + versions.overflow
    return overflow + categories.overflow + countries.overflow + regions.overflow === 0
  }

  /** The stored form: the same events, counted and merged in whatever order, give the same JSON text. */
  toJSON(): AggregateJson {
    const json: AggregateJson = {
      n: this.count,
      d: this.devices.toJSON(),
      l: this.locales.toJSON(),
      v: this.versions.toJSON(),
      g: this.categories.toJSON(),
      c: this.countries.toJSON(),
      r: this.regions.toJSON(),
      m: [...this.missing],
      i: [...this.invalid],
    }
    if (this.hours.some(count => count > 0)) json.h = [...this.hours]
    const users = this.users.toText()
    if (users !== null) json.u = users
    return json
  }

  /** @throws RangeError when the user sample cannot be read; see isAggregateJson */
  static fromJSON(json: AggregateJson, limits: AggregateLimits): Aggregate {
    const aggregate = new Aggregate(limits)
    aggregate.mergeJson(json)
    return aggregate
  }
}

const HOURS = 24

/**
 * The stored form: n events; d, l, v, g, c, r counts by device, locale, version, version category, country, region;
 * m, i missing and invalid by field number; h by hour of the day, absent while none is filled; u the user sample, absent
 * when there are no users.
 */
export type AggregateJson = {
  n: number
  d: CounterJson
  l: CounterJson
  v: CounterJson
  g: CounterJson
  c: CounterJson
  r: CounterJson
  m: number[]
  i: number[]
  h?: number[]
  u?: string
}

/** Whether a value, as JSON.parse gave it, is a stored aggregate: whatever passes can be merged, and nothing throws. */
export function isAggregateJson(value: unknown): value is AggregateJson {
  if (!isRecord(value) || !isCount(value.n)) return false
  const { d, l, v, g, c, r, m, i, h, u } = value
  if (![d, l, v, g, c, r].every(isCounterJson) || !isCounts(m) || !isCounts(i)) return false
  if (h !== undefined && !(isCounts(h) && h.length === HOURS)) return false
  return u === undefined || (typeof u === 'string' && isSampleText(u))
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount)
}

/** Adds counts by number; those past the end of the sum are of fields that this side does not know. */
function addUp(sum: number[], counts: readonly number[]): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += counts[i] ?? 0
}
