import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Compression } from '../../../../src/config/settings.ts'
import { ATTRIBUTES_AT, CRC_AT, claimedEnd, LENGTH_AT, RECORDS_AT } from '../../../../src/kafka/wire/batchHeader.ts'
import { compress, decompress } from '../../../../src/kafka/wire/codecs.ts'
import { FetchedBatch, FetchedBytes } from '../../../../src/kafka/wire/fetchedBatch.ts'
import { SEED } from '../../support.ts'
import { batchBytes, PLACES, type PlainRecord, record } from './batchBytes.ts'
import { parsePlainly } from './plainParser.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const MAX_BYTES = 64 * 1024 * 1024
const BASE = 100
const LAST = 109

/** Records with all that the format knows: nulls, empty and long parts, headers, gaps, times before the first. */
const RECORDS: readonly PlainRecord[] = [
  record(100, 'the first', { key: Buffer.from('k'), timestamp: 1_700_000_000_000 }),
  record(101, null, { key: Buffer.from(''), timestamp: 1_699_999_000_000 }),
  record(104, '', { headers: [['name', Buffer.from('value')]], timestamp: 1_700_000_300_000 }),
  record(105, 'x'.repeat(300), { key: Buffer.alloc(70, 'k'), timestamp: 1_700_000_000_000 }),
  record(LAST, 'the last', {
    headers: [
      ['', null],
      ['twice', Buffer.alloc(0)],
      ['twice', null],
    ],
    timestamp: 5,
  }),
]
const AFTER = batchBytes([record(200, 'behind')])

type Change = { readonly at: number; readonly bytes: Uint8Array; readonly cut: number }

/** Bytes written over others, and bytes cut out: most hurt what the varints there mean. */
const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(2_000),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 6 }),
    // The greatest and the least number, one without an end, and -1.
    fc
      .constantFrom([0xfe, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff, 0xff, 0x0f], Array(11).fill(0xff), [1])
      .map(list => Uint8Array.from(list)),
  ),
  cut: fc.constantFrom(0, 0, 0, 1, 7),
})

function changed(bytes: Buffer, changes: readonly Change[]): Buffer {
  let result = Buffer.from(bytes)
  for (const { at, bytes: over, cut } of changes) {
    const start = at % Math.max(result.length, 1)
    result.set(over.subarray(0, result.length - start), start)
    result = Buffer.concat([result.subarray(0, start), result.subarray(start + cut)])
  }
  return result
}

function withSoundCrc(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT)
  return batch
}

let placed: (bytes: Buffer) => Buffer = bytes => bytes

function fetched(bytes: Buffer, from = BASE): FetchedBatch {
  const messages = new FetchedBytes(placed(bytes))
  return new FetchedBatch('t', String(from), { partition: 0, highWatermark: '1000', messages })
}

/** All that a reader is shown. Every range has to lie within the buffer that holds it. */
function read(batch: FetchedBatch): PlainRecord[] {
  const cursor = batch.records()
  const records: PlainRecord[] = []
  const part = (bytes: Uint8Array, start: number, end: number) => {
    if (start === -1) return null
    expect(start >= 0 && start <= end && end <= bytes.length).toBe(true)
    return Buffer.from(bytes.subarray(start, end))
  }
  while (cursor.next()) {
    records.push({
      offset: cursor.offset,
      timestamp: cursor.timestamp,
      key: part(cursor.keyBytes, cursor.keyStart, cursor.keyEnd),
      value: part(cursor.valueBytes, cursor.valueStart, cursor.valueEnd),
      headers: cursor.headers().map(([name, value]) => [name, value === null ? null : Buffer.from(value)] as const),
    })
  }
  expect(records.length).toBe(cursor.count)
  return records
}

/** Reads one batch and the sound one behind it, and holds it against what a plain parser makes of the same body. */
function expectJudgedAsByPlainParser(batch: Buffer, body: Buffer | null): void {
  const count = batch.readInt32BE(57)
  const lastOffset = BASE + Math.max(0, batch.readInt32BE(23))
  const base = { offset: BASE, timestamp: RECORDS[0]?.timestamp ?? 0, count, lastOffset }
  const records = body === null ? null : parsePlainly(body, base)
  const found = fetched(Buffer.concat([batch, AFTER]))
  if (records === null) {
    expect(found.corrupt).toMatchObject({ from: BASE, reason: expect.stringMatching(/do not fit|cannot be unpacked/) })
    expect([read(found), found.nextOffset]).toEqual([[], BASE])
  } else {
    expect(found.corrupt).toBeNull()
    expect(read(found)).toEqual([...records, record(200, 'behind')])
    expect(found.nextOffset).toBe(201)
  }
}

function unpacked(codec: Compression, bytes: Buffer): Buffer | null {
  try {
    return decompress(codec, bytes, MAX_BYTES)
  } catch {
    return null
  }
}

describe.each(PLACES)('%s', (_, place) => {
  beforeEach(() => {
    placed = place
  })

  describe.each(CODECS)('a batch packed by %s whose CRC is right', codec => {
    const runs = { seed: SEED, numRuns: codec === 'none' ? 400 : 100 }

    it('and whose records are not is damage as a whole, or what it says', () => {
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => {
          let body: Buffer = Buffer.alloc(0)
          const packed = (records: Buffer) => {
            body = changed(records, changes)
            return compress(codec, body)
          }
          expectJudgedAsByPlainParser(batchBytes(RECORDS, { codec, packed }), body)
        }),
        runs,
      )
    })

    it('and whose packing is not is damage, or what it unpacks to', () => {
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => {
          const packed = (records: Buffer) => changed(compress(codec, records), changes)
          const batch = batchBytes(RECORDS, { codec, packed })
          expectJudgedAsByPlainParser(batch, unpacked(codec, batch.subarray(RECORDS_AT)))
        }),
        runs,
      )
    })
  })

  describe('a batch header', () => {
    const EXTREMES = [0x7fffffff, -0x80000000, -1, 0, 1, 4, 6, 9, 10]

    it('with any count is damage unless it is the right one', () => {
      for (const count of [...EXTREMES, RECORDS.length]) {
        const batch = batchBytes(RECORDS)
        batch.writeInt32BE(count, 57)
        const found = fetched(Buffer.concat([withSoundCrc(batch), AFTER]))
        expect([count, found.corrupt === null]).toEqual([count, count === RECORDS.length])
      }
    })

    it('with any last delta below that of its last record is damage', () => {
      for (const delta of EXTREMES) {
        const batch = batchBytes(RECORDS)
        batch.writeInt32BE(delta, 23)
        const found = fetched(withSoundCrc(batch))
        const sound = delta >= LAST - BASE && BASE + delta < 1_000
        expect([delta, found.corrupt === null, read(found).length]).toEqual([delta, sound, sound ? RECORDS.length : 0])
      }
    })

    it('with any attributes is what they say, or damage: never records of another packing', () => {
      for (let attributes = 0; attributes < 256; attributes++) {
        const batch = batchBytes(RECORDS)
        batch.writeInt16BE(attributes, ATTRIBUTES_AT)
        const found = fetched(withSoundCrc(batch))
        const [packing, isControl] = [attributes & 7, (attributes & 32) !== 0]
        expect([attributes, found.corrupt === null]).toEqual([attributes, packing === 0])
        expect(read(found).length).toBe(packing === 0 && !isControl ? RECORDS.length : 0)
      }
    })

    it('with any length neither throws nor shows records that were not written', () => {
      const written = new Map([...RECORDS, record(200, 'behind')].map(each => [each.offset, each]))
      fc.assert(
        fc.property(fc.oneof(fc.integer({ min: -70, max: 1_500 }), fc.constantFrom(...EXTREMES)), length => {
          const batch = batchBytes(RECORDS)
          batch.writeInt32BE(length, LENGTH_AT)
          for (const shown of read(fetched(Buffer.concat([batch, AFTER]))))
            expect(written.get(shown.offset)).toEqual(shown)
        }),
        { seed: SEED, numRuns: 500 },
      )
    })
  })
})

describe('an end that headers claim', () => {
  it('is that of the last whole batch', () => {
    const log = Buffer.concat([batchBytes(RECORDS), AFTER])
    expect(claimedEnd(log)).toBe(201)
    for (const cut of [1, 40, AFTER.length]) expect(claimedEnd(log.subarray(0, log.length - cut))).toBe(LAST + 1)
    expect(claimedEnd(Buffer.alloc(0))).toBeNull()
  })

  it('is believed only behind the offset asked for and up to the end of the log', () => {
    const claim = (from: number, delta: number) => {
      const batch = batchBytes(RECORDS)
      batch.writeInt32BE(delta, 23)
      return fetched(batch, from).claimedEnd
    }
    expect([claim(100, 9), claim(109, 9), claim(110, 9), claim(100, 899), claim(100, 900), claim(100, -5)]).toEqual([
      ...[110, 110, null, 1_000, null, null],
    ])
  })

  it('of any bytes is found without going round in circles', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), array => {
        const bytes = Buffer.from(array)
        // The magic where it is looked for, so that lengths decide.
        if (bytes.length > 16) bytes[16] = 2
        const end = claimedEnd(bytes)
        expect(end === null || Number.isFinite(end)).toBe(true)
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })
})
