import { closedThrough, windowEndMs, windowIndexOf } from '../windows/windows.ts'
import type { OpenWindow } from './openWindow.ts'

/** Windows held during a replay before those that are closed and told are let go. */
const PRUNE_ABOVE = 1024

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

  constructor(sizeMs: number, latenessMs: number) {
    this.#sizeMs = sizeMs
    this.#latenessMs = latenessMs
  }

  get size(): number {
    return this.#windows.size
  }

  values(): Iterable<OpenWindow> {
    return this.#windows.values()
  }

  /** The window asked for last; null when there is none. */
  get last(): OpenWindow | null {
    return this.#last
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
    this.#windows.clear()
    this.#rememberNone()
  }

  #forget(through: number, toldOnly: boolean): void {
    for (const [index, window] of this.#windows) {
      if (index <= through && !(toldOnly && window.dirty)) this.#windows.delete(index)
    }
    this.#rememberNone()
  }

  #rememberNone(): void {
    this.#last = null
    this.#before = null
  }
}
