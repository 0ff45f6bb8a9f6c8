const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995

/** The partition that Kafka's Java client gives a key: murmur2, made positive, modulo the number of partitions. */
export function javaPartition(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

/** 32-bit murmur2 as in org.apache.kafka.common.utils.Utils: little-endian words, a signed result. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  let hash = SEED ^ length
  const tail = length & ~3
  for (let at = 0; at < tail; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> 24
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER)
  }
  let rest = 0
  for (let at = length - 1; at >= tail; at--) rest = (rest << 8) | bytes[at]!
  if (tail < length) hash = Math.imul(hash ^ rest, MULTIPLIER)
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}
