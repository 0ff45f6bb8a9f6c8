const HOUR_MS = 3_600_000
const QUARTER_MS = 900_000
const CACHE_LIMIT = 4096
/** A quarter of an hour in which the hour of the day changes. */
const MIXED = -1

/** Parts of a day of six hours each, from midnight on. */
export const DAY_PARTS = ['night', 'morning', 'afternoon', 'evening'] as const

export function dayPartOf(hour: number): (typeof DAY_PARTS)[number] {
  return DAY_PARTS[Math.floor(hour / 6)] as (typeof DAY_PARTS)[number]
}

/** Whether the text names a time zone as IANA does (`Europe/Berlin`, `UTC`). */
export function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text })
    return true
  } catch {
    return false
  }
}

/**
 * Compiles the hour of the day, 0 to 23, of a moment (epoch milliseconds) in a time zone.
 * @throws RangeError when there is no such zone
 */
export function createHourReader(timeZone: string): (timeMs: number) => number {
  if (timeZone === 'UTC') return timeMs => Math.floor(timeMs / HOUR_MS) % 24
  const format = new Intl.DateTimeFormat('en-US', { timeZone, hour: 'numeric', hourCycle: 'h23' })
  const hourAt = (timeMs: number) => Number(format.format(timeMs))
  const hours = new Map<number, number>()
  return timeMs => {
    const quarter = Math.floor(timeMs / QUARTER_MS)
    let hour = hours.get(quarter)
    if (hour === undefined) {
      // Almost every offset is a multiple of a quarter of an hour; those that are not show in its two ends.
      const first = hourAt(quarter * QUARTER_MS)
      hour = first === hourAt(quarter * QUARTER_MS + QUARTER_MS - 1) ? first : MIXED
      if (hours.size >= CACHE_LIMIT) hours.clear()
      hours.set(quarter, hour)
    }
    return hour === MIXED ? hourAt(timeMs) : hour
  }
}
