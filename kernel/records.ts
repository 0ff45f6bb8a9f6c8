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
import { position, seek, varint, varlong } from './numbers'
import { hasCounted } from './run'
import { learn, makeRoom } from './values'

export { beginFold, endFold, fold } from './fold'
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
    seek(next)
    // What is cut off may be cut within the length; what stands behind it is zeros or left from before, and is not believed.
    const length = varint()
    const from = position()
    if (from > inputEnd || length < 0 || <usize>length > inputEnd - from) break
    next = from + <usize>length
    readRecord(ROWS + <usize>rows * ROW_BYTES)
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

function readRecord(row: usize): void {
  seek(position() + 1)
  store<f64>(row, <f64>varlong(), TIMESTAMP_DELTA)
  store<i32>(row, varint(), OFFSET_DELTA)
  readPart(row, KEY_START, KEY_END)
  readPart(row, VALUE_START, VALUE_END)
  store<i32>(row, varint(), HEADER_COUNT)
  store<i32>(row, <i32>position(), HEADERS_AT)
}

function readPart(row: usize, start: usize, end: usize): void {
  const length = varint()
  const from = position()
  store<i32>(row + start, length < 0 ? -1 : <i32>from)
  store<i32>(row + end, length < 0 ? -1 : <i32>from + length)
  if (length > 0) seek(from + <usize>length)
}
