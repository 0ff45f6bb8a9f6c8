/**
 * Passes over JSON in place, as strictly as JSON.parse and a strict decoder of UTF-8 read it. Positions are those of
 * `bytes`; the byte at `close` is the brace that ends the object around, so that reading it is always allowed.
 */

/** Nests deeper than is worth following in place: whoever asks has another way. */
const MAX_LEVELS = 32

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const ZERO = 0x30

/** What a byte is inside of a string: 0 where something has to be looked at, 1 for plain ASCII, 2 for longer UTF-8. */
const STRING_BYTES = new Uint8Array(256)
for (let byte = 0x20; byte < 0x80; byte++) STRING_BYTES[byte] = byte === QUOTE || byte === BACKSLASH ? 0 : 1
STRING_BYTES.fill(2, 0x80)
export const IN_STRING: Readonly<Uint8Array> = STRING_BYTES

/** The first position from `at` on that holds no blank space. */
export function skipBlanks(bytes: Uint8Array, at: number): number {
  let next = at
  for (;;) {
    const byte = bytes[next]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return next
    next++
  }
}

/**
 * Passes over one value.
 * @param levels how many brackets may still open
 * @returns the position behind it, at most `close`; -1 when it is no sound value, or nests too deep to tell
 */
export function skipValue(bytes: Uint8Array, at: number, close: number, levels: number): number {
  const byte = bytes[at] as number
  if (byte === QUOTE) return skipString(bytes, at, close)
  if (byte === MINUS || (byte >= ZERO && byte <= ZERO + 9)) return skipNumber(bytes, at)
  if (byte === OPEN_BRACE) return skipMembers(bytes, at, close, Math.min(levels, MAX_LEVELS) - 1)
  if (byte === OPEN_BRACKET) return skipElements(bytes, at, close, Math.min(levels, MAX_LEVELS) - 1)
  if (isWord(bytes, at, close, NULL) || isWord(bytes, at, close, TRUE)) return at + 4
  return isWord(bytes, at, close, FALSE) ? at + 5 : -1
}

const wordOf = (text: string) => new TextEncoder().encode(text)
const NULL = wordOf('null')
const TRUE = wordOf('true')
const FALSE = wordOf('false')

function isWord(bytes: Uint8Array, at: number, close: number, word: Uint8Array): boolean {
  if (at + word.length > close) return false
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false
  return true
}

/** Whether `null` stands here. */
export function isNull(bytes: Uint8Array, at: number, close: number): boolean {
  return isWord(bytes, at, close, NULL)
}

/** From the opening quote to behind the closing one; -1 when it is no sound string. */
function skipString(bytes: Uint8Array, at: number, close: number): number {
  let next = at + 1
  while (next < close) {
    const byte = bytes[next] as number
    if (STRING_BYTES[byte] === 1) next++
    else if (byte === QUOTE) return next + 1
    else {
      next = byte === BACKSLASH ? skipEscape(bytes, next, close) : skipSequence(bytes, next, close)
      if (next < 0) return -1
    }
  }
  return -1
}

function skipEscape(bytes: Uint8Array, at: number, close: number): number {
  if (at + 1 >= close) return -1
  switch (bytes[at + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2
    case 0x75: // u
      break
    default:
      return -1
  }
  if (at + 6 > close) return -1
  for (let i = at + 2; i < at + 6; i++) if (!isHex(bytes[i] as number)) return -1
  return at + 6
}

function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}

/** One character of two to four bytes of UTF-8 in its only spelling, and no half of a surrogate pair; else -1. */
function skipSequence(bytes: Uint8Array, at: number, close: number): number {
  const first = bytes[at] as number
  if (first < 0xc2 || first > 0xf4) return -1
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  if (at + length > close) return -1
  const second = bytes[at + 1] as number
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < least || second > most) return -1
  for (let i = at + 2; i < at + length; i++) if (((bytes[i] as number) & 0xc0) !== 0x80) return -1
  return at + length
}

/** The digits end at the brace at `close` at the latest. */
function skipNumber(bytes: Uint8Array, at: number): number {
  let next = bytes[at] === MINUS ? at + 1 : at
  const first = next
  next = skipDigits(bytes, next)
  if (next === first || (bytes[first] === ZERO && next > first + 1)) return -1
  if (bytes[next] === 0x2e) {
    const fraction = next + 1
    next = skipDigits(bytes, fraction)
    if (next === fraction) return -1
  }
  if (bytes[next] === 0x65 || bytes[next] === 0x45) {
    const sign = bytes[next + 1]
    const exponent = sign === 0x2b || sign === MINUS ? next + 2 : next + 1
    next = skipDigits(bytes, exponent)
    if (next === exponent) return -1
  }
  return next
}

function skipDigits(bytes: Uint8Array, at: number): number {
  let next = at
  while (((bytes[next] as number) - ZERO) >>> 0 <= 9) next++
  return next
}

function skipElements(bytes: Uint8Array, at: number, close: number, levels: number): number {
  if (levels < 0) return -1
  let next = skipBlanks(bytes, at + 1)
  if (bytes[next] === CLOSE_BRACKET) return next + 1
  for (;;) {
    next = skipValue(bytes, next, close, levels)
    if (next < 0) return -1
    next = skipBlanks(bytes, next)
    if (bytes[next] === CLOSE_BRACKET) return next + 1
    if (bytes[next] !== COMMA) return -1
    next = skipBlanks(bytes, next + 1)
  }
}

function skipMembers(bytes: Uint8Array, at: number, close: number, levels: number): number {
  if (levels < 0) return -1
  let next = skipBlanks(bytes, at + 1)
  // The brace at `close` is another's.
  if (bytes[next] === CLOSE_BRACE) return next < close ? next + 1 : -1
  for (;;) {
    if (bytes[next] !== QUOTE) return -1
    next = skipString(bytes, next, close)
    if (next < 0) return -1
    next = skipBlanks(bytes, next)
    if (bytes[next] !== COLON) return -1
    next = skipValue(bytes, skipBlanks(bytes, next + 1), close, levels)
    if (next < 0) return -1
    next = skipBlanks(bytes, next)
    if (bytes[next] === CLOSE_BRACE) return next < close ? next + 1 : -1
    if (bytes[next] !== COMMA) return -1
    next = skipBlanks(bytes, next + 1)
  }
}
