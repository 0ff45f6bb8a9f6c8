import { HASH53, joinHash53 } from '../aggregate/hash.ts'
import { OPTIONAL_FIELDS } from './codes.ts'
import { MAX_LENGTHS } from './fields.ts'
import { DEVICES, LOCALES, UNKNOWN_DEVICE, UNKNOWN_LOCALE, UNKNOWN_VERSION, VERSIONS } from './fieldTerms.ts'
import { isIp, NO_IPV4 } from './ip.ts'
import { type LoginEvent, MEMBER_WIDTH } from './loginEvent.ts'
import { MemberKeys, OTHER_MEMBER } from './memberKeys.ts'
import { TimeScanner } from './scanTime.ts'
import { IN_STRING, isNull, skipBlanks, skipValue } from './skipJson.ts'
import type { Term } from './term.ts'
import { TERM_HASH, type Terms } from './terms.ts'

// What is exported is looked up at each use; constants of the module's own are not, which loops over bytes do feel.
const STRING_BYTES = IN_STRING
const { firstA: FIRST_A, firstB: FIRST_B, factorA: FACTOR_A, factorB: FACTOR_B } = HASH53
const { first: FIRST_HASH, factor: HASH_FACTOR } = TERM_HASH
const [MAX_USER_ID, MAX_DEVICE_ID, MAX_IP] = [MAX_LENGTHS.user_id, MAX_LENGTHS.device_id, MAX_LENGTHS.ip]
const [OTHER, WIDTH] = [OTHER_MEMBER, MEMBER_WIDTH]
const [DEVICE_TERMS, LOCALE_TERMS, VERSION_TERMS] = [DEVICES, LOCALES, VERSIONS]

const QUOTE = 0x22
const COMMA = 0x2c
const DOT = 0x2e
const ZERO = 0x30
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const SPACE = 0x20
/** Of a short text and its quote: two words. */
const SHORT_BYTES = 8
/** Of more members whose names mean nothing here, learning the names would cost more than the full parser does. */
const MOST_OTHERS = 64
/** So many digits are a whole number that keeps its spelling. */
const MOST_DIGITS = 15

/** Bits of OPTIONAL_FIELDS. */
const DEVICE_TYPE = 1
const DEVICE_ID = 2
const LOCALE = 4
const APP_VERSION = 8
const IP = 16
const ALL_OPTIONAL = (1 << OPTIONAL_FIELDS.length) - 1

/** What one partition's producers write, those of others write as well: it is learned once for all of a process. */
const KEYS = new MemberKeys()

export type ScanRules = {
  /** Bits of OPTIONAL_FIELDS that must neither be missing nor invalid. */
  readonly required: number
  /** How deep objects and arrays may nest, the event being level 1. */
  readonly maxDepth: number
  readonly keepFields: boolean
}

/**
 * Reads events in place, in one pass and without an object of their own. It reads what is usual: one flat object of plain
 * texts and whole numbers, with whatever sound JSON under names that mean nothing here. It never refuses an event: of
 * whatever else it says that it cannot tell, and the full parser has the word.
 */
export class EventScanner {
  readonly #rules: ScanRules
  readonly #times = new TimeScanner()
  /** What the reader of a value has found out beside where the value ends. */
  #term: Term | null = null

  constructor(rules: ScanRules) {
    this.#rules = rules
  }

  /** Fills `event` from bytes [start, end) and tells whether it could. */
  scan(bytes: Uint8Array, start: number, end: number, event: LoginEvent): boolean {
    let close = end - 1
    while (close > start && isBlank(bytes[close] as number)) close--
    // From here on each byte up to the closing brace may be read without asking where the value ends.
    if (close <= start || bytes[start] !== OPEN_BRACE || bytes[close] !== CLOSE_BRACE) return false
    if (bytes !== event.bytes) event.hold(bytes)
    clear(event, start, end)
    const { view } = event
    const keeps = this.#rules.keepFields
    event.keepsFields = keeps
    let key = KEYS.first
    let seen = 0
    let count = 0
    let at = start + 1
    for (;;) {
      if ((bytes[at] as number) <= SPACE) {
        at = skipBlanks(bytes, at)
        event.spaced = true
      }
      const next = KEYS.read(key, bytes, view, at, close)
      if (next === null) return false
      key = next
      const name = at
      at += key.length
      if (bytes[at] === SPACE) at++
      const { member } = key
      const valueEnd = this.#value(member, bytes, at, close, event)
      if (valueEnd < 0) return false
      if (member !== OTHER) {
        if ((seen & (1 << member)) !== 0) return false
        seen |= 1 << member
        if (keeps) keep(event.members, WIDTH * count++, member, name, at, valueEnd)
      } else if (++event.otherMembers > MOST_OTHERS) return false
      at = valueEnd
      if ((bytes[at] as number) <= SPACE) at = skipBlanks(bytes, at)
      if (bytes[at] !== COMMA) break
      at++
    }
    event.memberCount = count
    if (event.missing !== 0) fillMissing(event)
    return at === close && (seen & 3) === 3 && (event.missing & this.#rules.required) === 0
  }

  /** Reads the value of the member with this number; returns where it ends, or -1. */
  #value(member: number, bytes: Uint8Array, at: number, close: number, event: LoginEvent): number {
    switch (member) {
      case 0:
        return this.#userId(bytes, at, close, event)
      case 1:
        return this.#timestamp(bytes, at, close, event)
      case 2: {
        const next = this.#text(DEVICE_TERMS, bytes, event.view, at, close)
        if (this.#term !== null) {
          event.device = this.#term
          event.missing ^= DEVICE_TYPE
        }
        return next
      }
      case 3:
        return this.#deviceId(bytes, at, close, event)
      case 4: {
        const next = this.#text(LOCALE_TERMS, bytes, event.view, at, close)
        if (this.#term !== null) {
          event.localeTerm = this.#term
          event.missing ^= LOCALE
        }
        return next
      }
      case 5: {
        const next = this.#text(VERSION_TERMS, bytes, event.view, at, close)
        if (this.#term !== null) {
          event.version = this.#term
          event.missing ^= APP_VERSION
        }
        return next
      }
      case 6:
        return this.#address(bytes, at, close, event)
      default:
        return skipValue(bytes, at, close, this.#rules.maxDepth - 1)
    }
  }

  #userId(bytes: Uint8Array, at: number, close: number, event: LoginEvent): number {
    if (bytes[at] !== QUOTE) return this.#userNumber(bytes, at, event)
    let a = FIRST_A
    let b = FIRST_B
    let next = at + 1
    for (; next < close; next++) {
      const byte = bytes[next] as number
      if (STRING_BYTES[byte] !== 1) break
      a = Math.imul(a ^ byte, FACTOR_A)
      b = Math.imul(((b << 13) | (b >>> 19)) ^ byte, FACTOR_B)
    }
    const length = next - at - 1
    if (next >= close || bytes[next] !== QUOTE || length === 0 || length > MAX_USER_ID) return -1
    event.userStart = at + 1
    event.userEnd = next
    event.userHash = joinHash53(a, b)
    return next + 1
  }

  /** A whole number is taken as its decimal text. */
  #userNumber(bytes: Uint8Array, at: number, event: LoginEvent): number {
    let a = FIRST_A
    let b = FIRST_B
    let next = at
    for (; ; next++) {
      const byte = bytes[next] as number
      if ((byte - ZERO) >>> 0 > 9) break
      a = Math.imul(a ^ byte, FACTOR_A)
      b = Math.imul(((b << 13) | (b >>> 19)) ^ byte, FACTOR_B)
    }
    if (!isPlainNumber(bytes, at, next)) return -1
    event.userStart = at
    event.userEnd = next
    event.userHash = joinHash53(a, b)
    return next
  }

  #timestamp(bytes: Uint8Array, at: number, close: number, event: LoginEvent): number {
    if (bytes[at] !== QUOTE) {
      const next = this.#times.digits(bytes, at, event)
      return isPlainNumber(bytes, at, next) ? next : -1
    }
    const next = this.#times.digits(bytes, at + 1, event)
    if (next >= 0 && bytes[next] === QUOTE) return next + 1
    const end = endOfPlain(bytes, at + 1, close)
    return end >= 0 && this.#times.iso(bytes, at + 1, end, event) ? end + 1 : -1
  }

  /** Finds the text's term; none when the text is missing. */
  #text(terms: Terms, bytes: Uint8Array, view: DataView, at: number, close: number): number {
    this.#term = null
    if (bytes[at] !== QUOTE) return isNull(bytes, at, close) ? at + 4 : -1
    if (at + 1 + SHORT_BYTES > close) return this.#longText(terms, bytes, at, close)
    // Most texts are short: two words hold the text and its quote, whose place is found without a look at each byte.
    const low = view.getInt32(at + 1, true)
    const high = view.getInt32(at + 5, true)
    const lowQuotes = quotesIn(low)
    const highQuotes = quotesIn(high)
    // All ones when the quote is in the low word.
    const inLow = (lowQuotes | -lowQuotes) >> 31
    const lowMask = upToFirst(lowQuotes)
    const highMask = upToFirst(highQuotes) & ~inLow
    const term = terms.short(low & lowMask, high & highMask)
    if (term === null) {
      const next = this.#longText(terms, bytes, at, close)
      if (next <= at + 1 + SHORT_BYTES) this.#keepShort(terms, low & lowMask, high & highMask)
      return next
    }
    this.#term = term
    const length = inLow === 0 ? 4 + bytesBefore(highQuotes) : bytesBefore(lowQuotes)
    return at + length + 2
  }

  #keepShort(terms: Terms, low: number, high: number): void {
    if (this.#term !== null) terms.keepShort(low, high, this.#term)
  }

  #longText(terms: Terms, bytes: Uint8Array, at: number, close: number): number {
    let hash: number = FIRST_HASH
    let next = at + 1
    for (; next < close; next++) {
      const byte = bytes[next] as number
      if (STRING_BYTES[byte] === 0) break
      hash = Math.imul(hash ^ byte, HASH_FACTOR)
    }
    if (next >= close || bytes[next] !== QUOTE) return -1
    if (next === at + 1) return next + 1
    this.#term = terms.find(bytes, at + 1, next, hash)
    return this.#term === null ? -1 : next + 1
  }

  #deviceId(bytes: Uint8Array, at: number, close: number, event: LoginEvent): number {
    if (bytes[at] !== QUOTE) return isNull(bytes, at, close) ? at + 4 : -1
    const next = endOfPlain(bytes, at + 1, close)
    const length = next - at - 1
    if (next < 0 || length > MAX_DEVICE_ID) return -1
    if (length === 0) return next + 1
    event.deviceIdStart = at + 1
    event.deviceIdEnd = next
    event.missing ^= DEVICE_ID
    return next + 1
  }

  #address(bytes: Uint8Array, at: number, close: number, event: LoginEvent): number {
    if (bytes[at] !== QUOTE) return isNull(bytes, at, close) ? at + 4 : -1
    const end = this.#ipv4(bytes, at + 1, close, event)
    if (end >= 0) return end
    const next = endOfPlain(bytes, at + 1, close)
    if (next < 0) return -1
    if (next === at + 1) return next + 1
    event.ipStart = at + 1
    event.ipEnd = next
    if (next - at - 1 > MAX_IP || !isIp(event.ip)) return -1
    event.missing ^= IP
    return next + 1
  }

  /** Reads four numbers from 0 to 255 without leading zeros; -1 when up to the quote there is anything else. */
  #ipv4(bytes: Uint8Array, at: number, close: number, event: LoginEvent): number {
    let address = 0
    let value = 0
    let first = at
    let dots = 0
    for (let next = at; next < close; next++) {
      const byte = bytes[next] as number
      const digit = byte - ZERO
      if (digit >>> 0 <= 9) {
        // Of any number of digits, so that it stays within 32 bits.
        value = (Math.imul(value, 10) + digit) | 0
        continue
      }
      const digits = next - first
      if (digits < 1 || digits > 3 || value > 255 || (digits > 1 && bytes[first] === ZERO)) return -1
      address = (address << 8) | value
      if (byte === QUOTE) {
        if (dots !== 3) return -1
        event.ipStart = at
        event.ipEnd = next
        event.ipv4 = address >>> 0
        event.missing ^= IP
        return next + 1
      }
      if (byte !== DOT || ++dots > 3) return -1
      value = 0
      first = next + 1
    }
    return -1
  }
}

/** Bit 7 of each byte that is a quote; above the first one, of others too. */
function quotesIn(word: number): number {
  const others = word ^ 0x22222222
  return (others - 0x01010101) & ~others & 0x80808080
}

/** A mask of the bytes through the first quote; of all when there is none. */
function upToFirst(quotes: number): number {
  return quotes ^ (quotes - 1)
}

function bytesBefore(quotes: number): number {
  return (31 - Math.clz32(quotes & -quotes)) >> 3
}

function clear(event: LoginEvent, start: number, end: number): void {
  event.start = start
  event.end = end
  event.missing = ALL_OPTIONAL
  event.invalid = 0
  event.place = null
  event.deviceIdStart = -1
  event.ipStart = -1
  event.ipv4 = NO_IPV4
  event.otherMembers = 0
  event.spaced = false
  event.traceparent = null
  event.userText = null
  event.deviceIdText = null
  event.ipText = null
  event.knownFields = null
}

function fillMissing(event: LoginEvent): void {
  const { missing } = event
  if (missing & DEVICE_TYPE) event.device = UNKNOWN_DEVICE
  if (missing & LOCALE) event.localeTerm = UNKNOWN_LOCALE
  if (missing & APP_VERSION) event.version = UNKNOWN_VERSION
}

function keep(members: Int32Array, at: number, member: number, name: number, start: number, end: number): void {
  members[at] = member
  members[at + 1] = name
  members[at + 2] = start
  members[at + 3] = end
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Where the text ends that is plain ASCII up to its quote; -1 when it is not. */
function endOfPlain(bytes: Uint8Array, at: number, close: number): number {
  let next = at
  while (next < close && STRING_BYTES[bytes[next] as number] === 1) next++
  return next < close && bytes[next] === QUOTE ? next : -1
}

/** Whether the digits [start, end) are a JSON number that is safe and spelled as we would. */
function isPlainNumber(bytes: Uint8Array, start: number, end: number): boolean {
  const count = end - start
  return count > 0 && count <= MOST_DIGITS && (count === 1 || bytes[start] !== ZERO)
}
