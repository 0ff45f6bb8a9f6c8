import {
  COUNTED,
  COUNTED_BYTES,
  MISSING,
  MISSING_COUNTS,
  OFFSET_DELTA,
  READ,
  ROW_BYTES,
  ROWS,
  SLOT_COUNTS,
  SLOT_COUNTS_BYTES,
  STATUS,
  TEXT_SLOTS,
  TIME_MS,
  TIMESTAMP_DELTA,
  USER_HASH,
  USER_ROWS,
} from './layout'

let clock: f64 = 0
let users: i32 = 0
let devices: i32 = 0
let locales: i32 = 0
let versions: i32 = 0

/**
 * Counts the events of rows from `first` on, up to the first that is not simply one more event of a window: one that was
 * not read, stands at or behind an offset, or has a time outside of the window or too far ahead of its record's. Counts are
 * added to what stands at SLOT_COUNTS and MISSING_COUNTS, of which whoever takes them makes zeros again.
 * @param limit the offset, less the base offset
 * @param appendTime of all records, where `hasAppendTime` is not 0
 * @param clockMs the clock before the run, epoch milliseconds as all times
 * @param ceiling users with a greater hash are not looked at
 * @returns the row at which it has stopped
 */
export function countRun(
  first: i32,
  rows: i32,
  limit: i32,
  startMs: f64,
  endMs: f64,
  baseTimestamp: f64,
  appendTime: f64,
  hasAppendTime: i32,
  skewMs: f64,
  clockMs: f64,
  ceiling: f64,
): i32 {
  clock = clockMs
  users = 0
  devices = 0
  locales = 0
  versions = 0
  let index = first
  for (; index < rows; index++) {
    const row = ROWS + <usize>index * ROW_BYTES
    if (load<i32>(row, STATUS) !== READ || load<i32>(row, OFFSET_DELTA) >= limit) break
    const time = load<f64>(row, TIME_MS)
    if (time < startMs || time >= endMs) break
    const stamp = hasAppendTime !== 0 ? appendTime : baseTimestamp + load<f64>(row, TIMESTAMP_DELTA)
    if (time > stamp + skewMs) break
    devices = count(0, row, devices)
    locales = count(1, row, locales)
    versions = count(2, row, versions)
    const missing = load<i32>(row, MISSING)
    if (missing !== 0) addOne(MISSING_COUNTS + ((<usize>missing) << 2))
    if (load<f64>(row, USER_HASH) <= ceiling) {
      store<i32>(USER_ROWS + ((<usize>users) << 2), index)
      users++
    }
    const advance = time < stamp ? time : stamp
    if (advance > clock) clock = advance
  }
  return index
}

/** The clock behind the run. */
export function runClock(): f64 {
  return clock
}

/** Rows at USER_ROWS. */
export function runUsers(): i32 {
  return users
}

/** How many of the field's counts stand at COUNTED. */
export function runCounted(field: i32): i32 {
  return field === 0 ? devices : field === 1 ? locales : versions
}

/** @returns how many counts of the field are then more than zero */
function count(field: usize, row: usize, counted: i32): i32 {
  const slot = load<i32>(row + field * 4, TEXT_SLOTS) + 1
  const at = SLOT_COUNTS + field * SLOT_COUNTS_BYTES + ((<usize>slot) << 2)
  if (addOne(at) !== 0) return counted
  store<i32>(COUNTED + field * COUNTED_BYTES + ((<usize>counted) << 2), slot)
  return counted + 1
}

/** @returns what stood there before */
function addOne(at: usize): i32 {
  const before = load<i32>(at)
  store<i32>(at, before + 1)
  return before
}
