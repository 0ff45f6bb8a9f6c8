/**
 * A 32-bit hash of a text's UTF-16 units (FNV-1a with murmur3's finaliser). It decides which of too many distinct values
 * are kept, so it is part of the stored truth: changing it is a new generation.
 */
export function hashText(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return finish(h) >>> 0
}

/**
 * A 53-bit hash of a text's UTF-16 units, a whole number from 0 to 2^53 - 1: two 32-bit hashes in one pass, mixed with each
 * other. It stands for a user wherever users are told apart or sampled, so it is part of the stored truth as well.
 */
export function hashText53(text: string): number {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x01000193)
    // The rotation lets high bits come down again: the two hashes do not fail on the same texts.
    b = Math.imul(((b << 13) | (b >>> 19)) ^ unit, 0x2c1b3c6d)
  }
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
