import { Counter, type CounterJson } from './counter.ts'

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
  /** Events whose optional field was missing or invalid, by the field's number in the order of the field names. */
  readonly missing: number[]
  readonly invalid: number[]
  readonly #limits: AggregateLimits

  constructor(limits: AggregateLimits) {
    this.#limits = limits
    this.devices = new Counter(limits.dimensionValues)
    this.locales = new Counter(limits.dimensionValues)
    this.versions = new Counter(limits.dimensionValues)
    this.missing = new Array(limits.qualityFields).fill(0)
    this.invalid = new Array(limits.qualityFields).fill(0)
  }

  /** Counts one event; `missing` and `invalid` are bit sets of field numbers. */
  add(device: string, locale: string, version: string, missing: number, invalid: number): void {
    this.count++
    this.devices.add(device, 1)
    this.locales.add(locale, 1)
    this.versions.add(version, 1)
    if ((missing | invalid) === 0) return
    for (let i = 0; i < this.#limits.qualityFields; i++) {
      if ((missing >> i) & 1) this.missing[i]!++
      if ((invalid >> i) & 1) this.invalid[i]!++
    }
  }

  merge(other: Aggregate): void {
    this.count += other.count
    this.devices.merge(other.devices)
    this.locales.merge(other.locales)
    this.versions.merge(other.versions)
    for (let i = 0; i < this.missing.length; i++) {
      this.missing[i]! += other.missing[i] ?? 0
      this.invalid[i]! += other.invalid[i] ?? 0
    }
  }

  /** False once a dimension had more distinct values than it may keep. */
  get exact(): boolean {
    return this.devices.overflow === 0 && this.locales.overflow === 0 && this.versions.overflow === 0
  }

  toJSON(): AggregateJson {
    return {
      n: this.count,
      d: this.devices.toJSON(),
      l: this.locales.toJSON(),
      v: this.versions.toJSON(),
      m: [...this.missing],
      i: [...this.invalid],
    }
  }

  static fromJSON(json: AggregateJson, limits: AggregateLimits): Aggregate {
    const aggregate = new Aggregate(limits)
    aggregate.count = json.n
    // Merging into an empty counter applies this side's limit, whatever the limit of the side that wrote it.
    aggregate.devices.merge(Counter.fromJSON(json.d, limits.dimensionValues))
    aggregate.locales.merge(Counter.fromJSON(json.l, limits.dimensionValues))
    aggregate.versions.merge(Counter.fromJSON(json.v, limits.dimensionValues))
    for (let i = 0; i < limits.qualityFields; i++) {
      aggregate.missing[i] = json.m[i] ?? 0
      aggregate.invalid[i] = json.i[i] ?? 0
    }
    return aggregate
  }
}

export type AggregateLimits = {
  /** Distinct values kept for each dimension. */
  readonly dimensionValues: number
  /** How many fields quality is counted for. */
  readonly qualityFields: number
}

/** The stored form: n events; d, l, v counts by device, locale, version; m, i missing and invalid by field number. */
export type AggregateJson = { n: number; d: CounterJson; l: CounterJson; v: CounterJson; m: number[]; i: number[] }
