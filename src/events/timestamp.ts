const LATEST_MS = 253_402_300_799_999
/** Numbers from here on are milliseconds: as seconds they would lie beyond the year 5138. */
const MILLISECONDS_FROM = 1e11
const DIGITS = /^\d+(\.\d+)?$/
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:(Z)|([+-])(\d{2}):?(\d{2}))?)?$/i

/**
 * Reads a login event's time: epoch seconds, or milliseconds when >= 1e11, as a number or digits, or ISO 8601 (without
 * a zone: UTC).
 * @returns whole epoch milliseconds between 1970 and 9999, or -1 when the value is no such time
 */
export function parseTimestamp(value: unknown): number {
  if (typeof value === 'number') return fromNumber(value)
  if (typeof value !== 'string') return -1
  const first = value.charCodeAt(0)
  if (first < 48 || first > 57) return -1
  return DIGITS.test(value) ? fromNumber(Number(value)) : fromIso(value)
}

function fromNumber(value: number): number {
  if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return -1
  // Adding 0 makes -0, which JSON can hold, a 0.
  const ms = Math.floor(value >= MILLISECONDS_FROM ? value : value * 1000) + 0
  return ms <= LATEST_MS ? ms : -1
}

function fromIso(text: string): number {
  const m = ISO.exec(text)
  if (m === null) return -1
  const [year, month, day] = [Number(m[1]), Number(m[2]), Number(m[3])]
  const [hour, minute, second] = [Number(m[4] ?? 0), Number(m[5] ?? 0), Number(m[6] ?? 0)]
  if (hour > 23 || minute > 59 || second > 59) return -1
  const midnight = Date.UTC(year, month - 1, day)
  const date = new Date(midnight)
  // Date.UTC rolls over (February 30th becomes March): the calendar must give back what was written.
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return -1
  const fraction = m[7] === undefined ? 0 : Math.floor(Number(`0.${m[7]}`) * 1000)
  const zone = zoneOffsetMs(m[9], m[10], m[11])
  if (zone === null) return -1
  const ms = midnight + ((hour * 60 + minute) * 60 + second) * 1000 + fraction - zone
  return ms >= 0 && ms <= LATEST_MS ? ms : -1
}

function zoneOffsetMs(sign: string | undefined, hours: string | undefined, minutes: string | undefined): number | null {
  if (sign === undefined) return 0
  if (Number(hours) > 23 || Number(minutes) > 59) return null
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}
