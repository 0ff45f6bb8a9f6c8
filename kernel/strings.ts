/** As many as a vector holds. */
export const MOST_BYTES: usize = 16
/** What counting the zeros below the lowest of sixteen bits gives when there is none. */
export const NO_LENGTH: usize = 32
/** Sixteen bytes of ones and as many of zeros. */
const MASKS: usize = memory.data<u64>([u64.MAX_VALUE, u64.MAX_VALUE, 0, 0])

/** Ones in the first bytes, at most sixteen, of a vector. */
export function maskOf(bytes: usize): v128 {
  return v128.load(MASKS + MOST_BYTES - bytes)
}

/** The first byte from `at` on that is no plain ASCII: a quote, a backslash, a control character, or longer UTF-8. */
export function plainEnd(at: usize): usize {
  let next = at
  let found: i32 = 0
  while (true) {
    const bytes = v128.load(next)
    // As numbers with a sign, the bytes of longer UTF-8 are less than a blank, too.
    const others = v128.or(i8x16.lt_s(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x5c)))
    found = i8x16.bitmask(v128.or(others, i8x16.eq(bytes, i8x16.splat(0x22))))
    if (found !== 0) break
    next += 16
  }
  return next + <usize>ctz(found)
}

/** Where the quote stands that ends the plain text from `at` on; 0 when it is not plain, or does not end before `close`. */
export function textEnd(at: usize, close: usize): usize {
  const end = plainEnd(at)
  return end < close && load<u8>(end) === 0x22 ? end : 0
}

/** Bytes before the first quote; NO_LENGTH when there is none. */
export function textLength(bytes: v128): usize {
  return <usize>ctz(i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(0x22))))
}

export function isQuote(at: usize): bool {
  return load<u8>(at) === 0x22
}

export function isBlank(at: usize): bool {
  const byte: u32 = load<u8>(at)
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

export function isNull(at: usize): bool {
  return load<u32>(at) === 0x6c6c756e
}

export function isTrue(at: usize): bool {
  return load<u32>(at) === 0x65757274
}

export function isFalse(at: usize): bool {
  return load<u8>(at) === 0x66 && load<u32>(at, 1) === 0x65736c61
}

/** The first byte from `at` on that is no digit. */
export function digitsEnd(at: usize): usize {
  let next = at
  while (<u32>load<u8>(next) - 0x30 <= 9) next++
  return next
}
