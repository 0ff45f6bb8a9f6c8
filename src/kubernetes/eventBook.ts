import type { Report } from './reports.ts'

/** What is to be written of a series: `count` reports that are not told yet. */
export type Entry = { readonly report: Report; readonly count: number; readonly lastAt: number }

type Series = { readonly report: Report; count: number; lastAt: number; triedAt: number }

/** A series is written at its first report, and then at most this often with what has come since. */
const WRITE_INTERVAL_MS = 30_000
/** A series that is still for so long is forgotten here; should it go on, it goes on in the same Event. */
const FORGET_MS = 600_000
const MAX_SERIES = 200
/** Writes of one process: so many at once, and then one in this time. */
const BURST = 20
const REFILL_MS = 10_000

/**
 * Reports by series (reason and key), each written once at first and then as a count, with a bound on all writes of the
 * process. Pure: times are milliseconds of any clock that never goes back.
 */
export class EventBook {
  readonly #series = new Map<string, Series>()
  #tokens = BURST
  #refilledAt: number | null = null
  #dropped = 0

  add(report: Report, nowMs: number): void {
    const id = `${report.reason}\n${report.key}`
    const known = this.#series.get(id)
    if (known !== undefined) {
      known.count++
      known.lastAt = nowMs
    } else if (this.#series.size < MAX_SERIES) {
      this.#series.set(id, { report, count: 1, lastAt: nowMs, triedAt: Number.NEGATIVE_INFINITY })
    } else this.#dropped++
  }

  /** Takes what may be written now. What could not be written is to be given back by `failed`. */
  take(nowMs: number): Entry[] {
    this.#refill(nowMs)
    const entries: Entry[] = []
    for (const [id, series] of this.#series) {
      if (series.count === 0 && nowMs - series.lastAt > FORGET_MS) this.#series.delete(id)
      if (series.count === 0 || nowMs - series.triedAt < WRITE_INTERVAL_MS || this.#tokens < 1) continue
      this.#tokens--
      series.triedAt = nowMs
      entries.push({ report: series.report, count: series.count, lastAt: series.lastAt })
      series.count = 0
    }
    return entries
  }

  failed({ report, count }: Entry): void {
    const series = this.#series.get(`${report.reason}\n${report.key}`)
    if (series !== undefined) series.count += count
  }

  /** Whether a series waits that was never written. */
  get hasNew(): boolean {
    return [...this.#series.values()].some(({ count, triedAt }) => count > 0 && triedAt === Number.NEGATIVE_INFINITY)
  }

  /** How many reports have found no place since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }

  #refill(nowMs: number): void {
    this.#refilledAt ??= nowMs
    const refills = Math.floor((nowMs - this.#refilledAt) / REFILL_MS)
    this.#tokens = Math.min(BURST, this.#tokens + refills)
    this.#refilledAt += refills * REFILL_MS
  }
}
