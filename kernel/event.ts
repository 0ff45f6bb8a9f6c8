import { address } from './address'
import {
  BEGINNING_BYTES,
  BEGINNINGS,
  DEVICE_ID_START,
  IP_START,
  IPV4,
  MEMBER_BYTES,
  MEMBER_COUNT,
  MISSING,
  NAME_BYTES,
  NAME_COUNT,
  NAMES,
  NAMES_BEHIND,
  OTHER_MEMBERS,
  READ,
  SPACED,
  TEXT_AT,
  TEXT_SLOTS,
  UNKNOWN,
  UNKNOWN_TEXT,
} from './layout'
import { isBlank, isQuote, MOST_BYTES, maskOf, textEnd } from './strings'
import { timestamp } from './time'
import { deviceId, other, text, userId } from './values'

/** Of more members whose names mean nothing here, the full parser has the word. */
const MOST_OTHERS: i32 = 64
const MOST_NAME_BYTES: usize = 64
/** What stands for the name before the first one, and for that before the first known one behind others. */
const FIRST = NAME_COUNT
const FIRST_KNOWN = NAME_COUNT + 1

/** Bits of the optional fields that must not be missing. */
let required: i32 = 0
let keepsMembers: bool = false

/** What holds of all events from now on. */
export function setEventRules(mustHave: i32, keeps: bool): void {
  required = mustHave
  keepsMembers = keeps
}

/**
 * Reads the value [start, end), of at least one byte, into the row. It reads one flat object of plain texts, whole numbers
 * and words in their usual spelling; of all else it says that it cannot tell, as of a value that is no event.
 * @returns the row's status
 */
export function readEvent(start: usize, end: usize, row: usize, members: usize): i32 {
  let close = end - 1
  while (close > start && isBlank(close)) close--
  // From here on each byte up to the closing brace may be read without asking where the value ends.
  if (close === start || load<u8>(start) !== 0x7b || load<u8>(close) !== 0x7d) return UNKNOWN
  clear(row)
  let seen = 0
  let others = 0
  let count = 0
  let before = FIRST
  let at = start
  while (true) {
    const beginning = BEGINNINGS + <usize>before * BEGINNING_BYTES
    let member: i32
    let name = at + 1
    if (begins(beginning, at)) {
      member = load<i32>(beginning, 36)
      at += <usize>load<i32>(beginning, 32)
    } else {
      if (at !== start && load<u8>(at) !== 0x2c) {
        if (!isBlank(at)) break
        while (isBlank(at)) at++
        if (load<u8>(at) !== 0x2c) break
        name = at + 1
      }
      const behind = at
      while (isBlank(name)) name++
      if (name !== behind + 1) store<i32>(row, 1, SPACED)
      member = memberAt(before, name)
      if (member >= 0) {
        at = name + <usize>load<u32>(NAMES + <usize>member * NAME_BYTES)
        if (name === behind + 1) keepBeginning(beginning, behind, at, member)
      } else at = otherName(name, close)
      if (at === 0 || at >= close) return UNKNOWN
    }
    if (load<u8>(at) === 0x20) at++
    const from = at
    at = value(member, at, close, row)
    if (at === 0 || at > close) return unknownAt(member, row)
    if (member >= 0) {
      if ((seen & (1 << member)) !== 0) return UNKNOWN
      seen |= 1 << member
      before = member
      if (keepsMembers) keep(members + <usize>count * MEMBER_BYTES, member, name, from, at)
      count++
    } else {
      if (++others > MOST_OTHERS) return UNKNOWN
      // What begins an object may not be met behind a member.
      if (before === FIRST) before = FIRST_KNOWN
    }
  }
  const missing = missingOf(row)
  store<i32>(row, missing, MISSING)
  store<i32>(row, others, OTHER_MEMBERS)
  store<i32>(row, count, MEMBER_COUNT)
  return at === close && (seen & 3) === 3 && (missing & required) === 0 ? READ : UNKNOWN
}

function value(member: i32, at: usize, close: usize, row: usize): usize {
  switch (member) {
    case 0:
      return userId(at, close, row)
    case 1:
      return timestamp(at, close, row)
    case 2:
      return text(0, at, close, row)
    case 3:
      return deviceId(at, close, row)
    case 4:
      return text(1, at, close, row)
    case 5:
      return text(2, at, close, row)
    case 6:
      return address(at, close, row)
    default:
      return other(at, close)
  }
}

function clear(row: usize): void {
  // The three slots and, behind them, DEVICE_ID_START.
  v128.store(row, i32x4.splat(-1), TEXT_SLOTS)
  store<i32>(row, -1, IP_START)
  store<i32>(row, 0, IPV4)
  store<i32>(row, 0, SPACED)
  store<i32>(row, 0, TEXT_AT)
}

/** A text that was not learned can be. */
function unknownAt(member: i32, row: usize): i32 {
  if (load<i32>(row, TEXT_AT) === 0) return UNKNOWN
  return UNKNOWN_TEXT + (member === 2 ? 0 : member - 3)
}

/** Bits in the order of the optional fields: device type, device id, locale, version, address. */
function missingOf(row: usize): i32 {
  return (
    i32(load<i32>(row, TEXT_SLOTS) < 0) |
    (i32(load<i32>(row, DEVICE_ID_START) < 0) << 1) |
    (i32(load<i32>(row, TEXT_SLOTS + 4) < 0) << 2) |
    (i32(load<i32>(row, TEXT_SLOTS + 8) < 0) << 3) |
    (i32(load<i32>(row, IP_START) < 0) << 4)
  )
}

function keep(member: usize, number: i32, name: usize, from: usize, to: usize): void {
  store<i32>(member, number)
  store<i32>(member, <i32>name, 4)
  store<i32>(member, <i32>from, 8)
  store<i32>(member, <i32>to, 12)
}

/** Whether the member that was met before begins there. */
function begins(beginning: usize, at: usize): bool {
  return !v128.any_true(v128.xor(v128.and(v128.load(at), v128.load(beginning)), v128.load(beginning, 16)))
}

function keepBeginning(beginning: usize, from: usize, to: usize, member: i32): void {
  if (to - from > MOST_BYTES) return
  const mask = maskOf(to - from)
  v128.store(beginning, mask)
  v128.store(beginning, v128.and(v128.load(from), mask), 16)
  store<i32>(beginning, <i32>(to - from), 32)
  store<i32>(beginning, member, 36)
}

/** The number of the known name that stands there, guessed from the one before; -1 when there is none. */
function memberAt(before: i32, at: usize): i32 {
  const guess = <i32>load<u8>(NAMES_BEHIND + <usize>before)
  if (isName(guess, at)) return guess
  for (let member = 0; member < NAME_COUNT; member++) {
    if (!isName(member, at)) continue
    store<u8>(NAMES_BEHIND + <usize>before, <u8>member)
    return member
  }
  return -1
}

function isName(member: i32, at: usize): bool {
  const name = NAMES + <usize>member * NAME_BYTES
  const others = v128.xor(v128.and(v128.load(at), v128.load(name, 8)), v128.load(name, 24))
  return !v128.any_true(others) && (load<u64>(at, 16) & load<u64>(name, 40)) === load<u64>(name, 48)
}

/** Where the value of a plain name begins that is none of the known; 0 when it is not plain, or its colon stands apart. */
function otherName(at: usize, close: usize): usize {
  if (!isQuote(at)) return 0
  const end = textEnd(at + 1, close)
  const length = end - at - 1
  return end === 0 || length === 0 || length > MOST_NAME_BYTES || load<u8>(end, 1) !== 0x3a ? 0 : end + 2
}
