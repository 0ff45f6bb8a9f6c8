import type { Term } from './term.ts'

/** Terms held, and bytes of their texts: what the events of a stream say alike is far less. */
const MAX_TERMS = 4096
const MAX_BYTES = 1 << 18
/** Of open addressing, so that a table at its bound is half full. */
const SLOTS = 2 * MAX_TERMS
/** Places looked at for one text; no one may make a search long by choosing texts that fall together. */
const MAX_PROBES = 16

/** Of a table in which each text of few bytes has but one place. */
const SHORT_SLOTS = 512

/** How a dictionary's hash of a text begins; with each byte of its UTF-8, `hash = Math.imul(hash ^ byte, factor)`. */
export const TERM_HASH = { first: 0x811c9dc5 | 0, factor: 0x01000193 } as const

/**
 * The terms of one field by the bytes of their texts. It is bounded: when it is full it forgets all and begins anew, and
 * whoever holds a term may go on to hold it.
 */
export class Terms<T = Term> {
  readonly #make: (id: number, text: string) => T
  /** The longest text that the field may hold, in UTF-16 units. */
  readonly #maxLength: number
  /** 1 + the number of the term; 0 where there is none. */
  readonly #slots = new Int32Array(SLOTS)
  readonly #hashes = new Int32Array(MAX_TERMS)
  /** Where a term's bytes begin; where they end is where those of the next begin. */
  readonly #starts = new Int32Array(MAX_TERMS + 1)
  readonly #bytes = new Uint8Array(MAX_BYTES)
  readonly #terms: T[] = []
  /** Terms found of late whose text and closing quote fit into two words: found again by these words alone. */
  readonly #lows = new Int32Array(SHORT_SLOTS)
  readonly #highs = new Int32Array(SHORT_SLOTS)
  readonly #shorts: (T | null)[] = new Array(SHORT_SLOTS).fill(null)
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  readonly #encoder = new TextEncoder()

  /** @param make the term of a text that is not held, with an id that no other term held has */
  constructor(maxLength: number, make: (id: number, text: string) => T) {
    this.#maxLength = maxLength
    this.#make = make
  }

  /**
   * The term of the text whose UTF-8 is bytes [start, end).
   * @param hash of all bytes, as TERM_HASH says
   * @returns null when the bytes are no UTF-8, or the text is longer than the field may hold
   */
  find(bytes: Uint8Array, start: number, end: number, hash: number): T | null {
    const slots = this.#slots
    const length = end - start
    let slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const number = (slots[slot] as number) - 1
      if (number < 0) break
      if (this.#hashes[number] === hash && this.#isAt(number, bytes, start, length)) return this.#terms[number] as T
      slot = (slot + 1) & (SLOTS - 1)
    }
    return this.#add(bytes, start, end, hash)
  }

  /**
   * The term of a text of at most seven bytes, when it was found of late.
   * @param low the first four bytes of the text and the quote behind it, the lowest first, and zeros from there on
   * @param high the next four
   */
  short(low: number, high: number): T | null {
    const slot = shortSlot(low, high)
    return this.#lows[slot] === low && this.#highs[slot] === high ? (this.#shorts[slot] as T | null) : null
  }

  /** Has a term found again by these words, which hold its text and the quote. */
  keepShort(low: number, high: number, term: T): void {
    const slot = shortSlot(low, high)
    this.#lows[slot] = low
    this.#highs[slot] = high
    this.#shorts[slot] = term
  }

  /** The term of a well-formed text that the field may hold. */
  ofText(text: string): T {
    const bytes = this.#encoder.encode(text)
    let hash: number = TERM_HASH.first
    for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), TERM_HASH.factor)
    // A half of a surrogate pair becomes a sign of its own here: the text itself is what counts.
    return this.find(bytes, 0, bytes.length, hash) ?? this.#make(0, text)
  }

  #isAt(number: number, bytes: Uint8Array, start: number, length: number): boolean {
    const from = this.#starts[number] as number
    if ((this.#starts[number + 1] as number) - from !== length) return false
    const own = this.#bytes
    for (let i = 0; i < length; i++) if (own[from + i] !== bytes[start + i]) return false
    return true
  }

  #add(bytes: Uint8Array, start: number, end: number, hash: number): T | null {
    // No text has more than three bytes for each of its units.
    if (end - start > 3 * this.#maxLength) return null
    let text: string
    try {
      text = this.#decoder.decode(bytes.subarray(start, end))
    } catch {
      return null
    }
    if (text.length > this.#maxLength) return null
    let number = this.#terms.length
    if (number === MAX_TERMS || (this.#starts[number] as number) + end - start > MAX_BYTES) number = this.#forget()
    let slot = this.#freeSlot(hash)
    if (slot < 0) {
      number = this.#forget()
      slot = this.#freeSlot(hash)
    }
    const term = this.#make(number, text)
    const from = this.#starts[number] as number
    this.#bytes.set(bytes.subarray(start, end), from)
    this.#starts[number + 1] = from + end - start
    this.#hashes[number] = hash
    this.#slots[slot] = number + 1
    this.#terms.push(term)
    return term
  }

  /** -1 when those where the hash may stand are taken. */
  #freeSlot(hash: number): number {
    let slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      if (this.#slots[slot] === 0) return slot
      slot = (slot + 1) & (SLOTS - 1)
    }
    return -1
  }

  /** @returns the number of the next term */
  #forget(): number {
    this.#slots.fill(0)
    this.#shorts.fill(null)
    this.#terms.length = 0
    return 0
  }
}

function shortSlot(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x2c1b3c6d), 0x85ebca6b)
  return mixed >>> 23
}
