import { FOLD_BYTES } from './layout'

// A CRC tells nothing but the remainder of its bytes, taken as a polynomial, by that of CRC-32C. Modulo the latter, with y for
// x^128, it holds that y^209 = y^144 + y^54 + y^39 + y^14 + 1: vectors of 16 bytes may therefore be added (xor) to those
// that come 65, 155, 170, 195 and 209 vectors later, and are gone. A test works the sum out.
const FIRST: usize = 65 << 4
const SECOND: usize = 155 << 4
const THIRD: usize = 170 << 4
const FOURTH: usize = 195 << 4

/** Forgets all bytes that were folded at `folded`, where whoever folds has room for INPUT_BYTES more. */
export function beginFold(folded: usize): void {
  memory.fill(folded, 0, FOLD_BYTES)
}

/** Folds whole vectors, at most INPUT_BYTES of them, behind which at least FOLD_BYTES have to come. */
export function fold(folded: usize, from: usize, bytes: i32): void {
  const end = <usize>bytes
  for (let at: usize = 0; at < end; at += 16) {
    const to = folded + FOLD_BYTES + at
    let sum = v128.xor(v128.load(from + at), v128.load(to - FOLD_BYTES))
    sum = v128.xor(sum, v128.xor(v128.load(to - FIRST), v128.load(to - SECOND)))
    v128.store(to, v128.xor(sum, v128.xor(v128.load(to - THIRD), v128.load(to - FOURTH))))
  }
  memory.copy(folded, folded + end, FOLD_BYTES)
}

/** Adds what was folded to the last FOLD_BYTES, which then leave the remainder that all bytes do. */
export function endFold(folded: usize, last: usize): void {
  addTo(last, folded, FIRST)
  addTo(last, folded, SECOND)
  addTo(last, folded, THIRD)
  addTo(last, folded, FOURTH)
  addTo(last, folded, FOLD_BYTES)
}

/** Adds the vectors before the last bytes that lie so far before one of those. */
function addTo(last: usize, folded: usize, distance: usize): void {
  const from = folded + FOLD_BYTES - distance
  for (let at: usize = 0; at < distance; at += 16) {
    v128.store(last + at, v128.xor(v128.load(last + at), v128.load(from + at)))
  }
}
