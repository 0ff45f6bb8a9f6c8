import {
  DEVICE_HASH,
  DEVICE_ID_END,
  DEVICE_ID_START,
  READ,
  ROW_BYTES,
  ROWS,
  STATUS,
  USER_END,
  USER_HASH,
  USER_START,
} from './layout'

// The steps of a hash wait for each other: four texts of the same length are hashed side by side.

const FIRST_A: i32 = 0x811c9dc5
const FIRST_B: i32 = 0x9e3779b9
const FACTOR_A: i32 = 0x01000193
const FACTOR_B: i32 = 0x2c1b3c6d
const LANES: usize = 4
const GROUP_BYTES: usize = LANES * ROW_BYTES

/** Hashes the users and devices of the rows that were read. */
export function hashRows(rows: i32): void {
  const end = ROWS + <usize>rows * ROW_BYTES
  let row = ROWS
  for (; row + GROUP_BYTES <= end; row += GROUP_BYTES) {
    if (areAlike(row, USER_START, USER_END)) hashUsers(row)
    else for (let i: usize = 0; i < LANES; i++) hashUser(row + i * ROW_BYTES)
    if (areAlike(row, DEVICE_ID_START, DEVICE_ID_END)) hashDevices(row)
    else for (let i: usize = 0; i < LANES; i++) hashDevice(row + i * ROW_BYTES)
  }
  for (; row < end; row += ROW_BYTES) hashRow(row)
}

export function hashRow(row: usize): void {
  hashUser(row)
  hashDevice(row)
}

/** As hashText53 of src/aggregate/hash.ts. */
function hashUser(row: usize): void {
  if (load<i32>(row, STATUS) !== READ) return
  let a = FIRST_A
  let b = FIRST_B
  const to = <usize>load<i32>(row, USER_END)
  for (let at = <usize>load<i32>(row, USER_START); at < to; at++) {
    const byte: i32 = load<u8>(at)
    a = (a ^ byte) * FACTOR_A
    b = (rotl(b, 13) ^ byte) * FACTOR_B
  }
  const low = mixed(a + b)
  keepUser(row, low, mixed(b ^ low))
}

/** As hashAscii of src/aggregate/hash.ts. */
function hashDevice(row: usize): void {
  if (load<i32>(row, STATUS) !== READ || load<i32>(row, DEVICE_ID_START) < 0) return
  let hash = FIRST_A
  const to = <usize>load<i32>(row, DEVICE_ID_END)
  for (let at = <usize>load<i32>(row, DEVICE_ID_START); at < to; at++) hash = (hash ^ <i32>load<u8>(at)) * FACTOR_A
  store<i32>(row, mixed(hash), DEVICE_HASH)
}

/** Whether four rows were read and have texts of the same length there. */
function areAlike(row: usize, start: usize, end: usize): bool {
  const length = load<i32>(row + end) - load<i32>(row + start)
  for (let i: usize = 0; i < LANES; i++) {
    const other = row + i * ROW_BYTES
    const from = load<i32>(other + start)
    if (load<i32>(other, STATUS) !== READ || from < 0 || load<i32>(other + end) - from !== length) return false
  }
  return true
}

function hashUsers(row: usize): void {
  const length = <usize>(load<i32>(row, USER_END) - load<i32>(row, USER_START))
  let a = i32x4.splat(FIRST_A)
  let b = i32x4.splat(FIRST_B)
  for (let done: usize = 0; done < length; done += 4) {
    let words = fourWords(row + USER_START, done)
    for (let left = min<usize>(4, length - done); left > 0; left--) {
      const bytes = v128.and(words, i32x4.splat(0xff))
      a = i32x4.mul(v128.xor(a, bytes), i32x4.splat(FACTOR_A))
      const turned = v128.or(i32x4.shl(b, 13), i32x4.shr_u(b, 19))
      b = i32x4.mul(v128.xor(turned, bytes), i32x4.splat(FACTOR_B))
      words = i32x4.shr_u(words, 8)
    }
  }
  const low = mixedFour(i32x4.add(a, b))
  const high = mixedFour(v128.xor(b, low))
  keepUser(row, i32x4.extract_lane(low, 0), i32x4.extract_lane(high, 0))
  keepUser(row + ROW_BYTES, i32x4.extract_lane(low, 1), i32x4.extract_lane(high, 1))
  keepUser(row + 2 * ROW_BYTES, i32x4.extract_lane(low, 2), i32x4.extract_lane(high, 2))
  keepUser(row + 3 * ROW_BYTES, i32x4.extract_lane(low, 3), i32x4.extract_lane(high, 3))
}

function hashDevices(row: usize): void {
  const length = <usize>(load<i32>(row, DEVICE_ID_END) - load<i32>(row, DEVICE_ID_START))
  let hashes = i32x4.splat(FIRST_A)
  for (let done: usize = 0; done < length; done += 4) {
    let words = fourWords(row + DEVICE_ID_START, done)
    for (let left = min<usize>(4, length - done); left > 0; left--) {
      hashes = i32x4.mul(v128.xor(hashes, v128.and(words, i32x4.splat(0xff))), i32x4.splat(FACTOR_A))
      words = i32x4.shr_u(words, 8)
    }
  }
  hashes = mixedFour(hashes)
  store<i32>(row, i32x4.extract_lane(hashes, 0), DEVICE_HASH)
  store<i32>(row + ROW_BYTES, i32x4.extract_lane(hashes, 1), DEVICE_HASH)
  store<i32>(row + 2 * ROW_BYTES, i32x4.extract_lane(hashes, 2), DEVICE_HASH)
  store<i32>(row + 3 * ROW_BYTES, i32x4.extract_lane(hashes, 3), DEVICE_HASH)
}

/** The next four bytes of each of four texts. @param start where the first row says that its text begins */
function fourWords(start: usize, done: usize): v128 {
  let words = v128.load32_zero(<usize>load<i32>(start) + done)
  words = v128.load32_lane(<usize>load<i32>(start + ROW_BYTES) + done, words, 1)
  words = v128.load32_lane(<usize>load<i32>(start + 2 * ROW_BYTES) + done, words, 2)
  return v128.load32_lane(<usize>load<i32>(start + 3 * ROW_BYTES) + done, words, 3)
}

function keepUser(row: usize, low: i32, high: i32): void {
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
