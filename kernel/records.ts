import { readEvent, setEventRules } from './event'
import { hashRow, hashRows } from './hashes'
import {
  HEADER_COUNT,
  HEADERS_AT,
  INPUT,
  KEY_END,
  KEY_START,
  MEMBERS,
  MEMBERS_BYTES,
  MOST_ROWS,
  OFFSET_DELTA,
  ROW_BYTES,
  ROWS,
  STATUS,
  TIMESTAMP_DELTA,
  UNKNOWN,
  VALUE_END,
  VALUE_START,
} from './layout'
import { hasCounted } from './run'
import { learn, makeRoom } from './values'

export { beginFold, endFold, fold } from './fold'
export { countRun, runClock } from './run'
export { learn }

let maxEventBytes: i32 = 0
/** Where the readers of numbers stand. */
let at: usize = 0

/** What holds of all events from now on: the most bytes, the bits of the fields that they must have, and whether members are kept. */
export function setRules(maxBytes: i32, required: i32, keepsMembers: i32): void {
  maxEventBytes = maxBytes
  setEventRules(required, keepsMembers !== 0)
}

/** Where the whole records end that `take` has found; a position in this memory. */
export function end(): i32 {
  return <i32>at
}

/**
 * Takes apart the whole records, at most `count` of them, that stand in the first bytes of INPUT, and reads the event of
 * each. They were checked before: numbers end, and parts lie within their record.
 * @returns how many rows are filled
 */
export function take(bytes: i32, count: i32): i32 {
  if (!hasCounted()) makeRoom()
  const inputEnd = INPUT + <usize>bytes
  const most = min(count, MOST_ROWS)
  let rows = 0
  let next = INPUT
  while (rows < most) {
    at = next
    // What is cut off may be cut within the length; what stands behind it is zeros or left from before, and is not believed.
    const length = varint()
    if (at > inputEnd || length < 0 || <usize>length > inputEnd - at) break
    next = at + <usize>length
    readRecord(ROWS + <usize>rows * ROW_BYTES)
    readRow(rows)
    rows++
  }
  at = next
  hashRows(rows)
  return rows
}

/** Reads the event of a row once more: a text was learned. */
export function again(index: i32): i32 {
  const status = readRow(index)
  hashRow(ROWS + <usize>index * ROW_BYTES)
  return status
}

function readRow(index: i32): i32 {
  const row = ROWS + <usize>index * ROW_BYTES
  const start = load<i32>(row, VALUE_START)
  const length = load<i32>(row, VALUE_END) - start
  let status = UNKNOWN
  if (start >= 0 && length > 0 && length <= maxEventBytes) {
    status = readEvent(start, start + length, row, MEMBERS + <usize>index * MEMBERS_BYTES)
  }
  store<i32>(row, status, STATUS)
  return status
}

function readRecord(row: usize): void {
  at++
  store<f64>(row, <f64>varlong(), TIMESTAMP_DELTA)
  store<i32>(row, varint(), OFFSET_DELTA)
  readPart(row, KEY_START, KEY_END)
  readPart(row, VALUE_START, VALUE_END)
  store<i32>(row, varint(), HEADER_COUNT)
  store<i32>(row, <i32>at, HEADERS_AT)
}

function readPart(row: usize, start: usize, end: usize): void {
  const length = varint()
  store<i32>(row + start, length < 0 ? -1 : <i32>at)
  if (length > 0) at += length
  store<i32>(row + end, length < 0 ? -1 : <i32>at)
}

function varint(): i32 {
  let byte: u32 = load<u8>(at++)
  let value: u32 = byte & 0x7f
  for (let shift: u32 = 7; byte >= 0x80 && shift < 35; shift += 7) {
    byte = load<u8>(at++)
    value |= (byte & 0x7f) << shift
  }
  return <i32>((value >> 1) ^ (0 - (value & 1)))
}

function varlong(): i64 {
  let byte: u64 = load<u8>(at++)
  let value: u64 = byte & 0x7f
  for (let shift: u64 = 7; byte >= 0x80 && shift < 70; shift += 7) {
    byte = load<u8>(at++)
    value |= (byte & 0x7f) << shift
  }
  return <i64>((value >> 1) ^ (0 - (value & 1)))
}
