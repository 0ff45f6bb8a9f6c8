/**
 * A 32-bit hash of a text's UTF-16 units (FNV-1a with murmur3's finaliser). It decides which of too many distinct values
 * are kept, so it is part of the stored truth: changing it is a new generation.
 */
export function hashText(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
