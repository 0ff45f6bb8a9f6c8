import { IP_END, IP_START, IPV4 } from './layout'
import { isNull, isQuote, textLength } from './strings'

/** Of a number, by how many digits it has, which of the four bytes up to its end they are. */
const DIGITS: usize = memory.data<u32>([0, 0xff000000, 0xffff0000, 0xffffff00])
const MOST_DIGITS: usize = 3

/**
 * Four numbers from 0 to 255 without leading zeros: other kinds of addresses are left to others. All are read at once and
 * without a branch for how many digits each has, which cannot be guessed.
 * @returns where the value ends, or 0 when it cannot tell
 */
export function address(at: usize, close: usize, row: usize): usize {
  if (!isQuote(at)) return isNull(at) ? at + 4 : 0
  const from = at + 1
  const bytes = v128.load(from)
  const end = textLength(bytes)
  if (end === 0) return at + 2
  const dots = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(0x2e))) & ((1 << (<i32>end)) - 1)
  const dotsLeft = dots & (dots - 1)
  const lastDot = dotsLeft & (dotsLeft - 1)
  const first = <usize>ctz(dots)
  const second = <usize>ctz(dotsLeft)
  const third = <usize>ctz(lastDot)
  const inSecond = second - first - 1
  const inThird = third - second - 1
  const inFourth = end - third - 1
  const areNumbers = isLength(first) && isLength(inSecond) && isLength(inThird) && isLength(inFourth)
  if (!areNumbers || (lastDot & (lastDot - 1)) !== 0) return 0

  let words = v128.load32_zero(from + first - 4)
  words = v128.load32_lane(from + second - 4, words, 1)
  words = v128.load32_lane(from + third - 4, words, 2)
  words = v128.load32_lane(from + end - 4, words, 3)
  let masks = v128.load32_zero(DIGITS + (first << 2))
  masks = v128.load32_lane(DIGITS + (inSecond << 2), masks, 1)
  masks = v128.load32_lane(DIGITS + (inThird << 2), masks, 2)
  masks = v128.load32_lane(DIGITS + (inFourth << 2), masks, 3)
  const digits = v128.and(v128.xor(words, i8x16.splat(0x30)), masks)
  const leading = v128.and(v128.andnot(masks, i32x4.shl(masks, 8)), i32x4.splat(0xffffff))
  const ones = v128.and(digits, i16x8.splat(0xff))
  const others = i16x8.shr_u(digits, 8)
  const parts = i16x8.add(
    i16x8.mul(ones, i16x8(0, 10, 0, 10, 0, 10, 0, 10)),
    i16x8.mul(others, i16x8(100, 1, 100, 1, 100, 1, 100, 1)),
  )
  const numbers = i32x4.extadd_pairwise_i16x8_u(parts)
  const zeros = v128.and(i8x16.eq(digits, i8x16.splat(0)), leading)
  const tooGreat = v128.or(i8x16.gt_u(digits, i8x16.splat(9)), i32x4.gt_s(numbers, i32x4.splat(255)))
  if (v128.any_true(v128.or(zeros, tooGreat)) || from + end >= close) return 0

  store<i32>(row, <i32>from, IP_START)
  store<i32>(row, <i32>(from + end), IP_END)
  const turned = v128.shuffle<u8>(numbers, numbers, 12, 8, 4, 0, 12, 8, 4, 0, 12, 8, 4, 0, 12, 8, 4, 0)
  store<i32>(row, i32x4.extract_lane(turned, 0), IPV4)
  return from + end + 1
}

function isLength(digits: usize): bool {
  return digits - 1 < MOST_DIGITS
}
