const MINUTE_MS = 60_000

/**
 * Compiles epoch milliseconds -> ISO 8601 in UTC with milliseconds, as Date's toISOString gives it. The times of a stream
 * stay within few minutes, so that only seconds are worked out for most.
 */
export function createIsoText(): (timeMs: number) => string {
  const minutes = new Map<number, string>()
  return timeMs => {
    const minute = Math.floor(timeMs / MINUTE_MS)
    let prefix = minutes.get(minute)
    if (prefix === undefined) {
      prefix = new Date(minute * MINUTE_MS).toISOString().slice(0, -'00.000Z'.length)
      if (minutes.size >= CACHE_LIMIT) minutes.clear()
      minutes.set(minute, prefix)
    }
    const ms = timeMs - minute * MINUTE_MS
    return `${prefix}${TWO_DIGITS[Math.floor(ms / 1000)]}.${THREE_DIGITS[Math.floor(ms % 1000)]}Z`
  }
}

const CACHE_LIMIT = 1024
const TWO_DIGITS = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'))
const THREE_DIGITS = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'))
