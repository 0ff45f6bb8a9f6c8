import { readEvent, setEventRules } from './event'
import { hashRow, hashRows } from './hashes'
import {
  HEADER_COUNT,
  HEADERS_AT,
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
import { endOf, varintOf, varlongOf } from './numbers'
import { hasCounted } from './run'
import { learn, makeRoom } from './values'

export { areRecords } from './check'
export { beginFold, endFold, fold } from './fold'
export { unpackBlock } from './lz4'
export { countRun, runClock } from './run'
export { learn }

let maxEventBytes: i32 = 0
/** Where the whole records end that `take` has found. */
let takenTo: usize = 0

/** What holds of all events from now on: the most bytes, the bits of the fields that they must have, and whether members are kept. */
export function setRules(maxBytes: i32, required: i32, keepsMembers: i32): void {
  maxEventBytes = maxBytes
  setEventRules(required, keepsMembers !== 0)
}

/** Where the whole records end that `take` has found; a position in this memory. */
export function end(): i32 {
  return <i32>takenTo
}

/**
 * Takes apart the whole records, at most `count` of them, that stand in so many bytes from `from` on, and reads the event of
 * each. They were checked before: numbers end, and parts lie within their record.
 * @returns how many rows are filled
 */
export function take(from: usize, bytes: i32, count: i32): i32 {
  if (!hasCounted()) makeRoom()
  const inputEnd = from + <usize>bytes
  const most = min(count, MOST_ROWS)
  let rows = 0
  let next = from
  while (rows < most) {
    // What is cut off may be cut within the length; what stands behind it is zeros or left from before, and is not believed.
    const start = endOf(next)
    const length = varintOf(next, start)
    if (start > inputEnd || length < 0 || <usize>length > inputEnd - start) break
    next = start + <usize>length
    readRecord(ROWS + <usize>rows * ROW_BYTES, start)
    readRow(rows)
    rows++
  }
  takenTo = next
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

function readRecord(row: usize, from: usize): void {
  const timestampAt = from + 1
  const deltaAt = endOf(timestampAt)
  const keyLengthAt = endOf(deltaAt)
  store<f64>(row, <f64>varlongOf(timestampAt, deltaAt), TIMESTAMP_DELTA)
  store<i32>(row, varintOf(deltaAt, keyLengthAt), OFFSET_DELTA)
  const valueLengthAt = readPart(row, keyLengthAt, KEY_START, KEY_END)
  const headerCountAt = readPart(row, valueLengthAt, VALUE_START, VALUE_END)
  const headersAt = endOf(headerCountAt)
  store<i32>(row, varintOf(headerCountAt, headersAt), HEADER_COUNT)
  store<i32>(row, <i32>headersAt, HEADERS_AT)
}

/** @returns where the part ends, or its length where it is null */
function readPart(row: usize, lengthAt: usize, start: usize, end: usize): usize {
  const from = endOf(lengthAt)
  const length = varintOf(lengthAt, from)
  store<i32>(row + start, length < 0 ? -1 : <i32>from)
  store<i32>(row + end, length < 0 ? -1 : <i32>from + length)
  return length > 0 ? from + <usize>length : from
}
