import type { Totals } from '../results/result.ts'
import { addGap, type Gap } from '../windows/gaps.ts'
import { type ProgressMessage, type SourceGap, sumTotals } from './messages.ts'

/** The latest word of a source on its own completeness. */
type Latest = {
  readonly progress: ProgressMessage
  /** Where it stands in the log. */
  readonly position: number
  /** The broker's time of the record, epoch milliseconds. */
  readonly appendedAt: number
}

/** All that is known of a source. */
type Source = Latest & {
  /** Every gap that any of its owners has told. */
  readonly gaps: readonly SourceGap[]
  /** Reading from this position tells all of it again. */
  readonly heldFrom: number
}

/**
 * What the sources of a level have told of their progress: the source partitions for the base level, the partitions of the
 * level below for any other.
 */
export class Sources {
  readonly #sources = new Map<number, Source>()
  /** The greatest number of sources that any of them knew of: finality waits for all. */
  #expected: number

  constructor(expected: number) {
    this.#expected = expected
  }

  get expected(): number {
    return this.#expected
  }

  /**
   * Takes what a source tells.
   * @returns gaps that nobody had told of before
   */
  take(progress: ProgressMessage, position: number, appendedAt: number): readonly SourceGap[] {
    const known = this.#sources.get(progress.p)
    this.#expected = Math.max(this.#expected, progress.of)
    const told = known?.gaps ?? []
    const fresh = progress.gaps.filter(gap => !includes(told, gap))
    const latest = { progress, position, appendedAt }
    const further = known === undefined || reachesFurther(latest, known)
    // A gap counts whoever tells it: an owner that lost records may stand behind what an owner before it had told.
    const whole = told.every(gap => includes(progress.gaps, gap))
    this.#sources.set(progress.p, {
      ...(further ? latest : known),
      gaps: fresh.reduce(addSourceGap, told),
      heldFrom: known !== undefined && !(further && whole) ? known.heldFrom : position,
    })
    return fresh
  }

  /** How far a source has told; 0 before its first word. */
  throughOf(p: number): number {
    return this.#sources.get(p)?.progress.through ?? 0
  }

  /** Reading from this position tells the latest word of all sources again; null before the first. */
  get heldFrom(): number | null {
    let least: number | null = null
    for (const { heldFrom } of this.#sources.values()) least = Math.min(least ?? heldFrom, heldFrom)
    return least
  }

  /**
   * The clock that all sources have passed; for a source proven idle, silence counts as time passing.
   * @param heard whether anything else tells that there have been events
   */
  leastClock(heard: boolean): number {
    let least = Number.POSITIVE_INFINITY
    let began = this.#expected > 0 && heard
    for (let p = 0; p < this.#expected; p++) {
      const source = this.#sources.get(p)
      if (source === undefined) return Number.NEGATIVE_INFINITY
      if (source.progress.clock > 0) began = true
      least = Math.min(least, passedBy(source))
    }
    // Before the first event of all there is nothing to close: history may be about to be loaded into empty topics.
    return began ? least : Number.NEGATIVE_INFINITY
  }

  /** The clock that each source has passed, by its number; epoch milliseconds, 0 before its first event. */
  clocks(): ReadonlyMap<number, number> {
    return new Map([...this.#sources].map(([p, source]) => [p, passedBy(source)]))
  }

  /** The latest progress of each source. */
  progress(): ProgressMessage[] {
    return [...this.#sources.values()].map(({ progress }) => progress)
  }

  /** All gaps that were told, each once. */
  gaps(): readonly SourceGap[] {
    const all: SourceGap[] = []
    for (const { gaps } of this.#sources.values()) {
      for (const gap of gaps) if (!includes(all, gap)) all.push(gap)
    }
    return all
  }

  /** What all sources had told of the whole stream, added up. */
  sum(): Totals {
    return sumTotals(this.progress())
  }

  /** The farthest of what the sources had told of the whole stream, each of which speaks for all. */
  farthest(): Totals {
    let farthest: Totals = { accepted: 0, late: 0, rejected: {} }
    for (const { progress } of this.#sources.values()) {
      if (delivered(progress.totals) > delivered(farthest)) farthest = progress.totals
    }
    return farthest
  }
}

function delivered({ accepted, late, rejected }: Totals): number {
  return Object.values(rejected).reduce((sum, count) => sum + count, accepted + late)
}

/** For a source proven idle, silence counts as time passing. */
function passedBy(source: Latest): number {
  const { clock, idleAsOf } = source.progress
  return idleAsOf === null ? clock : Math.max(clock, Math.min(idleAsOf, source.appendedAt))
}

/** Of two words that reach equally far the later one counts. */
function reachesFurther(a: Latest, b: Latest): boolean {
  const [through, other] = [a.progress.through, b.progress.through]
  return through > other || (through === other && a.position >= b.position)
}

function includes(gaps: readonly SourceGap[], { p, from, to }: SourceGap): boolean {
  return gaps.some(gap => gap.p === p && gap.from === from && gap.to === to)
}

/** Gaps are joined, when there are too many, with those of their own source partition only. */
function addSourceGap(gaps: readonly SourceGap[], gap: SourceGap): readonly SourceGap[] {
  const own = gaps.filter(({ p }) => p === gap.p)
  const joined: readonly Gap[] = addGap(own, gap)
  return [...gaps.filter(({ p }) => p !== gap.p), ...joined.map(each => ({ ...each, p: gap.p }))]
}
