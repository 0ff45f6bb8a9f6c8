/** Holds records back to so many a second, on average from the first of them on. */
export class Pace {
  readonly #perSecond: number
  readonly #now: () => number
  #paidAt = Number.NEGATIVE_INFINITY

  /**
   * @param perSecond records a second; 0 is no limit
   * @param now a clock that never goes back, milliseconds
   */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#now = now
  }

  /** Milliseconds until the next records may be taken; 0 when they may be now. */
  waitMs(): number {
    return Math.max(0, this.#paidAt - this.#now())
  }

  /** What was taken is paid for by those that come after it. */
  take(records: number): void {
    if (this.#perSecond > 0) this.#paidAt = Math.max(this.#paidAt, this.#now()) + (records / this.#perSecond) * 1_000
  }
}
