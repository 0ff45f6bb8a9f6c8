import type { LoginEvent } from './loginEvent.ts'
import { parseTimestamp } from './timestamp.ts'

const ZERO = 0x30
const DASH = 0x2d
/** So many digits are a whole number whatever they are, and one that is added up without loss. */
const MOST_DIGITS = 15
const NINE_DIGITS = 9
const POWERS = Array.from({ length: MOST_DIGITS - NINE_DIGITS + 1 }, (_, exponent) => 10 ** exponent)
const MILLISECONDS_FROM = 1e11
const LATEST_MS = 253_402_300_799_999
const DATE = '2023-09-12'.length
const SECONDS = '2023-09-12T00:12:30Z'.length
const MILLISECONDS = '2023-09-12T00:12:30.000Z'.length

/**
 * Reads times in place, in the spellings that they usually have, into the event: a number of their size that a function
 * returns would be an object of its own.
 */
export class TimeScanner {
  /** The date read last, as a number of eight digits, and its midnight in epoch milliseconds. */
  #date = -1
  #midnight = 0
  readonly #decoder = new TextDecoder()

  /**
   * Reads the time that the digits from `at` on are: epoch seconds, or milliseconds when >= 1e11. They end at whatever is no
   * digit, which stands there somewhere.
   * @returns where they end; -1 when they are no such time, or one that is not read here
   */
  digits(bytes: Uint8Array, at: number, event: LoginEvent): number {
    // Nine digits fit into 32 bits, in which adding up is fastest.
    const split = at + NINE_DIGITS
    let head = 0
    let tail = 0
    let next = at
    for (; next < split; next++) {
      const digit = (bytes[next] as number) - ZERO
      if (digit >>> 0 > 9) break
      head = (Math.imul(head, 10) + digit) | 0
    }
    if (next === split) {
      for (; ; next++) {
        const digit = (bytes[next] as number) - ZERO
        if (digit >>> 0 > 9) break
        tail = (Math.imul(tail, 10) + digit) | 0
      }
    }
    const count = next - at
    if (count === 0 || count > MOST_DIGITS) return -1
    const value = count > NINE_DIGITS ? head * (POWERS[count - NINE_DIGITS] as number) + tail : head
    const ms = value >= MILLISECONDS_FROM ? value : value * 1000
    event.timeMs = ms
    return ms <= LATEST_MS ? next : -1
  }

  /**
   * Reads the time that a text holds, bytes [start, end), in ISO 8601 with a `T`, seconds, and `Z`.
   * @returns false when it is no such time
   */
  iso(bytes: Uint8Array, start: number, end: number, event: LoginEvent): boolean {
    const length = end - start
    if (length !== SECONDS && length !== MILLISECONDS) return false
    if (bytes[start + 4] !== DASH || bytes[start + 7] !== DASH || bytes[start + DATE] !== 0x54) return false
    if (bytes[start + 13] !== 0x3a || bytes[start + 16] !== 0x3a || bytes[end - 1] !== 0x5a) return false
    const hour = numberAt(bytes, start + 11, start + 13)
    const minute = numberAt(bytes, start + 14, start + 16)
    const second = numberAt(bytes, start + 17, start + 19)
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false
    let ms = 0
    if (length === MILLISECONDS) {
      ms = bytes[start + 19] === 0x2e ? numberAt(bytes, start + 20, start + 23) : -1
      if (ms < 0) return false
    }
    const midnight = this.#midnightOf(bytes, start)
    event.timeMs = midnight + ((hour * 60 + minute) * 60 + second) * 1000 + ms
    return midnight >= 0
  }

  #midnightOf(bytes: Uint8Array, start: number): number {
    const year = numberAt(bytes, start, start + 4)
    const month = numberAt(bytes, start + 5, start + 7)
    const day = numberAt(bytes, start + 8, start + DATE)
    if (year < 0 || month < 0 || day < 0) return -1
    const date = (year * 100 + month) * 100 + day
    if (date !== this.#date) {
      this.#date = date
      this.#midnight = parseTimestamp(this.#decoder.decode(bytes.subarray(start, start + DATE)))
    }
    return this.#midnight
  }
}

/** The whole number that at most nine digits make; -1 when there is anything else. */
function numberAt(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = (bytes[i] as number) - ZERO
    if (digit >>> 0 > 9) return -1
    value = (Math.imul(value, 10) + digit) | 0
  }
  return value
}
