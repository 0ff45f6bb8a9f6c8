/**
 * A 32-bit hash of a text's UTF-16 units (FNV-1a with murmur3's finaliser). It decides which of too many distinct values
 * are kept, so it is part of the stored truth: changing it is a new generation.
 */
export function hashText(text: string): number {
  let h = FIRST
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), FACTOR)
  return finish(h) >>> 0
}

/** The bits of hashText, as a signed number, of a text of ASCII, by its bytes [start, end). */
export function hashAscii(bytes: Uint8Array, start: number, end: number): number {
  let h = FIRST
  for (let i = start; i < end; i++) h = Math.imul(h ^ (bytes[i] as number), FACTOR)
  return finish(h)
}

const FIRST = 0x811c9dc5 | 0
const FACTOR = 0x01000193

const FIRST_A = 0x811c9dc5 | 0
const FIRST_B = 0x9e3779b9 | 0
const FACTOR_A = 0x01000193
const FACTOR_B = 0x2c1b3c6d

/** How the two halves of hashText53 begin, and the factors of their steps. */
export const HASH53 = { firstA: FIRST_A, firstB: FIRST_B, factorA: FACTOR_A, factorB: FACTOR_B } as const

/**
 * A 53-bit hash of a text's UTF-16 units, a whole number from 0 to 2^53 - 1: two 32-bit hashes in one pass, mixed with each
 * other. It stands for a user wherever users are told apart or sampled, so it is part of the stored truth as well.
 */
export function hashText53(text: string): number {
  let a = FIRST_A
  let b = FIRST_B
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, FACTOR_A)
    // The rotation lets high bits come down again: the two hashes do not fail on the same texts.
    b = Math.imul(((b << 13) | (b >>> 19)) ^ unit, FACTOR_B)
  }
  return joinHash53(a, b)
}

/** The hash from its two halves, for whoever reads the units of a text elsewhere in the same steps. */
export function joinHash53(a: number, b: number): number {
  const low = finish(a + b)
  const high = finish(b ^ low)
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0)
}

/** murmur3's finaliser: every bit of `h` reaches every bit of the outcome. */
function finish(h: number): number {
  let mixed = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
