import { Aggregate, type AggregateLimits } from '../aggregate/aggregate.ts'
import type { PartialMessage } from './messages.ts'

/**
 * A window's state in the reducer: a map (p, from) -> the partial with the greatest `through`. Its total is the sum of
 * the map, so repeats, reordering and a zombie's late write change nothing.
 */
export class HeldWindow {
  readonly index: number
  /** Position in the partials log of the first partial kept: reading from here rebuilds the window. */
  readonly firstPosition: number
  /** A partial reached it after it had become final. */
  corrected = false
  /** Holds partials that no result has told. */
  dirty = false
  readonly #parts = new Map<number, PartialMessage[]>()

  constructor(index: number, firstPosition: number) {
    this.index = index
    this.firstPosition = firstPosition
  }

  /** Keeps the partial if it says more than the one held for its (p, from); tells whether it did. */
  offer(partial: PartialMessage): boolean {
    const parts = this.#parts.get(partial.p)
    if (parts === undefined) {
      this.#parts.set(partial.p, [partial])
      return true
    }
    const at = parts.findIndex(other => other.from >= partial.from)
    const other = parts[at]
    if (other === undefined) parts.push(partial)
    else if (other.from !== partial.from) parts.splice(at, 0, partial)
    else if (partial.through > other.through) parts[at] = partial
    else return false
    return true
  }

  /** Sum over the partials of (through - from): along one log it only grows, and equal sums mean equal counts. */
  get revision(): number {
    let sum = 0
    for (const parts of this.#parts.values()) for (const part of parts) sum += part.through - part.from
    return sum
  }

  /** Adds the partials up. Parts of one source are in the order of `from`. */
  total(limits: AggregateLimits): WindowTotal {
    const aggregate = new Aggregate(limits)
    const sources = new Map<number, SourceCoverage>()
    for (const [p, parts] of this.#parts) {
      const first = parts[0] as PartialMessage
      const coverage: SourceCoverage = {
        from: first.from,
        clockAtFrom: first.clockAtFrom,
        through: first.from,
        twice: [],
      }
      for (const part of parts) {
        // Retention may make a new owner begin a sub-chunk while a partial of the owner before it reaches further than
        // its commit. A sub-chunk inside such a partial says nothing new; one that passes its end repeats what lies between.
        if (part.through <= coverage.through) continue
        if (part.from < coverage.through) coverage.twice.push([part.from, coverage.through])
        aggregate.merge(Aggregate.fromJSON(part.aggregate, limits))
        coverage.through = part.through
      }
      sources.set(p, coverage)
    }
    return { aggregate, sources }
  }
}

export type WindowTotal = { readonly aggregate: Aggregate; readonly sources: ReadonlyMap<number, SourceCoverage> }

export type SourceCoverage = {
  readonly from: number
  readonly clockAtFrom: number
  through: number
  /** Ranges of offsets whose events are perhaps counted twice. */
  readonly twice: [number, number][]
}
