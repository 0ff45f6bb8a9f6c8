const MIN_MATCH: usize = 4
/** Of a token's halves, the length that says that more of it follows; and of a byte there, the same. */
const MORE: usize = 15
const MORE_BYTE: usize = 255
const VECTOR: usize = 16

/** Answers: the bytes are no block, or it comes to more than it may. */
const DAMAGED: i32 = -1
const TOO_LARGE: i32 = -2

let at: usize = 0

/**
 * Unpacks an LZ4 block. Bytes behind both ends may be read, and up to a vector behind what is unpacked may be written.
 * @param to where; before it stand as many bytes of earlier blocks as `history` says, to which matches may reach back
 * @param most bytes that it may come to
 * @returns to how many it comes, or why it cannot be unpacked
 */
export function unpackBlock(from: usize, end: usize, to: usize, history: usize, most: usize): i32 {
  const first = to - history
  const limit = to + most
  let out = to
  at = from
  while (at < end) {
    const token = <usize>load<u8>(at++)
    const literals = lengthOf(token >> 4, end)
    if (at > end || literals > end - at) return DAMAGED
    if (literals > limit - out) return TOO_LARGE
    copy(out, at, literals)
    at += literals
    out += literals
    // A block's last sequence has no match.
    if (at === end) break
    if (end - at < 2) return DAMAGED
    const distance = <usize>load<u16>(at)
    at += 2
    const length = lengthOf(token & MORE, end) + MIN_MATCH
    if (at > end || distance === 0 || distance > out - first) return DAMAGED
    if (length > limit - out) return TOO_LARGE
    if (distance >= VECTOR) copy(out, out - distance, length)
    else repeat(out, out - distance, length)
    out += length
  }
  return <i32>(out - to)
}

/** Leaves `at` behind the length, or behind the end where it is cut off. */
function lengthOf(half: usize, end: usize): usize {
  let sum = half
  if (half < MORE) return sum
  let byte: usize
  do {
    if (at >= end) {
      at = end + 1
      return 0
    }
    byte = <usize>load<u8>(at++)
    sum += byte
  } while (byte === MORE_BYTE)
  return sum
}

/** By vectors: what they take too many is written over by what comes next. */
function copy(to: usize, from: usize, length: usize): void {
  for (let done: usize = 0; done < length; done += VECTOR) v128.store(to + done, v128.load(from + done))
}

/** A match that reaches into what it writes itself: that is how runs are packed. */
function repeat(to: usize, from: usize, length: usize): void {
  for (let done: usize = 0; done < length; done++) store<u8>(to + done, load<u8>(from + done))
}
