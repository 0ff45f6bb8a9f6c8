const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** Where the bytes of a text key are put to be hashed. */
let scratch = Buffer.alloc(256)

/** The hash by which the Java client chooses a key's partition, in its lower 31 bits: texts count by their UTF-8 bytes. */
export function murmur2(key: string | Uint8Array): number {
  if (typeof key !== 'string') return murmur2Of(key, 0, key.length)
  if (3 * key.length > scratch.length) scratch = Buffer.alloc(6 * key.length)
  return murmur2Of(scratch, 0, scratch.write(key))
}

/** The same of a key that is the bytes [start, end). */
export function murmur2Of(bytes: Uint8Array, start: number, end: number): number {
  let h = SEED ^ (end - start)
  let at = start
  for (; at + 4 <= end; at += 4) {
    let k =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    k = Math.imul(k, M)
    k ^= k >>> R
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const rest = end - at
  if (rest === 3) h ^= (bytes[at + 2] as number) << 16
  if (rest >= 2) h ^= (bytes[at + 1] as number) << 8
  if (rest >= 1) h = Math.imul(h ^ (bytes[at] as number), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  h ^= h >>> 15
  return h & 0x7fffffff
}
