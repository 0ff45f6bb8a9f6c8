import {
  DEVICE_ID_END,
  DEVICE_ID_START,
  TEXT_AT,
  TEXT_SLOT_BITS,
  TEXT_SLOTS,
  TEXTS,
  TEXTS_BYTES,
  USER_END,
  USER_START,
} from './layout'
import { digitsEnd, isFalse, isNull, isQuote, isTrue, maskOf, NO_LENGTH, textEnd, textLength } from './strings'

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

function keepUser(from: usize, to: usize, row: usize): void {
  store<i32>(row, <i32>from, USER_START)
  store<i32>(row, <i32>to, USER_END)
}

/**
 * A text of at most 15 bytes that was learned; what is missing has none. 0 with TEXT_AT set where it was not, if it may
 * be: whoever knows texts may then teach it.
 */
export function text(field: usize, at: usize, close: usize, row: usize): usize {
  if (!isQuote(at)) return isNull(at) ? at + 4 : 0
  const bytes = v128.load(at + 1)
  const length = <usize>textLength(bytes)
  if (length === NO_LENGTH || at + 1 + length >= close) return 0
  const next = at + 2 + length
  if (length === 0) return next
  const text = withQuote(bytes, length)
  const first = slotOf(text)
  let place: usize = 0
  while (!holds(entryOf(field, first ^ place), text)) {
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
  const bytes = v128.load(from)
  const length = textLength(bytes)
  if (length === 0 || length === NO_LENGTH || textEnd(from, from + 16) !== from + length) return -1
  const text = withQuote(bytes, length)
  const first = slotOf(text)
  for (let place: usize = 0; place < PLACES; place++) {
    if (keepText(field, first ^ place, text)) return <i32>(first ^ place)
  }
  if (++refused === MOST_REFUSED) unwanted = entryOf(field, first)
  return -1
}

/** Gives away a place that was often wanted; only while no row and no count tells a text by its slot. */
export function makeRoom(): void {
  if (unwanted === 0) return
  v128.store(unwanted, i64x2.splat(0))
  unwanted = 0
  refused = 0
}

function keepText(field: usize, slot: usize, text: v128): bool {
  const entry = entryOf(field, slot)
  if (v128.any_true(v128.load(entry))) return holds(entry, text)
  v128.store(entry, text)
  return true
}

function entryOf(field: usize, slot: usize): usize {
  return TEXTS + field * TEXTS_BYTES + slot * 16
}

function holds(entry: usize, text: v128): bool {
  return !v128.any_true(v128.xor(v128.load(entry), text))
}

/** The text and its quote, which tells it from longer ones, zeros behind them. */
function withQuote(bytes: v128, length: usize): v128 {
  return v128.and(bytes, maskOf(length + 1))
}

function slotOf(text: v128): usize {
  const low = i64x2.extract_lane(text, 0)
  const high = i64x2.extract_lane(text, 1)
  return <usize>(((low * 0x9e3779b97f4a7c15) ^ (high * 0xc2b2ae3d27d4eb4f)) >>> (64 - TEXT_SLOT_BITS))
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
