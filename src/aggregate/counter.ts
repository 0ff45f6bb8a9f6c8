import { hashText } from './hash.ts'

/**
 * Counts by distinct value, bounded: of more than `limit` values it keeps those with the smallest hash and forgets the
 * others, counting how many events they had. A kept value has been among the smallest at every moment and in every part,
 * so its count is exact, and the result does not depend on the order in which events or parts came.
 */
export class Counter {
  readonly limit: number
  /** Counts by value, each in an object of its own: to count an event of a known value is one search. */
  readonly #cells = new Map<string, { count: number }>()
  /** Events of values that were not kept. */
  overflow = 0
  /** The least value ever dropped: it and all beyond it can never come back. */
  #ceiling: { hash: number; value: string } | null = null
  /** The values in text order; null when that is to be found out again. */
  #sorted: readonly string[] | null = null

  constructor(limit: number) {
    this.limit = limit
  }

  /** Counts by value, in no order; made anew each time. */
  get counts(): Map<string, number> {
    return new Map([...this.#cells].map(([value, { count }]) => [value, count]))
  }

  add(value: string, count: number): void {
    const known = this.#cells.get(value)
    if (known !== undefined) known.count += count
    else this.#addNew(value, count)
  }

  #addNew(value: string, count: number): void {
    if (this.#ceiling !== null && reaches(hashText(value), value, this.#ceiling)) {
      this.overflow += count
      return
    }
    this.#cells.set(value, { count })
    this.#sorted = null
    if (this.#cells.size > this.limit) this.#dropGreatest()
  }

  /** Adds another counter's events to this one's. */
  merge(other: Counter): void {
    this.overflow += other.overflow
    // The other's counts of what lies at or past its ceiling are not whole: such a value may not be kept here either.
    if (other.#ceiling !== null) this.#lowerCeiling(other.#ceiling)
    for (const [value, { count }] of other.#cells) this.add(value, count)
  }

  /** Adds a stored counter's events to this one's, under this one's limit, whatever the limit of the side that wrote it. */
  mergeJson(json: CounterJson): void {
    if (json.o !== undefined) {
      this.overflow += json.o[0]
      this.#lowerCeiling({ hash: hashText(json.o[1]), value: json.o[1] })
    }
    for (const value of Object.keys(json.c)) this.add(value, json.c[value] as number)
  }

  /** A plain object with values in text order: the same events give the same bytes. */
  toJSON(): CounterJson {
    // Without a prototype there is no name that is not a value's, and adding hundreds of them costs half as much.
    const c: Record<string, number> = Object.create(null)
    for (const value of this.#inOrder()) c[value] = this.#cells.get(value)?.count ?? 0
    const json: CounterJson = { c }
    if (this.#ceiling !== null) json.o = [this.overflow, this.#ceiling.value]
    return json
  }

  /** The values in text order. */
  #inOrder(): readonly string[] {
    this.#sorted ??= [...this.#cells.keys()].sort()
    return this.#sorted
  }

  #dropGreatest(): void {
    let greatest = { hash: -1, value: '' }
    for (const value of this.#cells.keys()) {
      const hash = hashText(value)
      if (reaches(hash, value, greatest)) greatest = { hash, value }
    }
    this.#drop(greatest.value)
    this.#ceiling = greatest
  }

  #lowerCeiling(ceiling: { hash: number; value: string }): void {
    if (this.#ceiling !== null && reaches(ceiling.hash, ceiling.value, this.#ceiling)) return
    this.#ceiling = ceiling
    for (const value of [...this.#cells.keys()]) {
      if (reaches(hashText(value), value, ceiling)) this.#drop(value)
    }
  }

  #drop(value: string): void {
    this.overflow += this.#cells.get(value)?.count ?? 0
    this.#cells.delete(value)
    this.#sorted = null
  }
}

/** `c`: counts by value; `o`: events of dropped values and the least dropped value, absent when none was dropped. */
export type CounterJson = { c: Record<string, number>; o?: [overflow: number, leastDropped: string] }

/** Whether a value ranks at or past another, by hash and then by text. */
function reaches(hash: number, value: string, other: { hash: number; value: string }): boolean {
  return hash > other.hash || (hash === other.hash && value >= other.value)
}

/** Whether the value has the shape of a stored counter. */
export function isCounterJson(value: unknown): value is CounterJson {
  if (!isRecord(value) || !isRecord(value.c) || !Object.values(value.c).every(isCount)) return false
  const { o } = value
  return o === undefined || (Array.isArray(o) && o.length === 2 && isCount(o[0]) && typeof o[1] === 'string')
}

/** A whole number from 0 on. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
