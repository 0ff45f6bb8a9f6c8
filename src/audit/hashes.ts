const MASK_32 = (1n << 32n) - 1n

/**
 * The hash that decides which of too many values of a dimension are kept: FNV-1a over UTF-16 units, then murmur3's
 * finaliser, 32 bits. Written anew with whole numbers of any length.
 */
export function recountValueHash(text: string): bigint {
  let hash = 0x811c9dc5n
  for (let i = 0; i < text.length; i++) hash = ((hash ^ BigInt(text.charCodeAt(i))) * 0x01000193n) & MASK_32
  return finished(hash)
}

/** The 53-bit hash that stands for a user: two 32-bit hashes of the UTF-16 units, mixed with each other. */
export function recountUserHash(text: string): number {
  let a = 0x811c9dc5n
  let b = 0x9e3779b9n
  for (let i = 0; i < text.length; i++) {
    const unit = BigInt(text.charCodeAt(i))
    a = ((a ^ unit) * 0x01000193n) & MASK_32
    const rotated = ((b << 13n) | (b >> 19n)) & MASK_32
    b = ((rotated ^ unit) * 0x2c1b3c6dn) & MASK_32
  }
  const low = finished((a + b) & MASK_32)
  const high = finished(b ^ low)
  return Number(((high >> 11n) << 32n) | low)
}

function finished(hash: bigint): bigint {
  let mixed = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & MASK_32
  mixed = ((mixed ^ (mixed >> 13n)) * 0xc2b2ae35n) & MASK_32
  return mixed ^ (mixed >> 16n)
}
