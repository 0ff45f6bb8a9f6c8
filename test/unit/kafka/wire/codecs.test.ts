import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compress, decompress } from '../../../../src/kafka/wire/codecs.ts'
import { SEED } from '../../support.ts'

const load = createRequire(import.meta.url)
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const MiB = 1024 * 1024

const texts = fc.oneof(
  fc.uint8Array({ maxLength: 3_000 }).map(array => Buffer.from(array)),
  fc.tuple(fc.string({ maxLength: 20 }), fc.nat(20_000)).map(([text, times]) => Buffer.from(text.repeat(times))),
)

describe.each(CODECS)('%s', codec => {
  it('unpacks what it packs', () => {
    fc.assert(
      fc.property(texts, bytes => {
        expect(decompress(codec, compress(codec, bytes), MiB).equals(bytes)).toBe(true)
      }),
      { seed: SEED, numRuns: 100 },
    )
  })

  // There is nothing to unpack.
  if (codec === 'none') return

  it('unpacks up to its bound and not a byte more', () => {
    const packed = compress(codec, Buffer.alloc(100_000, 'ab'))
    expect(decompress(codec, packed, 100_000)).toHaveLength(100_000)
    expect(() => decompress(codec, packed, 99_999)).toThrow()
  })

  it('cut off anywhere is an error', () => {
    const packed = compress(codec, Buffer.from('a text that is packed, and packed, and packed'))
    for (let length = 0; length < packed.length; length++) {
      expect(() => decompress(codec, packed.subarray(0, length), MiB)).toThrow()
    }
  })
})

describe('snappy', () => {
  it('unpacks the framing of the Java client, of one block and of several', () => {
    const { compressSync } = load('snappy')
    const block = (text: string) => {
      const packed: Buffer = compressSync(Buffer.from(text))
      const length = Buffer.alloc(4)
      length.writeInt32BE(packed.length)
      return Buffer.concat([length, packed])
    }
    const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    expect(String(decompress('snappy', Buffer.concat([header, block('one')]), MiB))).toBe('one')
    expect(String(decompress('snappy', Buffer.concat([header, block('one'), block('two')]), MiB))).toBe('onetwo')
    expect(() => decompress('snappy', Buffer.concat([header, block('one'), block('two')]), 5)).toThrow('more than 5')
  })
})

describe('lz4', () => {
  const { compressFrameSync, decompressFrameSync } = load('lz4-napi')

  it('unpacks frames with checksums, and as the library does', () => {
    fc.assert(
      fc.property(texts, fc.boolean(), fc.boolean(), (bytes, contentChecksum, blockChecksums) => {
        const frame = compressFrameSync(bytes, { contentChecksum, blockChecksums })
        expect(decompress('lz4', frame, MiB).equals(decompressFrameSync(frame))).toBe(true)
      }),
      { seed: SEED, numRuns: 100 },
    )
  })

  it('never reads or writes outside, whatever the bytes', () => {
    const frame: Buffer = compressFrameSync(Buffer.from('abcabcabcabc'.repeat(50)))
    fc.assert(
      fc.property(fc.nat(frame.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(frame)
        damaged[at] = (damaged[at] as number) ^ flip
        try {
          expect(decompress('lz4', damaged, 10_000).length).toBeLessThanOrEqual(10_000)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
      { seed: SEED, numRuns: 500 },
    )
  })
})
