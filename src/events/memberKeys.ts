import { MEMBER_NAMES } from './loginEvent.ts'
import { TERM_HASH, Terms } from './terms.ts'

/** Longer names are left to the full parser. */
const MAX_NAME_LENGTH = 64
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/** The number of a member whose name means nothing here. */
export const OTHER_MEMBER = MEMBER_NAMES.length

/** The name of a member as it is written, and the names that came behind it of late. */
export class MemberKey {
  /** The number in MEMBER_NAMES, or OTHER_MEMBER. */
  readonly member: number
  /** Bytes that the name takes with its quotes and its colon. */
  readonly length: number
  /** The same bytes by fours, the lowest first, and the last four: names are compared by words. */
  readonly words: Int32Array
  readonly tail: number
  /** Producers write their fields in one order: what came behind this name last time comes again. */
  next: MemberKey | null = null
  other: MemberKey | null = null

  constructor(name: string) {
    const member = (MEMBER_NAMES as readonly string[]).indexOf(name)
    this.member = member < 0 ? OTHER_MEMBER : member
    const view = new DataView(new TextEncoder().encode(`"${name}":`).buffer)
    this.length = view.byteLength
    this.words = Int32Array.from({ length: (this.length - 1) >> 2 }, (_, i) => view.getInt32(4 * i, true))
    this.tail = view.getInt32(this.length - 4, true)
  }
}

/** Reads the names of members, guessing each from the one before. */
export class MemberKeys {
  /** Stands before the first name. */
  readonly first = new MemberKey('-')
  readonly #known = new Terms(MAX_NAME_LENGTH, (id, name) => {
    if (id === 0) this.#unlearn()
    return new MemberKey(name)
  })

  /**
   * The name that stands at `at`.
   * @param view of all of `bytes`
   * @param close a position before which it ends
   * @returns null when there is none that is written plainly, with its colon right behind it
   */
  read(before: MemberKey, bytes: Uint8Array, view: DataView, at: number, close: number): MemberKey | null {
    const { next } = before
    if (next !== null && stands(next, view, at, close)) return next
    const { other } = before
    if (other !== null && stands(other, view, at, close)) return other
    return this.#learn(before, bytes, at, close)
  }

  /** The dictionary begins anew: without this, chains of names that it has forgotten would grow for ever. */
  #unlearn(): void {
    this.first.next = null
    this.first.other = null
  }

  #learn(before: MemberKey, bytes: Uint8Array, at: number, close: number): MemberKey | null {
    if (bytes[at] !== QUOTE) return null
    let hash: number = TERM_HASH.first
    let end = at + 1
    for (; end < close; end++) {
      const byte = bytes[end] as number
      if (byte === QUOTE) break
      if (byte < 0x20 || byte === BACKSLASH) return null
      hash = Math.imul(hash ^ byte, TERM_HASH.factor)
    }
    // A word is compared at least.
    if (end >= close || bytes[end + 1] !== COLON || end === at + 1) return null
    const key = this.#known.find(bytes, at + 1, end, hash)
    if (key === null) return null
    before.other = before.next
    before.next = key
    return key
  }
}

function stands({ length, words, tail }: MemberKey, view: DataView, at: number, close: number): boolean {
  // The end first: names begin alike.
  if (at + length > close || view.getInt32(at + length - 4, true) !== tail) return false
  for (let i = 0; i < words.length; i++) if (view.getInt32(at + 4 * i, true) !== words[i]) return false
  return true
}
