import {
  CEILING,
  CLOSES_AT,
  COUNTED,
  COUNTED_BYTES,
  COUNTED_SIZES,
  DEVICE_HASH,
  DEVICE_ID_END,
  DEVICE_ID_START,
  IPV4,
  LOGIN_DEVICES,
  LOGIN_TIMES,
  LOGIN_USERS,
  MISSING,
  MISSING_COUNTS,
  MOST_WINDOWS,
  OFFSET_DELTA,
  READ,
  ROW_BYTES,
  ROWS,
  RUN_ADDRESSES,
  RUN_BYTES,
  RUN_EVENTS,
  RUN_LAST_ROW,
  RUN_LOGINS,
  RUNS,
  SLOT_COUNTS,
  SLOT_COUNTS_BYTES,
  STATUS,
  TEXT_SLOTS,
  TIME_MS,
  TIMESTAMP_DELTA,
  USER_HASH,
} from './layout'
import { mayBeSampled } from './traces'

const FIELDS: usize = 3
const NO_DEVICE: f64 = -1
const UNKNOWN_LENGTH: i32 = 7

let clock: f64 = 0

/**
 * Counts the events of rows from `first` on, up to the first that is not simply one more event of a window: one that was
 * not read, is of a trace where those are looked for, stands at or behind an offset, has a time in none of the windows, or too far ahead of its record's, or one whose
 * window is closed. Counts are added to what stands there, of which whoever takes them makes zeros again; what is told of
 * the events themselves is that of this run.
 * @param limit the offset, less the base offset
 * @param startMs where the first window begins, the others standing behind it side by side; epoch milliseconds as all times
 * @param appendTime of all records, where `hasAppendTime` is not 0
 * @param clockMs the clock before the run
 * @param looksForTraces whether to stop at records that may have the context of one that is sampled
 * @returns the row at which it has stopped
 */
export function countRun(
  first: i32,
  rows: i32,
  limit: i32,
  startMs: f64,
  sizeMs: f64,
  baseTimestamp: f64,
  appendTime: f64,
  hasAppendTime: i32,
  skewMs: f64,
  clockMs: f64,
  looksForTraces: i32,
): i32 {
  clock = clockMs
  for (let number = 0; number < MOST_WINDOWS; number++) {
    store<u64>(runAt(number), 0, RUN_EVENTS)
    store<i32>(runAt(number), 0, RUN_LOGINS)
  }
  let index = first
  for (; index < rows; index++) {
    const row = ROWS + <usize>index * ROW_BYTES
    if (load<i32>(row, STATUS) !== READ || load<i32>(row, OFFSET_DELTA) >= limit) break
    const time = load<f64>(row, TIME_MS)
    const number = (time - startMs) / sizeMs
    if (number < 0 || number >= <f64>MOST_WINDOWS) break
    const run = runAt(<i32>number)
    if (clock >= load<f64>(run, CLOSES_AT)) break
    const stamp = hasAppendTime !== 0 ? appendTime : baseTimestamp + load<f64>(row, TIMESTAMP_DELTA)
    if (time > stamp + skewMs) break
    if (looksForTraces !== 0 && mayBeSampled(row)) break
    countEvent(row, run, index)
    if (load<f64>(row, USER_HASH) <= load<f64>(run, CEILING)) addLogin(row, run)
    const advance = time < stamp ? time : stamp
    if (advance > clock) clock = advance
  }
  return index
}

/** The clock behind the run. */
export function runClock(): f64 {
  return clock
}

/** Whether counts by slot wait to be taken. */
export function hasCounted(): bool {
  for (let number = 0; number < MOST_WINDOWS; number++) {
    for (let field: usize = 0; field < FIELDS; field++) {
      if (load<i32>(runAt(number) + (field << 2), COUNTED_SIZES) !== 0) return true
    }
  }
  return false
}

function runAt(number: i32): usize {
  return RUNS + <usize>number * RUN_BYTES
}

function countEvent(row: usize, run: usize, index: i32): void {
  const events = load<i32>(run, RUN_EVENTS)
  store<i32>(run + ((<usize>events) << 2), load<i32>(row, IPV4), RUN_ADDRESSES)
  store<i32>(run, events + 1, RUN_EVENTS)
  store<i32>(run, index, RUN_LAST_ROW)
  for (let field: usize = 0; field < FIELDS; field++) countField(field, row, run)
  const missing = load<i32>(row, MISSING)
  if (missing !== 0) addOne(run + MISSING_COUNTS + ((<usize>missing) << 2))
}

function countField(field: usize, row: usize, run: usize): void {
  const slot = load<i32>(row + (field << 2), TEXT_SLOTS) + 1
  if (addOne(run + SLOT_COUNTS + field * SLOT_COUNTS_BYTES + ((<usize>slot) << 2)) !== 0) return
  const size = addOne(run + COUNTED_SIZES + (field << 2))
  store<i32>(run + field * COUNTED_BYTES + ((<usize>size) << 2), slot, COUNTED)
}

function addLogin(row: usize, run: usize): void {
  const login = run + ((<usize>addOne(run + RUN_LOGINS)) << 3)
  store<f64>(login, load<f64>(row, USER_HASH), LOGIN_USERS)
  store<f64>(login, load<f64>(row, TIME_MS), LOGIN_TIMES)
  store<f64>(login, isDeviceKnown(row) ? <f64>load<u32>(row, DEVICE_HASH) : NO_DEVICE, LOGIN_DEVICES)
}

/** A device that calls itself unknown is none either. */
function isDeviceKnown(row: usize): bool {
  const start = load<i32>(row, DEVICE_ID_START)
  if (start < 0) return false
  const id = <usize>start
  const length = load<i32>(row, DEVICE_ID_END) - start
  return !(length === UNKNOWN_LENGTH && load<u32>(id) === 0x6e6b6e75 && load<u32>(id, 3) === 0x6e776f6e)
}

/** @returns what stood there before */
function addOne(at: usize): i32 {
  const before = load<i32>(at)
  store<i32>(at, before + 1)
  return before
}
