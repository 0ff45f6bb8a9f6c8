import { OPTIONAL_FIELDS } from './codes.ts'
import { KERNEL_BYTES } from './kernel.ts'
import { LAYOUT } from './kernelLayout.ts'
import type { TermCounter } from './term.ts'
import { type TermField, termOfField } from './textSlots.ts'

const { RUNS, RUN_BYTES, MOST_ROWS, MOST_WINDOWS } = LAYOUT
const INTS = new Int32Array(KERNEL_BYTES.buffer)
const FLOATS = new Float64Array(KERNEL_BYTES.buffer)
const FIELDS: readonly TermField[] = [0, 1, 2]
/** Sets of optional fields. */
const MISSING_SETS = 1 << OPTIONAL_FIELDS.length

/** Logins side by side. */
export type Logins = {
  /** The user's hash by hashText53. */
  readonly users: Float64Array
  /** Epoch milliseconds. */
  readonly times: Float64Array
  /** The bits of the device's hash; -1 where no device is known. */
  readonly devices: Float64Array
}

/**
 * What runs have counted of one of the windows that they count into. Events, addresses and logins are those of the last
 * run; terms and missing fields add up until they are taken, which has to be before anyone counts for another window here.
 */
export class WindowRun {
  /** Of the run's events; of one that has none 0.0.0.0, which is nowhere as well. */
  readonly addresses: Int32Array
  readonly logins: Logins
  readonly #at: number

  constructor(number: number) {
    const start = RUNS + number * RUN_BYTES
    const floats = (offset: number) => new Float64Array(KERNEL_BYTES.buffer, start + offset, MOST_ROWS)
    this.#at = start / 4
    this.addresses = new Int32Array(KERNEL_BYTES.buffer, start + LAYOUT.RUN_ADDRESSES, MOST_ROWS)
    this.logins = {
      users: floats(LAYOUT.LOGIN_USERS),
      times: floats(LAYOUT.LOGIN_TIMES),
      devices: floats(LAYOUT.LOGIN_DEVICES),
    }
  }

  /**
   * Has the next run count into it while the clock stands before `closesAtMs`.
   * @param ceiling users with a greater hash need not be looked at
   */
  admit(closesAtMs: number, ceiling: number): void {
    FLOATS[(this.#at + LAYOUT.CLOSES_AT / 4) / 2] = closesAtMs
    FLOATS[(this.#at + LAYOUT.CEILING / 4) / 2] = ceiling
  }

  /** Has the next run stop at its first event. */
  refuse(): void {
    this.admit(Number.NEGATIVE_INFINITY, 0)
  }

  get events(): number {
    return INTS[this.#at + LAYOUT.RUN_EVENTS / 4] as number
  }

  /** The row of the last of the events. */
  get lastRow(): number {
    return INTS[this.#at + LAYOUT.RUN_LAST_ROW / 4] as number
  }

  /** Of how many of the events the logins have to be looked at. */
  get loginCount(): number {
    return INTS[this.#at + LAYOUT.RUN_LOGINS / 4] as number
  }

  /** Adds what was counted of a field to its counter. */
  takeTerms(field: TermField, counter: TermCounter): void {
    const counts = this.#at + (LAYOUT.SLOT_COUNTS + field * LAYOUT.SLOT_COUNTS_BYTES) / 4
    const counted = this.#at + (LAYOUT.COUNTED + field * LAYOUT.COUNTED_BYTES) / 4
    const sizeAt = this.#at + LAYOUT.COUNTED_SIZES / 4 + field
    const size = INTS[sizeAt] as number
    for (let i = 0; i < size; i++) {
      const slot = INTS[counted + i] as number
      counter.add(termOfField(field, slot - 1), INTS[counts + slot] as number)
      INTS[counts + slot] = 0
    }
    INTS[sizeAt] = 0
  }

  /** Tells of how many events a set of fields was missing, as bits of OPTIONAL_FIELDS. */
  takeMissing(tell: (missing: number, events: number) => void): void {
    const counts = this.#at + LAYOUT.MISSING_COUNTS / 4
    for (let missing = 1; missing < MISSING_SETS; missing++) {
      const events = INTS[counts + missing] as number
      if (events === 0) continue
      tell(missing, events)
      INTS[counts + missing] = 0
    }
  }

  /** Whether there is something to be taken. */
  get hasCounted(): boolean {
    return FIELDS.some(field => INTS[this.#at + LAYOUT.COUNTED_SIZES / 4 + field] !== 0)
  }
}

/** Of windows side by side, the earliest first: what `EventSlice.countRun` counts into. */
export const WINDOW_RUNS: readonly WindowRun[] = Array.from({ length: MOST_WINDOWS }, (_, i) => new WindowRun(i))
