/**
 * Proves that a partition is silent: its log ended exactly at our position each time that we looked, for as long as asked.
 * One that holds nothing at all is silent at once.
 */
export class Idleness {
  #since: number | null = null
  #asOf = 0
  #position = -1

  /**
   * Takes one look at the log.
   * @param position the task's position when the look was begun
   * @param end the log's end (high watermark)
   * @param asOf when the look was begun, epoch milliseconds: what was appended before is below `end`
   */
  observe(position: number, log: { start: number; end: number }, asOf: number): void {
    if (position !== log.end) {
      this.#since = null
      return
    }
    if (position !== this.#position || this.#since === null) {
      this.#since = log.start === log.end ? Number.NEGATIVE_INFINITY : asOf
    }
    this.#position = position
    this.#asOf = asOf
  }

  /** When silence was last proven, or null while it is not: also when records were processed since the last look. */
  asOf(position: number, timeoutMs: number): number | null {
    if (this.#since === null || position !== this.#position) return null
    return this.#asOf - this.#since >= timeoutMs ? this.#asOf : null
  }
}
