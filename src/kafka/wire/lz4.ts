const MAGIC = 0x184d2204
const VERSION_MASK = 0xc0
const VERSION = 0x40
const BLOCK_CHECKSUM = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const DICTIONARY = 0x01
const UNCOMPRESSED = 0x8000_0000
const FIRST_BYTES = 64 * 1024
const MIN_MATCH = 4

/** Grows by doubling, never past its bound. */
type Output = { bytes: Buffer; length: number; readonly maxBytes: number }

/**
 * Unpacks an LZ4 frame. Written here because the libraries at hand allocate what a frame says of itself, without a bound.
 * Checksums are left alone: the record batch's own CRC covers all of it.
 * @throws RangeError when it is damaged or unpacks to more than `maxBytes`
 */
export function unpackLz4Frame(bytes: Buffer, maxBytes: number): Buffer {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== MAGIC) throw new RangeError('not an LZ4 frame')
  const flags = bytes[4] as number
  if ((flags & VERSION_MASK) !== VERSION || (flags & DICTIONARY) !== 0)
    throw new RangeError('an unknown kind of LZ4 frame')
  // Magic, flags, block descriptor, content size if any, header checksum.
  let at = 6 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8) + 1
  const output: Output = { bytes: Buffer.allocUnsafe(Math.min(FIRST_BYTES, maxBytes)), length: 0, maxBytes }
  for (;;) {
    if (at + 4 > bytes.length) throw new RangeError('an LZ4 frame is cut off')
    const word = bytes.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const packed = word < UNCOMPRESSED
    const end = at + (packed ? word : word - UNCOMPRESSED)
    if (end > bytes.length) throw new RangeError('an LZ4 block is cut off')
    if (packed) unpackBlock(bytes, at, end, output)
    else copyLiterals(bytes, at, end, output)
    at = end + ((flags & BLOCK_CHECKSUM) === 0 ? 0 : 4)
  }
  if (at + ((flags & CONTENT_CHECKSUM) === 0 ? 0 : 4) > bytes.length) throw new RangeError('an LZ4 frame is cut off')
  return output.bytes.subarray(0, output.length)
}

function unpackBlock(bytes: Buffer, start: number, end: number, output: Output): void {
  let at = start
  const length = (nibble: number): number => {
    let sum = nibble
    if (nibble < 15) return sum
    for (;;) {
      if (at >= end) throw new RangeError('an LZ4 length is cut off')
      const byte = bytes[at++] as number
      sum += byte
      if (byte < 255) return sum
    }
  }
  while (at < end) {
    const token = bytes[at++] as number
    const literals = length(token >>> 4)
    if (at + literals > end) throw new RangeError('LZ4 literals are cut off')
    copyLiterals(bytes, at, at + literals, output)
    at += literals
    // A block's last sequence has no match.
    if (at === end) return
    if (at + 2 > end) throw new RangeError('an LZ4 match is cut off')
    const distance = (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
    at += 2
    copyMatch(distance, length(token & 15) + MIN_MATCH, output)
  }
}

function copyLiterals(bytes: Buffer, start: number, end: number, output: Output): void {
  reserve(output, end - start)
  bytes.copy(output.bytes, output.length, start, end)
  output.length += end - start
}

/** The match may reach into what it writes itself: that is how runs are packed. */
function copyMatch(distance: number, length: number, output: Output): void {
  if (distance === 0 || distance > output.length) throw new RangeError('an LZ4 match begins before the output')
  reserve(output, length)
  const { bytes } = output
  let from = output.length - distance
  const end = output.length + length
  if (distance >= length) bytes.copyWithin(output.length, from, from + length)
  else for (let to = output.length; to < end; ) bytes[to++] = bytes[from++] as number
  output.length = end
}

function reserve(output: Output, more: number): void {
  const needed = output.length + more
  if (needed > output.maxBytes) throw new RangeError(`unpacks to more than ${output.maxBytes} bytes`)
  if (needed <= output.bytes.length) return
  const grown = Buffer.allocUnsafe(Math.min(output.maxBytes, Math.max(needed, 2 * output.bytes.length)))
  output.bytes.copy(grown, 0, 0, output.length)
  output.bytes = grown
}
