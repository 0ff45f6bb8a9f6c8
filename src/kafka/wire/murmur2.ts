const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** Where the bytes of a text key are put to be hashed. */
let scratch = Buffer.alloc(256)

/** The hash by which the Java client chooses a key's partition, in its lower 31 bits: texts count by their UTF-8 bytes. */
export function murmur2(key: string | Uint8Array): number {
  if (typeof key !== 'string') return hash(key, key.length)
  if (3 * key.length > scratch.length) scratch = Buffer.alloc(6 * key.length)
  return hash(scratch, scratch.write(key))
}

function hash(bytes: Uint8Array, length: number): number {
  let h = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let k =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    k = Math.imul(k, M)
    k ^= k >>> R
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const rest = length - at
  if (rest === 3) h ^= (bytes[at + 2] as number) << 16
  if (rest >= 2) h ^= (bytes[at + 1] as number) << 8
  if (rest >= 1) h = Math.imul(h ^ (bytes[at] as number), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  h ^= h >>> 15
  return h & 0x7fffffff
}
