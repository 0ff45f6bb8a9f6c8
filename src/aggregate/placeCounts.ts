import type { PlaceTable, PlaceTally } from '../events/place.ts'
import type { Term } from '../events/term.ts'
import type { Counter } from './counter.ts'
import { TermCounts } from './termCounts.ts'

const FIRST_PLACES = 16

/** Counts of places that wait to be added to counters, by the numbers that they have in a table. */
export class PlaceCounts implements PlaceTally {
  readonly #others: TermCounts
  /** Whose numbers the counts are by: another one after a database was replaced. */
  #table: PlaceTable | null = null
  #counts = new Int32Array(FIRST_PLACES)

  constructor(countries: Counter, regions: Counter) {
    this.#others = new TermCounts(countries, regions)
  }

  add(place: Term): void {
    this.#others.add(place)
  }

  countsOf(table: PlaceTable): Int32Array {
    if (table !== this.#table) {
      this.#foldNumbered()
      this.#table = table
    }
    if (this.#counts.length < table.terms.length) this.#grow(table.terms.length)
    return this.#counts
  }

  /** Adds all that waits to the counters. */
  fold(): void {
    this.#foldNumbered()
    this.#others.fold()
  }

  #foldNumbered(): void {
    const counts = this.#counts
    const terms = this.#table?.terms ?? []
    for (let number = 0; number < terms.length && number < counts.length; number++) {
      const count = counts[number] as number
      if (count === 0) continue
      this.#others.add(terms[number] as Term, count)
      counts[number] = 0
    }
  }

  #grow(places: number): void {
    const counts = new Int32Array(2 ** Math.ceil(Math.log2(places)))
    counts.set(this.#counts)
    this.#counts = counts
  }
}
