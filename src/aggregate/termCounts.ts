import type { Term } from '../events/term.ts'
import type { Counter } from './counter.ts'

const FIRST_SLOTS = 16
/** Far more than what the events of a window usually say; terms beyond share a slot in turns. */
const MAX_SLOTS = 1024

/**
 * Counts of terms that wait to be added to counters: to count a term is to look at one slot, chosen by its id. Of two terms
 * that fall into one slot the earlier gives way and its count goes to the counter, so that every event is in one of both.
 */
export class TermCounts {
  readonly #counter: Counter
  readonly #derived: Counter | null
  #terms: (Term | null)[] = new Array(FIRST_SLOTS).fill(null)
  #counts = new Int32Array(FIRST_SLOTS)
  #mask = FIRST_SLOTS - 1

  /**
   * @param counter counts the terms' texts
   * @param derived counts what is derived from them; null when nothing is
   */
  constructor(counter: Counter, derived: Counter | null) {
    this.#counter = counter
    this.#derived = derived
  }

  add(term: Term, count = 1): void {
    const slot = term.id & this.#mask
    if (this.#terms[slot] === term) this.#counts[slot]! += count
    else this.#begin(term, count)
  }

  /** Adds all that waits to the counters. */
  fold(): void {
    for (let slot = 0; slot < this.#terms.length; slot++) this.#foldSlot(slot)
  }

  #begin(term: Term, count: number): void {
    let slot = term.id & this.#mask
    while (this.#terms[slot] !== null && this.#terms[slot]?.id !== term.id && this.#terms.length < MAX_SLOTS) {
      this.#grow()
      slot = term.id & this.#mask
    }
    this.#foldSlot(slot)
    this.#terms[slot] = term
    this.#counts[slot] = count
  }

  #foldSlot(slot: number): void {
    const count = this.#counts[slot] as number
    if (count === 0) return
    const term = this.#terms[slot] as Term
    this.#counter.add(term.text, count)
    this.#derived?.add(term.derived, count)
    this.#counts[slot] = 0
  }

  /** Twice as many slots: terms that had one each have one each again. */
  #grow(): void {
    const [terms, counts] = [this.#terms, this.#counts]
    this.#mask = 2 * terms.length - 1
    this.#terms = new Array(2 * terms.length).fill(null)
    this.#counts = new Int32Array(2 * terms.length)
    for (let i = 0; i < terms.length; i++) {
      const term = terms[i]
      if (term === null || term === undefined) continue
      this.#terms[term.id & this.#mask] = term
      this.#counts[term.id & this.#mask] = counts[i] as number
    }
  }
}
