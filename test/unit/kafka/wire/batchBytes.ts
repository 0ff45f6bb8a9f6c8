import { createRequire } from 'node:module'
import { crc32c } from '@node-rs/crc32'
import type { Compression } from '../../../../src/config/settings.ts'
import { KERNEL_BODIES, KERNEL_MEMORY } from '../../../../src/events/kernel.ts'
import { instantiateKernel } from '../../../../src/events/kernelInstance.ts'
import { LAYOUT } from '../../../../src/events/kernelLayout.ts'
import { places } from '../../../../src/kafka/wire/bodies.ts'
import { Checksums } from '../../../../src/kafka/wire/checksum.ts'
import { CODEC_IDS, compress } from '../../../../src/kafka/wire/codecs.ts'
import { findSound } from '../../../../src/kafka/wire/soundBatches.ts'

/** A record as a test writes it; deltas are taken from the first. */
export type PlainRecord = {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

export type BatchOptions = {
  readonly codec?: Compression
  readonly baseOffset?: number
  readonly lastOffset?: number
  readonly producerId?: number
  readonly transactional?: boolean
  readonly control?: boolean
  /** The records' time is the broker's. */
  readonly appendTime?: number
  readonly packed?: (records: Buffer) => Buffer
}

export const record = (offset: number, value: string | null = 'v', more: Partial<PlainRecord> = {}): PlainRecord => {
  return { offset, timestamp: 5, key: null, value: value === null ? null : Buffer.from(value), headers: [], ...more }
}

const PLACE = 0

/** The same bytes at a place of the kernel, some way behind its beginning; what was there before is still around them. */
export function inKernel(bytes: Buffer, behind = 5): Buffer {
  places.giveBack(PLACE)
  if (places.take() !== PLACE) throw new Error('the tests of a file use one place alone')
  const { buffer, byteOffset } = KERNEL_BODIES[PLACE] as Buffer
  const part = Buffer.from(buffer, byteOffset + behind, bytes.length)
  part.set(bytes)
  return part
}

const kernel = instantiateKernel(KERNEL_MEMORY)
const threadChecksums = new Checksums(kernel, KERNEL_MEMORY, LAYOUT.THREAD_FOLDED, LAYOUT.THREAD_INPUT)

/** Where record batches begin that the thread finds sound which has the sockets. */
export function soundIn(part: Buffer): number[] {
  const found: number[] = []
  findSound(part, kernel, threadChecksums, start => found.push(start))
  return found
}

/** As `inKernel`, looked at by that thread. */
function checkedInKernel(bytes: Buffer): Buffer {
  const part = inKernel(bytes)
  for (const start of soundIn(part)) places.tellSound(PLACE, part.byteOffset + start)
  return part
}

/** Where the bytes of a fetch may stand, which may make no difference. */
export const PLACES = [
  ['in memory of their own', (bytes: Buffer) => bytes],
  ['in the kernel', inKernel],
  ['in the kernel, checked by the thread that read them', checkedInKernel],
] as const

/** A varint written without a thought for speed: seven bits a byte, least first, after zigzag. */
export function varint(value: number): Buffer {
  let zigzag = (BigInt(value) << 1n) ^ (BigInt(value) >> 63n)
  const bytes: number[] = []
  for (; zigzag > 127n; zigzag >>= 7n) bytes.push(Number(zigzag & 127n) | 128)
  return Buffer.from([...bytes, Number(zigzag)])
}

const nullable = (bytes: Buffer | null) => (bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]))

/** The bytes of one record batch, by the protocol's description. */
export function batchBytes(records: readonly PlainRecord[], options: BatchOptions = {}): Buffer {
  const { codec = 'none', producerId = -1, baseOffset = records[0]?.offset ?? 0 } = options
  const lastOffset = options.lastOffset ?? records.at(-1)?.offset ?? baseOffset
  const baseTimestamp = records[0]?.timestamp ?? 0
  const body = records.map(({ offset, timestamp, key, value, headers }) => {
    const parts = [
      Buffer.from([0]),
      ...[varint(timestamp - baseTimestamp), varint(offset - baseOffset), nullable(key), nullable(value)],
      varint(headers.length),
      ...headers.flatMap(([name, bytes]) => [nullable(Buffer.from(name)), nullable(bytes)]),
    ]
    const bytes = Buffer.concat(parts)
    return Buffer.concat([varint(bytes.length), bytes])
  })
  const plain = Buffer.concat(body)
  const packed = options.packed?.(plain) ?? compress(codec, plain)
  const attributes =
    CODEC_IDS[codec] |
    (options.appendTime === undefined ? 0 : 8) |
    (options.transactional ? 16 : 0) |
    (options.control ? 32 : 0)
  const head = Buffer.alloc(61)
  head.writeBigInt64BE(BigInt(baseOffset), 0)
  head.writeInt32BE(49 + packed.length, 8)
  head.writeInt8(2, 16)
  head.writeInt16BE(attributes, 21)
  head.writeInt32BE(lastOffset - baseOffset, 23)
  head.writeBigInt64BE(BigInt(baseTimestamp), 27)
  head.writeBigInt64BE(BigInt(options.appendTime ?? records.at(-1)?.timestamp ?? 0), 35)
  head.writeBigInt64BE(BigInt(producerId), 43)
  head.writeInt16BE(0, 51)
  head.writeInt32BE(0, 53)
  head.writeInt32BE(records.length, 57)
  const bytes = Buffer.concat([head, packed])
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
  return bytes
}

/** A transaction's end, as the coordinator writes it. */
export function marker(offset: number, producerId: number, kind: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1])
  const value = Buffer.from([0, 0, 0, 0, 0, 0])
  return batchBytes([record(offset, null, { key, value })], { producerId, transactional: true, control: true })
}

const load = createRequire(import.meta.url)

/** kafkajs's own decoder of one record batch: it knows no CRC, and only gzip. */
export async function decodedByKafkajs(bytes: Buffer): Promise<PlainRecord[]> {
  const Decoder = load('kafkajs/src/protocol/decoder.js')
  const decode = load('kafkajs/src/protocol/recordBatch/v0/decoder.js')
  const { records } = await decode(new Decoder(bytes))
  return records.map((found: Record<string, unknown>) => ({
    offset: Number(found.offset),
    timestamp: Number(found.timestamp),
    key: found.key,
    value: found.value,
    headers: Object.entries(found.headers as Record<string, Buffer>),
  }))
}
