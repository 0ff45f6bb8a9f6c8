import {
  DEVICE_ID_END,
  DEVICE_ID_START,
  IP_END,
  IP_START,
  IPV4,
  TEXT_AT,
  TEXT_SLOT_BITS,
  TEXT_SLOTS,
  TEXTS,
  TEXTS_BYTES,
  USER_END,
  USER_HASH,
  USER_START,
} from './layout'
import { digitsEnd, isFalse, isNull, isQuote, isTrue, quotesIn, textEnd } from './strings'

// Each reader of a value returns where the value ends, or 0 when it cannot tell.

const MOST_USER_ID: usize = 256
const MOST_DEVICE_ID: usize = 64
/** So many digits are a whole number that keeps its spelling. */
const MOST_DIGITS: usize = 15
/** Slots that a text may stand in, one of which it is looked for in first: so hundreds of texts find room. */
const PLACES: usize = 4
/** So many texts that found no place until one is made: what is rare is not to drive out what is common. */
const MOST_REFUSED: i32 = 1_000

let refused: i32 = 0
/** A place in a table of texts that is to be given away; 0 when there is none. */
let unwanted: usize = 0

export function userId(at: usize, close: usize, row: usize): usize {
  if (!isQuote(at)) {
    const end = digitsEnd(at)
    if (!isPlainNumber(at, end)) return 0
    keepUser(at, end, row)
    return end
  }
  const end = textEnd(at + 1, close)
  const length = end - at - 1
  if (end === 0 || length === 0 || length > MOST_USER_ID) return 0
  keepUser(at + 1, end, row)
  return end + 1
}

/** Whether these digits are a JSON number that is safe and spelled as we would. */
export function isPlainNumber(from: usize, to: usize): bool {
  const count = to - from
  return count > 0 && count <= MOST_DIGITS && (count === 1 || load<u8>(from) !== 0x30)
}

/** As hashText53 of src/aggregate/hash.ts. */
function keepUser(from: usize, to: usize, row: usize): void {
  let a: i32 = 0x811c9dc5
  let b: i32 = 0x9e3779b9
  for (let at = from; at < to; at++) {
    const byte: i32 = load<u8>(at)
    a = (a ^ byte) * 0x01000193
    b = (rotl(b, 13) ^ byte) * 0x2c1b3c6d
  }
  const low = mixed(a + b)
  const high = mixed(b ^ low)
  store<f64>(row, <f64>(((<u64>(<u32>high >> 11)) << 32) | <u64>(<u32>low)), USER_HASH)
  store<i32>(row, <i32>from, USER_START)
  store<i32>(row, <i32>to, USER_END)
}

function mixed(hash: i32): i32 {
  let h = (hash ^ <i32>(<u32>hash >> 16)) * 0x85ebca6b
  h = (h ^ <i32>(<u32>h >> 13)) * 0xc2b2ae35
  return h ^ <i32>(<u32>h >> 16)
}

/**
 * A text of at most 15 bytes that was learned; what is missing has none. 0 with TEXT_AT set where it was not, if it may
 * be: whoever knows texts may then teach it.
 */
export function text(field: usize, at: usize, close: usize, row: usize): usize {
  if (!isQuote(at)) return isNull(at) ? at + 4 : 0
  const length = textLength(at + 1)
  if (length < 0 || at + 1 + <usize>length >= close) return 0
  const next = at + 2 + <usize>length
  if (length === 0) return next
  const low = lowWord(at + 1, length)
  const high = highWord(at + 1, length)
  const first = slotOf(low, high)
  let place: usize = 0
  while (!holds(entryOf(field, first ^ place), low, high)) {
    if (++place < PLACES) continue
    store<i32>(row, <i32>at, TEXT_AT)
    return 0
  }
  store<i32>(row + field * 4, <i32>(first ^ place), TEXT_SLOTS)
  return next
}

/**
 * Has the text that stands behind the quote at `at` found from now on; returns its slot, or -1 when it is none that can, or
 * all of its places are others': rows that were read already tell those by their slots.
 */
export function learn(field: i32, at: i32): i32 {
  const from = <usize>at + 1
  const length = textLength(from)
  if (length <= 0 || textEnd(from, from + 16) !== from + <usize>length) return -1
  const low = lowWord(from, length)
  const high = highWord(from, length)
  const first = slotOf(low, high)
  for (let place: usize = 0; place < PLACES; place++) {
    if (keepText(field, first ^ place, low, high)) return <i32>(first ^ place)
  }
  if (++refused === MOST_REFUSED) unwanted = entryOf(field, first)
  return -1
}

/** Gives away a place that was often wanted; only while no row tells a text by its slot. */
export function makeRoom(): void {
  if (unwanted === 0) return
  store<u64>(unwanted, 0)
  store<u64>(unwanted, 0, 8)
  unwanted = 0
  refused = 0
}

function keepText(field: usize, slot: usize, low: u64, high: u64): bool {
  const entry = entryOf(field, slot)
  if (!holds(entry, 0, 0)) return holds(entry, low, high)
  store<u64>(entry, low)
  store<u64>(entry, high, 8)
  return true
}

function entryOf(field: usize, slot: usize): usize {
  return TEXTS + field * TEXTS_BYTES + slot * 16
}

function holds(entry: usize, low: u64, high: u64): bool {
  return load<u64>(entry) === low && load<u64>(entry, 8) === high
}

/** Bytes before the first quote; -1 when there is none among sixteen. */
function textLength(at: usize): i32 {
  const low = quotesIn(load<u64>(at))
  if (low !== 0) return <i32>ctz(low) >> 3
  const high = quotesIn(load<u64>(at, 8))
  return high === 0 ? -1 : 8 + (<i32>ctz(high) >> 3)
}

/** The first eight bytes of a text and its quote, zeros behind them. */
function lowWord(at: usize, length: i32): u64 {
  return length >= 7 ? load<u64>(at) : load<u64>(at) & (((<u64>1) << ((length + 1) << 3)) - 1)
}

function highWord(at: usize, length: i32): u64 {
  if (length < 8) return 0
  return length === 15 ? load<u64>(at, 8) : load<u64>(at, 8) & (((<u64>1) << ((length - 7) << 3)) - 1)
}

function slotOf(low: u64, high: u64): usize {
  return <usize>(((low * 0x9e3779b97f4a7c15) ^ (high * 0xc2b2ae3d27d4eb4f)) >> (64 - TEXT_SLOT_BITS))
}

export function deviceId(at: usize, close: usize, row: usize): usize {
  if (!isQuote(at)) return isNull(at) ? at + 4 : 0
  const end = textEnd(at + 1, close)
  if (end === 0 || end - at - 1 > MOST_DEVICE_ID) return 0
  if (end !== at + 1) {
    store<i32>(row, <i32>(at + 1), DEVICE_ID_START)
    store<i32>(row, <i32>end, DEVICE_ID_END)
  }
  return end + 1
}

/** Four numbers from 0 to 255 without leading zeros: other kinds of addresses are left to others. */
export function address(at: usize, close: usize, row: usize): usize {
  if (!isQuote(at)) return isNull(at) ? at + 4 : 0
  if (isQuote(at + 1)) return at + 2
  let next = at + 1
  let address: u32 = 0
  for (let i = 0; i < 4; i++) {
    let value: u32 = <u32>load<u8>(next++) - 0x30
    if (value > 9) return 0
    let digit: u32 = <u32>load<u8>(next) - 0x30
    if (digit <= 9) {
      if (value === 0) return 0
      value = value * 10 + digit
      digit = <u32>load<u8>(++next) - 0x30
      if (digit <= 9) {
        value = value * 10 + digit
        next++
        if (value > 255) return 0
      }
    }
    address = (address << 8) | value
    if (load<u8>(next++) !== (i === 3 ? 0x22 : 0x2e)) return 0
  }
  if (next > close) return 0
  store<i32>(row, <i32>(at + 1), IP_START)
  store<i32>(row, <i32>(next - 1), IP_END)
  store<i32>(row, address, IPV4)
  return next
}

/** A plain text, a number, or a word, under a name that means nothing here. */
export function other(at: usize, close: usize): usize {
  if (isQuote(at)) {
    const end = textEnd(at + 1, close)
    return end === 0 ? 0 : end + 1
  }
  if (isNull(at) || isTrue(at)) return at + 4
  return isFalse(at) ? at + 5 : number(at)
}

function number(at: usize): usize {
  let next = at
  if (load<u8>(next) === 0x2d) next++
  const whole = next
  next = load<u8>(next) === 0x30 ? next + 1 : digitsEnd(next)
  if (next === whole) return 0
  if (load<u8>(next) === 0x2e) {
    const from = next + 1
    next = digitsEnd(from)
    if (next === from) return 0
  }
  if ((load<u8>(next) | 0x20) === 0x65) {
    const sign = load<u8>(next, 1)
    const from = sign === 0x2b || sign === 0x2d ? next + 2 : next + 1
    next = digitsEnd(from)
    if (next === from) return 0
  }
  return next
}
