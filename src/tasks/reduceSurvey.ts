import type { ResultStatus } from '../results/result.ts'
import { endMsOf, type Level } from '../windows/levels.ts'
import type { HeldWindow } from './heldWindow.ts'
import type { Sources } from './sources.ts'

/** What one partition of a level holds and how far it has come, for those who watch. Times are epoch milliseconds. */
export type ReduceSurvey = {
  /** The level's name. */
  readonly size: string
  /** Windows held, by the status of their next result. */
  readonly windows: Readonly<Record<ResultStatus, number>>
  /** Event time that all sources have passed; null before they have told of any. */
  readonly clockMs: number | null
  /** End of the newest window that is final; null before the first. */
  readonly finalEndMs: number | null
  /** The clock that each source partition has passed; empty above the base level, whose sources are no such partitions. */
  readonly sources: ReadonlyMap<number, number>
}

const NONE: ReadonlyMap<number, number> = new Map()

/** @param reached the index through which all windows are final, and the clock that all sources have passed */
export function surveyOf(
  level: Level,
  windows: Iterable<HeldWindow>,
  sources: Sources,
  { finalThrough, clockMs }: { readonly finalThrough: number; readonly clockMs: number },
): ReduceSurvey {
  const counts = { provisional: 0, final: 0, corrected: 0 }
  for (const window of windows) counts[window.statusAt(finalThrough)]++
  return {
    size: level.name,
    windows: counts,
    clockMs: clockMs > 0 && Number.isFinite(clockMs) ? clockMs : null,
    finalEndMs: finalThrough < 0 ? null : endMsOf(level, finalThrough),
    sources: level.below === null ? sources.clocks() : NONE,
  }
}
