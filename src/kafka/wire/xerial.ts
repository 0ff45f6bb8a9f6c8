const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
/** The magic, a version and the least version that can read it. */
const HEADER_BYTES = 16

/**
 * Unpacks snappy as Kafka clients write it: blocks with their lengths behind the header of the xerial library (Java), or
 * one bare block (librdkafka).
 * @throws RangeError when it is cut off or would unpack to more than `maxBytes`
 */
export function unpackXerial(
  bytes: Buffer,
  maxBytes: number,
  unpackBlock: (block: Buffer, options: { asBuffer: true }) => Buffer,
): Buffer {
  let room = maxBytes
  const unpack = (block: Buffer): Buffer => {
    const length = declaredLength(block)
    if (length > room) throw new RangeError(`unpacks to more than ${maxBytes} bytes`)
    room -= length
    return unpackBlock(block, { asBuffer: true })
  }
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return unpack(bytes)
  const blocks: Buffer[] = []
  let at = HEADER_BYTES
  while (at < bytes.length) {
    const length = at + 4 <= bytes.length ? bytes.readInt32BE(at) : -1
    at += 4
    if (length < 0 || at + length > bytes.length) throw new RangeError('a snappy block is cut off')
    blocks.push(unpack(bytes.subarray(at, at + length)))
    at += length
  }
  return blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks)
}

/** A snappy block begins with the length that it unpacks to. */
function declaredLength(block: Buffer): number {
  let length = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return length
  }
  throw new RangeError('a snappy block has no length')
}
