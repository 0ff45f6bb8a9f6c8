const ONES: u64 = 0x0101010101010101
const HIGHS: u64 = 0x8080808080808080
const SPACES: u64 = 0x2020202020202020
const QUOTES: u64 = 0x2222222222222222
const BACKSLASHES: u64 = 0x5c5c5c5c5c5c5c5c

/** Bit 7 of each byte that is a quote; above the lowest one, of others too. */
export function quotesIn(word: u64): u64 {
  const others = word ^ QUOTES
  return (others - ONES) & ~others & HIGHS
}

/** The first byte from `at` on that is no plain ASCII: a quote, a backslash, a control character, or longer UTF-8. */
export function plainEnd(at: usize): usize {
  let next = at
  let found: u64 = 0
  while (true) {
    const word = load<u64>(next)
    const slashes = word ^ BACKSLASHES
    found = (quotesIn(word) | ((slashes - ONES) & ~slashes) | ((word - SPACES) & ~word) | word) & HIGHS
    if (found !== 0) break
    next += 8
  }
  return next + (<usize>ctz(found) >> 3)
}

/** Where the quote stands that ends the plain text from `at` on; 0 when it is not plain, or does not end before `close`. */
export function textEnd(at: usize, close: usize): usize {
  const end = plainEnd(at)
  return end < close && load<u8>(end) === 0x22 ? end : 0
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
