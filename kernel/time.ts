import { TIME_MS } from './layout'
import { isQuote } from './strings'
import { isPlainNumber } from './values'

const MOST_DIGITS: usize = 15
const MILLISECONDS_FROM: u64 = 100_000_000_000
const LATEST_MS: u64 = 253_402_300_799_999
const DAY_MS: i64 = 86_400_000

/** Epoch seconds, or milliseconds when >= 1e11, as a number or as digits; or ISO 8601 with seconds and `Z`. */
export function timestamp(at: usize, close: usize, row: usize): usize {
  const quoted = isQuote(at)
  const from = quoted ? at + 1 : at
  let next = from
  let value: u64 = 0
  const eight = load<u64>(from)
  if (areDigits(eight)) {
    value = numberOf(eight)
    next += 8
  }
  while (next - from <= MOST_DIGITS) {
    const digit: u32 = <u32>load<u8>(next) - 0x30
    if (digit > 9) break
    value = value * 10 + digit
    next++
  }
  if (quoted && next - from === 4 && load<u8>(next) === 0x2d) return iso(from, close, row)
  if (next === from || next - from > MOST_DIGITS) return 0
  if (quoted ? next >= close || !isQuote(next) : !isPlainNumber(from, next)) return 0
  const ms = value >= MILLISECONDS_FROM ? value : value * 1000
  if (ms > LATEST_MS) return 0
  store<f64>(row, <f64>(<i64>ms), TIME_MS)
  return quoted ? next + 1 : next
}

/** Whether eight bytes are digits. */
function areDigits(bytes: u64): bool {
  return (
    ((bytes & 0xf0f0f0f0f0f0f0f0) | (((bytes + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4)) === 0x3333333333333333
  )
}

/** The number that eight digits make: of pairs, then of pairs of those, then of both halves. */
function numberOf(digits: u64): u64 {
  const ones = digits - 0x3030303030303030
  const pairs = ones * 10 + (ones >> 8)
  const mask: u64 = 0x000000ff000000ff
  return (
    ((pairs & mask) * (100 + ((<u64>1_000_000) << 32)) + ((pairs >> 16) & mask) * (1 + ((<u64>10_000) << 32))) >> 32
  )
}

/** The number that two digits make; else something beyond 99. */
function two(at: usize): u32 {
  const tens: u32 = <u32>load<u8>(at) - 0x30
  const ones: u32 = <u32>load<u8>(at, 1) - 0x30
  return tens > 9 || ones > 9 ? 100 : tens * 10 + ones
}

function iso(from: usize, close: usize, row: usize): usize {
  const century = two(from)
  const inCentury = two(from + 2)
  const month = two(from + 5)
  const day = two(from + 8)
  const hour = two(from + 11)
  const minute = two(from + 14)
  const second = two(from + 17)
  if (load<u8>(from, 7) !== 0x2d || load<u8>(from, 10) !== 0x54) return 0
  if (load<u8>(from, 13) !== 0x3a || load<u8>(from, 16) !== 0x3a) return 0
  if (century < 20 || century > 99 || inCentury > 99 || month < 1 || month > 12 || hour > 23 || minute > 59) return 0
  const year = century * 100 + inCentury
  if (second > 59 || day < 1 || day > daysIn(year, month)) return 0
  let ms: u32 = 0
  let next = from + 19
  if (load<u8>(next) === 0x2e) {
    const hundreds: u32 = <u32>load<u8>(next, 1) - 0x30
    const rest = two(next + 2)
    if (hundreds > 9 || rest > 99) return 0
    ms = hundreds * 100 + rest
    next += 4
  }
  if (load<u8>(next) !== 0x5a || next + 1 >= close || !isQuote(next + 1)) return 0
  const inDay = ((hour * 60 + minute) * 60 + second) * 1000 + ms
  store<f64>(row, <f64>(daysBefore(year, month, day) * DAY_MS + <i64>inDay), TIME_MS)
  return next + 2
}

function daysIn(year: u32, month: u32): u32 {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Days from 1970-01-01 to a day of a year from 2000 on, counted in years that begin in March. */
function daysBefore(year: u32, month: u32, day: u32): i64 {
  const y = month <= 2 ? year - 1 : year
  const m = month <= 2 ? month + 9 : month - 3
  return <i64>(y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day) - 719_469
}
