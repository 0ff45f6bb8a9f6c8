import { endOf, MOST_VARINT_BYTES, MOST_VARLONG_BYTES, varintOf } from './numbers'

/** Where a number leads that has no end: past all bytes. */
const NOWHERE: usize = 0xffffffff

/**
 * Whether the bytes are as many whole records as their batch says, as areRecords of src/kafka/wire/records.ts does. Nothing
 * is believed before it is known to lie before the end; a number there may be read from the last byte on.
 */
export function areRecords(from: usize, end: usize, count: i32, lastDelta: i32): bool {
  let before = -1
  let at = from
  for (let i = 0; i < count; i++) {
    const start = endOf(at)
    const length = varintOf(at, start)
    if (start - at > MOST_VARINT_BYTES || length < 0 || start > end || <usize>length > end - start) return false
    const next = start + <usize>length
    const deltaAt = endOf(start + 1)
    const keyAt = endOf(deltaAt)
    const delta = varintOf(deltaAt, keyAt)
    if (deltaAt - start - 1 > MOST_VARLONG_BYTES || keyAt - deltaAt > MOST_VARINT_BYTES) return false
    if (delta <= before || delta > lastDelta) return false
    before = delta
    const valueAt = behindPart(keyAt, next, -1)
    if (valueAt > next) return false
    const headersAt = behindPart(valueAt, next, -1)
    if (headersAt > next || behindHeaders(headersAt, next) !== next) return false
    at = next
  }
  return count >= 0 && at === end
}

/** Where the part ends whose length stands there; NOWHERE when it is beyond `end`, or its length less than allowed. */
function behindPart(at: usize, end: usize, least: i32): usize {
  const start = endOf(at)
  const length = varintOf(at, start)
  if (start - at > MOST_VARINT_BYTES || length < least || start > end) return NOWHERE
  if (length <= 0) return start
  return <usize>length > end - start ? NOWHERE : start + <usize>length
}

function behindHeaders(countAt: usize, end: usize): usize {
  let at = endOf(countAt)
  const count = varintOf(countAt, at)
  if (at - countAt > MOST_VARINT_BYTES || count < 0) return NOWHERE
  for (let i = 0; i < count; i++) {
    at = behindPart(at, end, 0)
    if (at > end) return NOWHERE
    at = behindPart(at, end, -1)
    if (at > end) return NOWHERE
  }
  return at
}
