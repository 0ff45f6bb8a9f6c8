import type { EventSlice, RunRules } from '../events/eventSlice.ts'
import type { Ipv4Lookup } from '../events/place.ts'
import { WINDOW_RUNS, type WindowRun } from '../events/windowRun.ts'
import { closedThrough, windowEndMs, windowIndexOf } from '../windows/windows.ts'
import type { OpenWindow } from './openWindow.ts'

/** Windows held during a replay before those that are closed and told are let go. */
const PRUNE_ABOVE = 1024

/** Of the windows that runs count into, so many are earlier than the one that was asked for last. */
const EARLIER = 2

/**
 * The windows of a partition's present chunk, by index. The two asked for last are at hand: nearly all events belong to the
 * newest window or, around its start, to the one before.
 */
export class OpenWindows {
  readonly #sizeMs: number
  readonly #latenessMs: number
  readonly #windows = new Map<number, OpenWindow>()
  #pruneAt = PRUNE_ABOVE
  #last: OpenWindow | null = null
  #before: OpenWindow | null = null
  /** Those that runs count into, side by side from an index on; none where they are to be chosen anew. */
  #running: readonly (OpenWindow | null)[] = []
  #runningFrom = 0

  constructor(sizeMs: number, latenessMs: number) {
    this.#sizeMs = sizeMs
    this.#latenessMs = latenessMs
  }

  get size(): number {
    return this.#windows.size
  }

  values(): Iterable<OpenWindow> {
    this.settle()
    return this.#windows.values()
  }

  /**
   * Counts the events of a slice's rows from `row` on for as long as they are simply more of the windows around the one
   * asked for last; `addRun` has to follow.
   * @returns the row behind them
   */
  countRun(
    slice: EventSlice,
    row: number,
    rules: Pick<RunRules, 'limit' | 'skewMs' | 'looksForTraces'>,
    clockMs: number,
  ): number {
    const last = this.#last
    if (last === null) return row
    const place = last.index - this.#runningFrom
    if (place < 0 || place >= this.#running.length) this.#choose(last.index - EARLIER)
    for (let i = 0; i < WINDOW_RUNS.length; i++) {
      const run = WINDOW_RUNS[i] as WindowRun
      const window = this.#running[i] ?? null
      if (window === null) run.refuse()
      else run.admit(window.endMs + this.#latenessMs, window.ceiling)
    }
    const [startMs, sizeMs] = [this.#runningFrom * this.#sizeMs, this.#sizeMs]
    return slice.countRun(row, { ...rules, startMs, sizeMs }, clockMs)
  }

  /**
   * Has the windows take the events of the last run.
   * @param told whether partials have told them all already; else none has
   * @returns by about how many bytes the partials grow that wait to be told
   */
  addRun(slice: EventSlice, places: Ipv4Lookup, told: boolean): number {
    let grown = 0
    for (const [i, run] of WINDOW_RUNS.entries()) {
      if (run.events > 0)
        grown += (this.#running[i] as OpenWindow).countRun(run, places, slice.offset(run.lastRow), told)
    }
    return grown
  }

  /**
   * Has the windows take what runs have left for later. To be called before anybody else counts a run, and before a window
   * is asked for what it has counted, as `values` does.
   */
  settle(): void {
    for (const [i, run] of WINDOW_RUNS.entries()) if (run.hasCounted) this.#running[i]?.settle(run)
  }

  /** The window that holds the event time; null when it is not open. */
  at(timeMs: number): OpenWindow | null {
    const last = this.#last
    if (last !== null && timeMs >= last.startMs && timeMs < last.endMs) return last
    const before = this.#before
    const isBefore = before !== null && timeMs >= before.startMs && timeMs < before.endMs
    const window = isBefore ? before : this.#windows.get(windowIndexOf(timeMs, this.#sizeMs))
    if (window === undefined) return null
    this.#before = last
    this.#last = window
    return window
  }

  /** Whether the window that holds the event time still takes events once the clock stands at `clockMs`. */
  takes(timeMs: number, clockMs: number): boolean {
    return windowEndMs(windowIndexOf(timeMs, this.#sizeMs), this.#sizeMs) + this.#latenessMs > clockMs
  }

  /** Lets go of closed windows that have nothing to tell when there are too many, and holds one more. */
  open(window: OpenWindow, clockMs: number): void {
    this.#rechoose()
    if (this.#windows.size >= this.#pruneAt) {
      this.#forget(closedThrough(clockMs, this.#sizeMs, this.#latenessMs), true)
      // Doubled: windows that cannot go are not walked over again for each new one.
      this.#pruneAt = Math.max(PRUNE_ABOVE, 2 * this.#windows.size)
    }
    this.#windows.set(window.index, window)
    this.#before = this.#last
    this.#last = window
  }

  /** Lets go of the windows up to this index. */
  closeThrough(index: number): void {
    this.#forget(index, false)
  }

  clear(): void {
    this.#rechoose()
    for (const window of this.#windows.values()) window.release()
    this.#windows.clear()
    this.#rememberNone()
  }

  #choose(from: number): void {
    this.settle()
    this.#runningFrom = from
    this.#running = WINDOW_RUNS.map((_, i) => this.#windows.get(from + i) ?? null)
  }

  /** Windows come or go. */
  #rechoose(): void {
    this.settle()
    this.#running = []
  }

  #forget(through: number, toldOnly: boolean): void {
    this.#rechoose()
    for (const [index, window] of this.#windows) {
      if (index > through || (toldOnly && window.dirty)) continue
      window.release()
      this.#windows.delete(index)
    }
    this.#rememberNone()
  }

  #rememberNone(): void {
    this.#last = null
    this.#before = null
  }
}
