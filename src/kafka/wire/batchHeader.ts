import type { Checksums } from './checksum.ts'

/**
 * A record batch of version 2 (all numbers big-endian): base offset i64, length i32 (of what follows), leader epoch i32,
 * magic i8, CRC-32C u32 (of what follows), attributes i16, last offset delta i32, base timestamp i64, max timestamp i64,
 * producer id i64, producer epoch i16, base sequence i32, record count i32, records.
 */
export const LENGTH_AT = 8
export const MAGIC_AT = 16
export const CRC_AT = 17
export const ATTRIBUTES_AT = 21
export const LAST_OFFSET_DELTA_AT = 23
export const BASE_TIMESTAMP_AT = 27
export const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
export const COUNT_AT = 57
export const RECORDS_AT = 61

export const LOG_OVERHEAD = 12
/** All formats have these first bytes in common: up to the one that tells the format. */
export const HEAD_BYTES = 17
const MAGIC = 2
export const CODEC_MASK = 0x07
export const LOG_APPEND_TIME = 0x08
export const TRANSACTIONAL = 0x10
export const CONTROL = 0x20

export type BatchHeader = {
  readonly start: number
  readonly end: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly attributes: number
  readonly producerId: string
}

/** Null when the batch is cut off; a reason when its own length cannot be believed. */
export function readHeader(bytes: Buffer, start: number): BatchHeader | { readonly reason: string } | null {
  const baseOffset = int64(bytes, start)
  const length = bytes.readInt32BE(start + LENGTH_AT)
  const end = start + LOG_OVERHEAD + length
  const magic = bytes.readInt8(start + MAGIC_AT)
  if (magic !== MAGIC)
    return { reason: `format version ${magic}: only version 2 (of Kafka 0.11 and later) can be read` }
  if (length < RECORDS_AT - LOG_OVERHEAD || !Number.isSafeInteger(baseOffset) || baseOffset < 0) {
    return { reason: `a batch of ${length} bytes at offset ${baseOffset}` }
  }
  if (end > bytes.length) return null
  return {
    start,
    end,
    baseOffset,
    lastOffset: baseOffset + Math.max(0, bytes.readInt32BE(start + LAST_OFFSET_DELTA_AT)),
    attributes: bytes.readInt16BE(start + ATTRIBUTES_AT),
    producerId: bytes.readBigInt64BE(start + PRODUCER_ID_AT).toString(),
  }
}

export function hasItsCrc(bytes: Buffer, { start, end }: BatchHeader, checksums: Checksums): boolean {
  return checksums.of(bytes, start + ATTRIBUTES_AT, end) === bytes.readUInt32BE(start + CRC_AT)
}

/**
 * One past the last offset of the whole batches at the front, by their headers alone: nothing is checked, so it may be
 * wrong. Null when there is none.
 */
export function claimedEnd(bytes: Buffer): number | null {
  let end: number | null = null
  for (let at = 0; at + RECORDS_AT <= bytes.length; ) {
    const next = at + LOG_OVERHEAD + bytes.readInt32BE(at + LENGTH_AT)
    if (bytes[at + MAGIC_AT] !== MAGIC || next < at + RECORDS_AT || next > bytes.length) break
    end = int64(bytes, at) + bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT) + 1
    at = next
  }
  return end
}

export function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
