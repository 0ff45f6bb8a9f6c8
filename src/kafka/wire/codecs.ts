import { createRequire } from 'node:module'
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Compression } from '../../config/settings.ts'
import { unpackLz4Frame } from './lz4.ts'
import { unpackXerial } from './xerial.ts'

/** Native add-ons are loaded when a batch of theirs is met: most topics have none. */
const load = createRequire(import.meta.url)

/** The number in a record batch's attributes. */
export const CODEC_IDS: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

const NAMES = Object.keys(CODEC_IDS) as readonly Compression[]

/** Of the numbers 0 to 7 that the attributes have room for. */
export function codecName(id: number): Compression | null {
  return NAMES[id] ?? null
}

/**
 * Unpacks the records of a batch. Synchronous: a batch is at most a few MiB, and a thread's round trip would cost more than
 * it gives back.
 * @param maxBytes never more than this is unpacked, whatever the input says of itself
 * @throws RangeError or the codec's own error when the input is damaged or unpacks to more
 */
export function decompress(codec: Compression, bytes: Buffer, maxBytes: number): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gunzipSync(bytes, { maxOutputLength: maxBytes })
    case 'snappy':
      return unpackXerial(bytes, maxBytes, snappy().uncompressSync)
    case 'lz4':
      return unpackLz4Frame(bytes, maxBytes)
    case 'zstd':
      return zstdDecompressSync(bytes, { maxOutputLength: maxBytes })
  }
}

/** Packs the records of a batch, so that every Kafka client can unpack them. */
export function compress(codec: Compression, bytes: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes)
    case 'snappy':
      // Without the framing of the Java client, which reads both.
      return snappy().compressSync(bytes)
    case 'lz4':
      return lz4().compressFrameSync(bytes)
    case 'zstd':
      return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } })
  }
}

type Snappy = {
  compressSync(bytes: Buffer): Buffer
  uncompressSync(bytes: Buffer, options: { asBuffer: true }): Buffer
}

const snappy = (): Snappy => load('snappy')
const lz4 = (): { compressFrameSync(bytes: Buffer): Buffer } => load('lz4-napi')
