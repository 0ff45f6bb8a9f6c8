import { type EventReadingRules, type RecountedEvent, type RecountRecord, readEvent } from './event.ts'

export type ClockRules = EventReadingRules & {
  readonly windowSizeMs: number
  readonly allowedLatenessMs: number
}

/** What becomes of a record: `accepted`, `late`, or the code of a rejection (`not_json`, ...). */
export type Judged = { readonly outcome: string; readonly event: RecountedEvent | null }

/** Judges the records of one source partition in their order: the greatest min(event time, record timestamp) decides who is late. */
export class PartitionClock {
  /** Epoch milliseconds; 0 before the first event. */
  clock: number
  readonly #rules: ClockRules

  constructor(rules: ClockRules, clock = 0) {
    this.#rules = rules
    this.clock = clock
  }

  take(record: RecountRecord): Judged {
    const { windowSizeMs, allowedLatenessMs } = this.#rules
    const event = readEvent(record, this.#rules)
    if (typeof event === 'string') return { outcome: event, event: null }
    const windowEnd = (Math.floor(event.time / windowSizeMs) + 1) * windowSizeMs
    const isLate = windowEnd + allowedLatenessMs <= this.clock
    this.clock = Math.max(this.clock, Math.min(event.time, record.timestamp))
    return { outcome: isLate ? 'late' : 'accepted', event }
  }
}
