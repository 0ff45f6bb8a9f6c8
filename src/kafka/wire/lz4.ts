import { areInKernel, KERNEL, KERNEL_BYTES } from '../../events/kernel.ts'
import { LAYOUT } from '../../events/kernelLayout.ts'

const MAGIC = 0x184d2204
const VERSION_MASK = 0xc0
const VERSION = 0x40
const INDEPENDENT_BLOCKS = 0x20
const BLOCK_CHECKSUM = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const DICTIONARY = 0x01
const NOT_PACKED = 0x8000_0000
/** What is packed as a rule comes to no more than so many times its size: then what it unpacks to is allocated once. */
const USUAL_RATIO = 5

/** PACKED and UNPACKED hold a block of the largest size that frames know; HISTORY_BYTES are as far as matches reach back. */
const { PACKED, UNPACKED, HISTORY_BYTES, LZ4_BLOCK_BYTES } = LAYOUT
/** What kernel/lz4.ts answers instead of a length. */
const TOO_LARGE = -2

/** Grows by doubling, never past its bound. */
class Output {
  #bytes: Buffer
  #length = 0
  readonly #maxBytes: number

  constructor(firstBytes: number, maxBytes: number) {
    this.#bytes = Buffer.allocUnsafe(Math.min(firstBytes, maxBytes))
    this.#maxBytes = maxBytes
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  get room(): number {
    return this.#maxBytes - this.#length
  }

  add(more: Uint8Array): void {
    const needed = this.#length + more.length
    if (needed > this.#maxBytes) throw this.tooLarge()
    if (needed > this.#bytes.length) this.#grow(needed)
    this.#bytes.set(more, this.#length)
    this.#length = needed
  }

  tooLarge(): RangeError {
    return new RangeError(`unpacks to more than ${this.#maxBytes} bytes`)
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(needed, 2 * this.#bytes.length)))
    grown.set(this.bytes)
    this.#bytes = grown
  }
}

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
  const output = new Output(USUAL_RATIO * bytes.length, maxBytes)
  for (;;) {
    if (at + 4 > bytes.length) throw new RangeError('an LZ4 frame is cut off')
    const word = bytes.readUInt32LE(at)
    at += 4
    if (word === 0) break
    const isPacked = word < NOT_PACKED
    const end = at + (isPacked ? word : word - NOT_PACKED)
    if (end > bytes.length) throw new RangeError('an LZ4 block is cut off')
    const block = bytes.subarray(at, end)
    if (isPacked) unpackBlock(block, output, (flags & INDEPENDENT_BLOCKS) === 0)
    else output.add(block)
    at = end + ((flags & BLOCK_CHECKSUM) === 0 ? 0 : 4)
  }
  if (at + ((flags & CONTENT_CHECKSUM) === 0 ? 0 : 4) > bytes.length) throw new RangeError('an LZ4 frame is cut off')
  return output.bytes
}

/** @param isLinked whether its matches may reach back into the blocks before it */
function unpackBlock(block: Buffer, output: Output, isLinked: boolean): void {
  if (block.length > LZ4_BLOCK_BYTES) throw new RangeError(`an LZ4 block of ${block.length} bytes`)
  const isHere = areInKernel(block)
  const from = isHere ? block.byteOffset : PACKED
  if (!isHere) KERNEL_BYTES.set(block, PACKED)
  const history = isLinked ? output.bytes.subarray(-HISTORY_BYTES) : NOTHING
  KERNEL_BYTES.set(history, UNPACKED - history.length)
  const most = Math.min(LZ4_BLOCK_BYTES, output.room)
  const length = KERNEL.unpackBlock(from, from + block.length, UNPACKED, history.length, most)
  if (length === TOO_LARGE && output.room < LZ4_BLOCK_BYTES) throw output.tooLarge()
  if (length === TOO_LARGE) throw new RangeError(`an LZ4 block unpacks to more than ${LZ4_BLOCK_BYTES} bytes`)
  if (length < 0) throw new RangeError('an LZ4 block is damaged')
  output.add(KERNEL_BYTES.subarray(UNPACKED, UNPACKED + length))
}

const NOTHING = Buffer.alloc(0)
