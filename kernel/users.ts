import { READ, ROW_BYTES, ROWS, STATUS, USER_END, USER_HASH, USER_START } from './layout'

const FIRST_A: i32 = 0x811c9dc5
const FIRST_B: i32 = 0x9e3779b9
const FACTOR_A: i32 = 0x01000193
const FACTOR_B: i32 = 0x2c1b3c6d
/** Hashed together. */
const LANES: usize = 4

/** Hashes the users of the rows that were read. */
export function hashUsers(rows: i32): void {
  let first = ROWS
  const end = ROWS + <usize>rows * ROW_BYTES
  while (first < end) {
    if (first + LANES * ROW_BYTES <= end && areAlike(first)) {
      hashFour(first)
      first += LANES * ROW_BYTES
    } else {
      if (load<i32>(first, STATUS) === READ) hashUser(first)
      first += ROW_BYTES
    }
  }
}

/** Hashes the user of a row, as hashText53 of src/aggregate/hash.ts. */
export function hashUser(row: usize): void {
  let a = FIRST_A
  let b = FIRST_B
  const to = <usize>load<i32>(row, USER_END)
  for (let at = <usize>load<i32>(row, USER_START); at < to; at++) {
    const byte: i32 = load<u8>(at)
    a = (a ^ byte) * FACTOR_A
    b = (rotl(b, 13) ^ byte) * FACTOR_B
  }
  const low = mixed(a + b)
  keep(row, low, mixed(b ^ low))
}

/** Whether as many rows from this one on were read, and their users are of as many bytes. */
function areAlike(row: usize): bool {
  const length = lengthOf(row)
  for (let i: usize = 0; i < LANES; i++) {
    const other = row + i * ROW_BYTES
    if (load<i32>(other, STATUS) !== READ || lengthOf(other) !== length) return false
  }
  return true
}

function lengthOf(row: usize): i32 {
  return load<i32>(row, USER_END) - load<i32>(row, USER_START)
}

function hashFour(row: usize): void {
  const length = <usize>lengthOf(row)
  const at0 = <usize>load<i32>(row, USER_START)
  const at1 = <usize>load<i32>(row + ROW_BYTES, USER_START)
  const at2 = <usize>load<i32>(row + 2 * ROW_BYTES, USER_START)
  const at3 = <usize>load<i32>(row + 3 * ROW_BYTES, USER_START)
  let a = i32x4.splat(FIRST_A)
  let b = i32x4.splat(FIRST_B)
  for (let i: usize = 0; i < length; i += 4) {
    let words = v128.load32_zero(at0 + i)
    words = v128.load32_lane(at1 + i, words, 1)
    words = v128.load32_lane(at2 + i, words, 2)
    words = v128.load32_lane(at3 + i, words, 3)
    for (let left = min<usize>(4, length - i); left > 0; left--) {
      const bytes = v128.and(words, i32x4.splat(0xff))
      a = i32x4.mul(v128.xor(a, bytes), i32x4.splat(FACTOR_A))
      const turned = v128.or(i32x4.shl(b, 13), i32x4.shr_u(b, 19))
      b = i32x4.mul(v128.xor(turned, bytes), i32x4.splat(FACTOR_B))
      words = i32x4.shr_u(words, 8)
    }
  }
  const low = mixedFour(i32x4.add(a, b))
  const high = mixedFour(v128.xor(b, low))
  keep(row, i32x4.extract_lane(low, 0), i32x4.extract_lane(high, 0))
  keep(row + ROW_BYTES, i32x4.extract_lane(low, 1), i32x4.extract_lane(high, 1))
  keep(row + 2 * ROW_BYTES, i32x4.extract_lane(low, 2), i32x4.extract_lane(high, 2))
  keep(row + 3 * ROW_BYTES, i32x4.extract_lane(low, 3), i32x4.extract_lane(high, 3))
}

function keep(row: usize, low: i32, high: i32): void {
  store<f64>(row, <f64>(((<i64>(<u32>high >> 11)) << 32) | <i64>(<u32>low)), USER_HASH)
}

function mixed(hash: i32): i32 {
  let h = (hash ^ <i32>(<u32>hash >> 16)) * 0x85ebca6b
  h = (h ^ <i32>(<u32>h >> 13)) * 0xc2b2ae35
  return h ^ <i32>(<u32>h >> 16)
}

function mixedFour(hashes: v128): v128 {
  let h = i32x4.mul(v128.xor(hashes, i32x4.shr_u(hashes, 16)), i32x4.splat(0x85ebca6b))
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 13)), i32x4.splat(0xc2b2ae35))
  return v128.xor(h, i32x4.shr_u(h, 16))
}
