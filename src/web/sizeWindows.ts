import type { Result, ResultStatus, Standing } from '../results/result.ts'
import { windowSizeText } from '../windows/windows.ts'

/** One window as it is held: its result as JSON, and what is asked for without reading that. */
export type Held = Standing & {
  readonly startMs: number
  readonly count: number
  readonly exact: boolean
  readonly quality: Result['quality']
  /** The result, UTF-8 JSON. */
  readonly json: Buffer
}

export type Selection = {
  /** Windows that begin in [fromMs, toMs). */
  readonly fromMs: number
  readonly toMs: number
  readonly statuses: ReadonlySet<ResultStatus>
  readonly order: 'asc' | 'desc'
  /** Ends the page after so many windows, or with the window that brings it to so many bytes. */
  readonly limit: number
  readonly maxBytes: number
}

/** A page of windows; `more` when others follow. */
export type Page = { readonly windows: readonly Held[]; readonly more: boolean }

/** What is kept of one size: windows that end later than `keptMs` before the last one's end, and at most `keptCount`. */
export type Keep = { readonly keptMs: number; readonly keptCount: number }

/** The windows of one size in the order of time, bounded: what is kept does not depend on the order in which they come. */
export class SizeWindows {
  readonly sizeMs: number
  readonly #keep: Keep
  readonly #byStart = new Map<number, Held>()
  /** Ascending. */
  readonly #starts: number[] = []

  constructor(sizeMs: number, keep: Keep) {
    this.sizeMs = sizeMs
    this.#keep = keep
  }

  /** How many windows there are. */
  get size(): number {
    return this.#starts.length
  }

  /** As in keys: `1m`. */
  get sizeText(): string {
    return windowSizeText(this.sizeMs)
  }

  get(startMs: number): Held | null {
    return this.#byStart.get(startMs) ?? null
  }

  /** All windows by their first millisecond. */
  get byStart(): ReadonlyMap<number, Held> {
    return this.#byStart
  }

  first(): Held | null {
    return this.get(this.#starts[0] ?? Number.NaN)
  }

  last(): Held | null {
    return this.get(this.#starts.at(-1) ?? Number.NaN)
  }

  /** The last window that is not provisional; null when there is none. */
  lastFinal(): Held | null {
    const startMs = this.#starts.findLast(start => this.#byStart.get(start)?.status !== 'provisional')
    return this.get(startMs ?? Number.NaN)
  }

  /** Sets a window, and drops those that are no longer kept; false when it is itself not kept. */
  set(held: Held): boolean {
    if (!this.#byStart.has(held.startMs)) this.#starts.splice(this.#indexOf(held.startMs), 0, held.startMs)
    this.#byStart.set(held.startMs, held)
    const oldest = (this.#starts.at(-1) as number) - this.#keep.keptMs
    while (this.#starts.length > this.#keep.keptCount || (this.#starts[0] as number) <= oldest) {
      this.#byStart.delete(this.#starts.shift() as number)
    }
    return this.#byStart.has(held.startMs)
  }

  delete(startMs: number): boolean {
    if (!this.#byStart.delete(startMs)) return false
    this.#starts.splice(this.#indexOf(startMs), 1)
    return true
  }

  select({ fromMs, toMs, statuses, order, limit, maxBytes }: Selection): Page {
    const [begin, end] = [this.#indexOf(fromMs), this.#indexOf(toMs)]
    const windows: Held[] = []
    let bytes = 0
    for (let step = 0; step < end - begin; step++) {
      const startMs = this.#starts[order === 'asc' ? begin + step : end - 1 - step] as number
      const held = this.#byStart.get(startMs) as Held
      if (!statuses.has(held.status)) continue
      if (windows.length >= limit || bytes >= maxBytes) return { windows, more: true }
      windows.push(held)
      bytes += held.json.length
    }
    return { windows, more: false }
  }

  /** The place of the first window that begins at `startMs` or later. */
  #indexOf(startMs: number): number {
    let [low, high] = [0, this.#starts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] as number) < startMs) low = middle + 1
      else high = middle
    }
    return low
  }
}
