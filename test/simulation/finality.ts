import type { Level } from '../../src/windows/levels.ts'
import { check } from './failure.ts'
import type { Judge, SeenProgress } from './judge.ts'

/** How much of each source a final result held, and which sources were only proven silent. */
type Final = {
  readonly window: number
  readonly through: Readonly<Record<string, number>>
  readonly silent: ReadonlySet<number>
  readonly expected: number
}

/** Judges what one level's reducers call final and forget: all sources must have passed it, or be silent for long enough. */
export class FinalityJudge {
  readonly #judge: Judge
  readonly #level: Level
  readonly #finals: Final[] = []

  constructor(judge: Judge, level: Level) {
    this.#judge = judge
    this.#level = level
  }

  /**
   * Everything that a reducer had read below `position` shows that no source can be waited for.
   * @param untilMs what each source's clock, or its silence, must have reached
   * @returns how many sources there are, and those of which only silence is known
   */
  justify(r: number, what: string, position: number, untilMs: number): { expected: number; silent: Set<number> } {
    const latest = new Map<number, SeenProgress>()
    let expected = 0
    for (const seen of this.#judge.progressOf(this.#level.number, r)) {
      if (seen.position >= position) continue
      expected = Math.max(expected, seen.of)
      const known = latest.get(seen.p)
      const newer = known === undefined || seen.through > known.through
      if (newer || (seen.through === known.through && seen.position > known.position)) latest.set(seen.p, seen)
    }
    check('final-justified', expected > 0, () => `${what}: no source has told progress`)
    const silent = new Set<number>()
    for (let p = 0; p < expected; p++) {
      const seen = latest.get(p)
      check('final-justified', seen !== undefined, () => `${what}: source ${p} of ${expected} has told no progress`)
      if (seen.clock >= untilMs) continue
      check('final-justified', seen.silentAt >= untilMs, () => {
        return `${what}: source ${p} has clock ${seen.clock}, is silent at ${seen.silentAt}, and ${untilMs} must be passed`
      })
      silent.add(p)
    }
    return { expected, silent }
  }

  /** A reducer's marks move only when the windows up to them are closed, and corrections are no longer taken. */
  moved(r: number, position: number, from: Marks, to: Marks): void {
    const { latenessMs, horizonMs } = this.#judge.plan
    const what = `commit ${position} of reducer ${r}, level ${this.#level.number}`
    check('monotone-final', to.final >= from.final && to.dropped >= from.dropped, () => {
      return `${what}: final ${from.final} -> ${to.final}, dropped ${from.dropped} -> ${to.dropped}`
    })
    if (to.final > from.final) this.justify(r, what, position, this.#endMs(to.final) + latenessMs)
    if (to.dropped === from.dropped) return
    this.justify(r, `${what} (forgetting)`, position, this.#endMs(to.dropped) + latenessMs + horizonMs)
  }

  #endMs(window: number): number {
    return window * this.#level.hopMs + this.#level.sizeMs
  }

  final(r: number, what: string, window: number, through: Final['through'], position: number): void {
    const untilMs = this.#endMs(window) + this.#judge.plan.latenessMs
    this.#finals.push({ window, through, ...this.justify(r, what, position, untilMs) })
  }

  /** A final result lacks only events of sources that were silent or not yet known. */
  checkWhole(): void {
    for (const { window, through, silent, expected } of this.#finals) {
      for (const truth of this.#judge.truths) {
        const p = truth.partition
        if (silent.has(p) || p >= expected || truth.hasGaps) continue
        const later = truth.acceptedIn(truth.fold(), window, through[p] ?? 0, Number.POSITIVE_INFINITY)
        check('final-is-whole', later.length === 0, () => {
          return `window ${window} was final through ${through[p] ?? 0} of source ${p}, but ${later[0]?.offset} came`
        })
      }
    }
  }
}

/** The greatest window that is final, and the greatest that is forgotten. */
export type Marks = { readonly final: number; readonly dropped: number }
