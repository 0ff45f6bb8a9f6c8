import { Aggregate, type AggregateLimits } from '../aggregate/aggregate.ts'
import type { ResultStatus } from '../results/result.ts'
import type { Covered, PartialMessage } from './messages.ts'
import type { WindowCounts } from './result.ts'
import { type Traceparent, WindowTraces } from './traceContext.ts'

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
  /** Events in all partials kept, and in the last result told. */
  count = 0
  toldCount = 0
  /** What it adds up to, for results, at the revision that it was added up. */
  counted: { readonly revision: number; readonly counts: WindowCounts } | null = null
  /** By the level it is handed up to: the revision that was, and when (epoch milliseconds). */
  readonly handedUp = new Map<number, { readonly revision: number; readonly at: number }>()
  readonly #parts = new Map<number, PartialMessage[]>()
  /** Null until a partial of a trace comes. */
  #traces: WindowTraces | null = null

  constructor(index: number, firstPosition: number) {
    this.index = index
    this.firstPosition = firstPosition
  }

  /**
   * Keeps the partial if it says more than the one held for its (p, from); tells whether it did.
   * @param context the sampled trace context under which it was told
   */
  offer(partial: PartialMessage, context: Traceparent | null = null): boolean {
    const isKept = this.#keep(partial)
    if (isKept && context !== null) {
      this.#traces ??= new WindowTraces()
      this.#traces.add(context)
    }
    return isKept
  }

  /** @param all those that were taken before, too */
  takeTraces(all: boolean): readonly Traceparent[] {
    return this.#traces?.take(all) ?? []
  }

  /** Sum over the partials of (through - from): along one log it only grows, and equal sums mean equal counts. */
  get revision(): number {
    let sum = 0
    for (const parts of this.#parts.values()) for (const part of parts) sum += part.through - part.from
    return sum
  }

  /** What its next result says of it, where all windows through this index are final. */
  statusAt(finalThrough: number): ResultStatus {
    if (this.index > finalThrough) return 'provisional'
    return this.corrected ? 'corrected' : 'final'
  }

  /** The partials added up. */
  total(limits: AggregateLimits): Aggregate {
    const aggregate = new Aggregate(limits)
    for (const parts of this.#parts.values()) {
      for (const part of saying(parts)) aggregate.mergeJson(part.aggregate)
    }
    return aggregate
  }

  /** What the partials cover, by source partition. */
  coverage(): ReadonlyMap<number, Covered> {
    const coverage = new Map<number, Coverage>()
    for (const parts of this.#parts.values()) {
      const first = parts[0] as PartialMessage
      if (first.coverage === null) coverage.set(first.p, coverageOf(parts))
      else for (const covered of first.coverage) cover(coverage, covered)
    }
    return coverage
  }

  #keep(partial: PartialMessage): boolean {
    const parts = this.#parts.get(partial.p)
    if (parts === undefined) {
      this.#parts.set(partial.p, [partial])
      this.count += partial.aggregate.n
      return true
    }
    const at = parts.findIndex(other => other.from >= partial.from)
    const other = parts[at]
    if (other === undefined) parts.push(partial)
    else if (other.from !== partial.from) parts.splice(at, 0, partial)
    else if (partial.through > other.through) {
      parts[at] = partial
      this.count -= other.aggregate.n
    } else return false
    this.count += partial.aggregate.n
    return true
  }
}

type Coverage = { -readonly [K in keyof Covered]: Covered[K] }

/**
 * The parts of a source, in the order of `from`, that say something. Retention may make a new owner begin a sub-chunk while
 * a partial of the owner before it reaches further than its commit: a sub-chunk inside such a partial says nothing new.
 */
function saying(parts: readonly PartialMessage[]): readonly PartialMessage[] {
  if (parts.length === 1) return parts
  let through = -1
  return parts.filter(part => {
    const says = part.through > through
    if (says) through = part.through
    return says
  })
}

function coverageOf(parts: readonly PartialMessage[]): Coverage {
  const { p, from, clockAtFrom } = parts[0] as PartialMessage
  const twice: [number, number][] = []
  let through = from
  for (const part of saying(parts)) {
    // A sub-chunk that passes the end of a partial that it begins in repeats what lies between.
    if (part.from < through) twice.push([part.from, through])
    through = part.through
  }
  return { p, from, clockAtFrom, through, twice }
}

/** What a window covers is what the shorter windows in it cover together: their ranges lie side by side or overlap. */
function cover(coverage: Map<number, Coverage>, covered: Covered): void {
  const known = coverage.get(covered.p)
  if (known === undefined) {
    coverage.set(covered.p, { ...covered })
    return
  }
  if (covered.from < known.from) {
    known.from = covered.from
    known.clockAtFrom = covered.clockAtFrom
  }
  known.through = Math.max(known.through, covered.through)
  const fresh = covered.twice.filter(([from, to]) => !known.twice.some(range => range[0] === from && range[1] === to))
  known.twice = [...known.twice, ...fresh]
}
