import { hashText } from './hash.ts'

/**
 * Counts by distinct value, bounded: of more than `limit` values it keeps those with the smallest hash and forgets the
 * others, counting how many events they had. A kept value has been among the smallest at every moment and in every part,
 * so its count is exact, and the result does not depend on the order in which events or parts came.
 */
export class Counter {
  readonly counts = new Map<string, number>()
  readonly limit: number
  /** Events of values that were not kept. */
  overflow = 0
  /** The least value ever dropped: it and all beyond it can never come back. */
  #ceiling: { hash: number; value: string } | null = null

  constructor(limit: number) {
    this.limit = limit
  }

  add(value: string, count: number): void {
    const known = this.counts.get(value)
    if (known !== undefined) {
      this.counts.set(value, known + count)
      return
    }
    if (this.#ceiling !== null && reaches(hashText(value), value, this.#ceiling)) {
      this.overflow += count
      return
    }
    this.counts.set(value, count)
    if (this.counts.size > this.limit) this.#dropGreatest()
  }

  /** Adds another counter's events to this one's. */
  merge(other: Counter): void {
    this.overflow += other.overflow
    // The other's counts of what lies at or past its ceiling are not whole: such a value may not be kept here either.
    if (other.#ceiling !== null) this.#lowerCeiling(other.#ceiling)
    for (const [value, count] of other.counts) this.add(value, count)
  }

  /** A plain object with values in text order: the same events give the same bytes. */
  toJSON(): CounterJson {
    const entries = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1))
    const json: CounterJson = { c: Object.fromEntries(entries) }
    if (this.#ceiling !== null) json.o = [this.overflow, this.#ceiling.value]
    return json
  }

  static fromJSON(json: CounterJson, limit: number): Counter {
    const counter = new Counter(limit)
    for (const value of Object.keys(json.c)) counter.counts.set(value, json.c[value] as number)
    if (json.o !== undefined) {
      counter.overflow = json.o[0]
      counter.#ceiling = { hash: hashText(json.o[1]), value: json.o[1] }
    }
    return counter
  }

  #dropGreatest(): void {
    let greatest = { hash: -1, value: '' }
    for (const value of this.counts.keys()) {
      const hash = hashText(value)
      if (reaches(hash, value, greatest)) greatest = { hash, value }
    }
    this.#drop(greatest.value)
    this.#ceiling = greatest
  }

  #lowerCeiling(ceiling: { hash: number; value: string }): void {
    if (this.#ceiling !== null && reaches(ceiling.hash, ceiling.value, this.#ceiling)) return
    this.#ceiling = ceiling
    for (const value of [...this.counts.keys()]) {
      if (reaches(hashText(value), value, ceiling)) this.#drop(value)
    }
  }

  #drop(value: string): void {
    this.overflow += this.counts.get(value) as number
    this.counts.delete(value)
  }
}

/** `c`: counts by value; `o`: events of dropped values and the least dropped value, absent when none was dropped. */
export type CounterJson = { c: Record<string, number>; o?: [overflow: number, leastDropped: string] }

/** Whether a value ranks at or past another, by hash and then by text. */
function reaches(hash: number, value: string, other: { hash: number; value: string }): boolean {
  return hash > other.hash || (hash === other.hash && value >= other.value)
}
