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

type Sequence = { readonly literals: Uint8Array; readonly reach: number; readonly length: number }
type Lz4Block = { readonly isPacked: boolean; readonly sequences: readonly Sequence[] }

const MIN_MATCH = 4
const MOST_DISTANCE = 65_535

/** Of a token: how many follow where its half is not enough. */
function lengthBytes(length: number): number[] {
  if (length < 15) return []
  return [...Array(Math.floor((length - 15) / 255)).fill(255), (length - 15) % 255]
}

/** A frame by the format's description, byte after byte, and what it unpacks to. */
function lz4Frame(blocks: readonly Lz4Block[], isLinked: boolean): { frame: Buffer; plain: Buffer } {
  const frame: number[] = [0x04, 0x22, 0x4d, 0x18, isLinked ? 0x40 : 0x60, 0x70, 0]
  const plain: number[] = []
  for (const { isPacked, sequences } of blocks) {
    const packed: number[] = []
    const first = plain.length
    for (const { literals, reach, length } of sequences) {
      plain.push(...literals)
      const back = Math.min(MOST_DISTANCE, plain.length - (isLinked ? 0 : first))
      const match = back === 0 ? 0 : length
      packed.push((Math.min(literals.length, 15) << 4) | Math.min(Math.max(match - MIN_MATCH, 0), 15))
      packed.push(...lengthBytes(literals.length), ...literals)
      // What has nothing to reach back to is a block's last sequence.
      if (back === 0) break
      const distance = 1 + (reach % back)
      packed.push(distance & 255, distance >> 8, ...lengthBytes(match - MIN_MATCH))
      for (let i = 0; i < match; i++) plain.push(plain[plain.length - distance] as number)
    }
    const body = isPacked ? packed : plain.slice(first)
    const word = Buffer.alloc(4)
    word.writeUInt32LE(isPacked ? body.length : (0x8000_0000 | body.length) >>> 0)
    if (body.length > 0) frame.push(...word, ...body)
  }
  return { frame: Buffer.from([...frame, 0, 0, 0, 0]), plain: Buffer.from(plain) }
}

const length = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 4, max: 40 }) }, fc.integer({ min: 4, max: 3_000 }))
const reach = fc.oneof(fc.nat(20), fc.nat(MOST_DISTANCE))
const literals = fc.oneof({ weight: 9, arbitrary: fc.uint8Array({ maxLength: 40 }) }, fc.uint8Array({ maxLength: 600 }))
const lz4Blocks = fc.array(
  fc.record({ isPacked: fc.boolean(), sequences: fc.array(fc.record({ literals, reach, length }), { maxLength: 12 }) }),
  { maxLength: 5 },
)

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

  it('unpacks whatever blocks a frame may have, each by itself or linked to those before', () => {
    fc.assert(
      fc.property(lz4Blocks, fc.boolean(), (blocks, isLinked) => {
        const { frame, plain } = lz4Frame(blocks, isLinked)
        expect(decompress('lz4', frame, plain.length).equals(plain)).toBe(true)
        if (plain.length > 0) expect(() => decompress('lz4', frame, plain.length - 1)).toThrow('unpacks to more than')
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  it('reaches back as far as the format does, and into other blocks only where they are linked', () => {
    const before = { literals: Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 251)), reach: 0, length: 4 }
    const after = { literals: Buffer.alloc(0), reach: MOST_DISTANCE - 1, length: 1_000 }
    for (const isPacked of [true, false]) {
      const blocks = [
        { isPacked, sequences: [before] },
        { isPacked: true, sequences: [after] },
      ]
      const { frame, plain } = lz4Frame(blocks, true)
      expect(decompress('lz4', frame, MiB).equals(plain)).toBe(true)
      frame[4] = 0x60
      expect(() => decompress('lz4', frame, MiB)).toThrow('an LZ4 block is damaged')
    }
  })

  it('takes blocks as large as the format has, and no larger', () => {
    const most = 4 * MiB
    const framed = (block: Buffer) => {
      const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0, 0, 0, 0, 0])
      head.writeUInt32LE(block.length, 7)
      return Buffer.concat([head, block, Buffer.alloc(4)])
    }
    // One byte, again and again.
    const run = (length: number) => {
      return framed(Buffer.from([0x1f, 0x78, 1, 0, ...lengthBytes(length - 1 - MIN_MATCH)]))
    }
    expect(decompress('lz4', run(most), 2 * most).equals(Buffer.alloc(most, 'x'))).toBe(true)
    const larger = run(most + 1)
    expect(() => decompress('lz4', larger, 2 * most)).toThrow(`an LZ4 block unpacks to more than ${most} bytes`)
    expect(() => decompress('lz4', larger, most - 1)).toThrow(`unpacks to more than ${most - 1} bytes`)
    const long = framed(Buffer.alloc(most + 1))
    expect(() => decompress('lz4', long, 2 * most)).toThrow(`an LZ4 block of ${most + 1} bytes`)
  })
})
