import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FetchedRecords } from '../../../../src/kafka/wire/recordBatches.ts'
import { readRecordBatches } from '../../../../src/kafka/wire/recordBatches.ts'
import { WireRecords } from '../../../../src/kafka/wire/records.ts'
import { SEED } from '../../support.ts'
import { batchBytes, decodedByKafkajs, marker, type PlainRecord, record } from './batchBytes.ts'

const RULES = { maxBatchBytes: 1024 * 1024 }
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

const fetched = (bytes: Buffer, from = 0, aborted: { producerId: string; firstOffset: string }[] = []) =>
  readRecordBatches(bytes, from, aborted, RULES)

function recordsOf(found: FetchedRecords, from = 0): PlainRecord[] {
  const cursor = new WireRecords(found.blocks, found.count, from, (found.lastOffset ?? from - 1) + 1)
  const records: PlainRecord[] = []
  const part = (bytes: Uint8Array, start: number, end: number) =>
    start < 0 ? null : Buffer.from(bytes.subarray(start, end))
  while (cursor.next()) {
    records.push({
      offset: cursor.offset,
      timestamp: cursor.timestamp,
      key: part(cursor.keyBytes, cursor.keyStart, cursor.keyEnd),
      value: part(cursor.valueBytes, cursor.valueStart, cursor.valueEnd),
      headers: cursor.headers().map(([name, value]) => [name, value === null ? null : Buffer.from(value)] as const),
    })
  }
  return records
}

const offsets = (found: FetchedRecords, from = 0) => recordsOf(found, from).map(({ offset }) => offset)

const bytes = fc.uint8Array({ maxLength: 80 }).map(array => Buffer.from(array))
const nullable = fc.option(bytes, { freq: 4 })
const plain = fc.record({
  gap: fc.integer({ min: 1, max: 300 }),
  timestamp: fc.integer({ min: 0, max: 8_000_000_000_000 }),
  key: nullable,
  value: nullable,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 12, unit: 'grapheme' }), nullable), { maxLength: 3 }),
})
const batch = fc.tuple(fc.integer({ min: 0, max: 2 ** 50 }), fc.array(plain, { maxLength: 12 })).map(([base, rows]) => {
  let offset = base - 1
  return rows.map(({ gap, ...rest }): PlainRecord => {
    offset += gap
    return { offset, ...rest }
  })
})

describe('a record batch', () => {
  it.each(CODECS)('packed by %s is read as it was written', codec => {
    fc.assert(
      fc.property(batch, records => {
        const found = fetched(batchBytes(records, { codec }))
        expect(found.corrupt).toBeNull()
        expect(recordsOf(found)).toEqual(records)
      }),
      { seed: SEED, numRuns: 150 },
    )
  })

  it('is read as kafkajs reads it, where names of headers are plain and none comes twice', async () => {
    const headers: PlainRecord['headers'] = [
      ['a', Buffer.from('1')],
      ['b', Buffer.from('')],
    ]
    const records = [record(7, 'x', { key: Buffer.from('k'), headers }), record(9, null), record(200, 'y')]
    for (const codec of ['none', 'gzip'] as const) {
      const written = batchBytes(records, { codec })
      expect(recordsOf(fetched(written))).toEqual(await decodedByKafkajs(written))
    }
  })

  it('has the time of the broker where the topic says so', () => {
    const found = fetched(batchBytes([record(0), record(1)], { appendTime: 77 }))
    expect(recordsOf(found).map(({ timestamp }) => timestamp)).toEqual([77, 77])
  })

  it('may hold 130,000 records', () => {
    const found = fetched(batchBytes(Array.from({ length: 130_000 }, (_, i) => record(i))))
    expect([found.count, recordsOf(found).at(-1)?.offset]).toEqual([130_000, 129_999])
  })

  it('that begins before the offset asked for is read from there', () => {
    const found = fetched(batchBytes([record(3), record(4), record(9)]), 4)
    expect(offsets(found, 4)).toEqual([4, 9])
    expect([found.firstOffset, found.lastOffset]).toEqual([3, 9])
  })

  it('that compaction has cut or emptied reaches as far as it did', () => {
    const found = fetched(
      Buffer.concat([batchBytes([record(0)], { lastOffset: 4 }), batchBytes([], { baseOffset: 5, lastOffset: 9 })]),
    )
    expect([offsets(found), found.lastOffset]).toEqual([[0], 9])
  })

  it('cut off by the fetch is left for the next', () => {
    const whole = batchBytes([record(0), record(1)])
    const next = batchBytes([record(2, 'long enough to be cut')])
    for (let cut = 0; cut < next.length; cut++) {
      const found = fetched(Buffer.concat([whole, next.subarray(0, cut)]))
      expect([offsets(found), found.lastOffset, found.corrupt]).toEqual([[0, 1], 1, null])
    }
  })
})

it('a header is the last of its name, as text', () => {
  const headers: PlainRecord['headers'] = [
    ['a', Buffer.from('first')],
    ['b', Buffer.from('gone')],
    ['a', Buffer.from('last, ü')],
    ['b', null],
    ['ab', Buffer.from('')],
    ['', Buffer.from('nameless')],
    ['ü', Buffer.from('not ascii')],
  ]
  const { blocks, count } = fetched(batchBytes([record(0, 'x', { headers }), record(1)]))
  const cursor = new WireRecords(blocks, count, 0, 2)
  const found = () => ['a', 'b', 'ab', '', 'ü', 'c'].map(name => cursor.header(name))
  cursor.next()
  expect(found()).toEqual(['last, ü', null, '', 'nameless', 'not ascii', null])
  expect(cursor.headers().map(([name]) => name)).toEqual(headers.map(([name]) => name))
  const byBytes = (name: string) => {
    const bytes: number[] = []
    for (let byte = cursor.headerByte(name, 0); byte >= 0; byte = cursor.headerByte(name, bytes.length))
      bytes.push(byte)
    return Buffer.from(bytes).toString()
  }
  expect(['a', 'b', 'ab', '', 'ü', 'c'].map(byBytes)).toEqual(found().map(value => value ?? ''))
  cursor.next()
  expect([found(), cursor.headerCount]).toEqual([[null, null, null, null, null, null], 0])
})

it('a cursor lets go of what it has passed', () => {
  const { blocks, count } = fetched(batchBytes([record(0, 'large')], { codec: 'gzip' }))
  const cursor = new WireRecords(blocks, count, 0, 1)
  expect([cursor.next(), cursor.valueBytes.length > 0]).toEqual([true, true])
  expect([cursor.next(), cursor.valueBytes.length, cursor.keyBytes.length, cursor.next()]).toEqual([false, 0, 0, false])
})

describe('transactions', () => {
  const of = (producerId: number, ...list: number[]) =>
    batchBytes(
      list.map(offset => record(offset)),
      { producerId, transactional: true },
    )

  it('that were aborted are left out up to their markers, two that overlap too', () => {
    const log = Buffer.concat([
      ...[of(2, 20), of(1, 21), of(3, 22), marker(23, 1, 'abort'), of(1, 24), marker(25, 2, 'abort')],
      ...[of(2, 26), marker(27, 3, 'commit')],
    ])
    const aborted = [
      { producerId: '2', firstOffset: '12' },
      { producerId: '1', firstOffset: '10' },
    ]
    expect(offsets(fetched(log, 20, aborted), 20)).toEqual([22, 24, 26])
    expect(fetched(log, 20, aborted).lastOffset).toBe(27)
  })

  it('do not end at a record whose key looks like a marker', () => {
    const lookalike = batchBytes([record(1, 'x', { key: Buffer.from([0, 0, 0, 0]) })], {
      producerId: 1,
      transactional: true,
    })
    const log = Buffer.concat([lookalike, of(1, 2), marker(3, 1, 'abort'), of(1, 4)])
    expect(offsets(fetched(log, 0, [{ producerId: '1', firstOffset: '1' }]))).toEqual([4])
  })

  it('leave records outside of any transaction alone', () => {
    const log = Buffer.concat([of(1, 1), batchBytes([record(2)], { producerId: 1 }), marker(3, 1, 'abort')])
    expect(offsets(fetched(log, 0, [{ producerId: '1', firstOffset: '1' }]))).toEqual([2])
  })
})

describe('damage', () => {
  const before = batchBytes([record(0), record(1)])
  const after = batchBytes([record(5), record(6)])

  it('at any byte that the CRC covers is found, and what is before it is read', () => {
    const middle = batchBytes([record(2, 'one'), record(3, 'two'), record(4, 'three')])
    for (let at = 17; at < middle.length; at++) {
      const damaged = Buffer.from(middle)
      damaged[at] = (damaged[at] as number) ^ 0x55
      const found = fetched(Buffer.concat([before, damaged, after]))
      expect(offsets(found)).toEqual([0, 1])
      expect(found.corrupt).toMatchObject({ from: 2, to: 5, bytes: damaged })
      expect(found.corrupt?.reason).toContain('CRC')
    }
  })

  it('in the batch header never throws, and never shows a record that was not written', () => {
    const middle = batchBytes([record(2), record(3), record(4)])
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(middle)
        damaged[at] = (damaged[at] as number) ^ flip
        const found = fetched(Buffer.concat([before, damaged, after]))
        expect(offsets(found).slice(0, 2)).toEqual([0, 1])
        expect(recordsOf(found).every(({ value }) => String(value) === 'v')).toBe(true)
      }),
      { seed: SEED, numRuns: 400 },
    )
  })

  it('in a base offset is found where it overlaps, and what it would have shown is not shown', () => {
    const shifted = (base: number) => {
      const bytes = batchBytes([record(2), record(3), record(4)])
      bytes.writeBigInt64BE(BigInt(base), 0)
      return bytes
    }
    const ahead = fetched(Buffer.concat([before, shifted(4), after]))
    expect(offsets(ahead)).toEqual([0, 1])
    expect(ahead.corrupt).toMatchObject({ from: 2, to: 5, bytes: shifted(4) })
    const behind = fetched(Buffer.concat([before, shifted(0), after]))
    expect(offsets(behind)).toEqual([0, 1])
    expect(behind.corrupt).toMatchObject({ from: 2, to: null })
    // Below all that was asked for, it must not be taken for a batch that is only passed over.
    const far = fetched(Buffer.concat([batchBytes([record(10)]), shifted(3), batchBytes([record(14)])]), 10)
    expect(offsets(far, 10)).toEqual([10])
    expect(far.corrupt).toMatchObject({ from: 11, to: null })
  })

  it('in a base offset is found where it reaches past the end of the log', () => {
    const log = Buffer.concat([before, batchBytes([record(1_000), record(1_001)]), after])
    const found = readRecordBatches(log, 0, [], { ...RULES, highWatermark: 7 })
    expect(offsets(found)).toEqual([0, 1])
    expect(found.corrupt).toMatchObject({ from: 2, to: 5 })
    expect(readRecordBatches(after, 5, [], { ...RULES, highWatermark: 7 }).corrupt).toBeNull()
    expect(readRecordBatches(after, 5, [], { ...RULES, highWatermark: 6 }).corrupt).toMatchObject({ from: 5, to: null })
  })

  it('has no end by a batch that is damaged too', () => {
    const [one, two] = [batchBytes([record(2), record(3)]), batchBytes([record(9)])]
    one.writeInt32BE(77, 23)
    two[two.length - 1] = 7
    expect(fetched(Buffer.concat([before, one, two])).corrupt).toMatchObject({ from: 2, to: null })
    expect(fetched(Buffer.concat([before, one, batchBytes([record(9)])])).corrupt).toMatchObject({ from: 2, to: 9 })
  })

  it('of the last batch of a fetch tells its end where its own fields agree on it', () => {
    const damaged = batchBytes([record(2), record(3)])
    damaged[damaged.length - 1] = 9
    expect(fetched(damaged).corrupt).toMatchObject({ from: 2, to: 4 })
    damaged.writeInt32BE(77, 23)
    expect(fetched(damaged).corrupt).toMatchObject({ from: 2, to: null })
  })

  it('is also a batch whose CRC is right and whose records are not', () => {
    const odd = [
      (records: Buffer) => records.subarray(0, records.length - 1),
      (records: Buffer) => Buffer.concat([records, Buffer.from([0])]),
      (records: Buffer) => Buffer.concat([Buffer.from([0x7f]), records.subarray(1)]),
      () => Buffer.alloc(40, 0xff),
    ]
    for (const packed of odd) {
      const found = fetched(Buffer.concat([before, batchBytes([record(2), record(3)], { packed }), after]))
      expect(found.corrupt).toMatchObject({ from: 2, to: 5 })
      expect(found.corrupt?.reason).toContain('do not fit')
    }
  })

  it('is a format older than record batches', () => {
    const old = Buffer.from(before)
    old.writeInt8(1, 16)
    expect(fetched(old).corrupt?.reason).toContain('format version 1')
    // One short message of it is shorter than the header of a record batch.
    expect(fetched(old.subarray(0, 40)).corrupt?.reason).toContain('format version 1')
  })

  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'is %s that unpacks to more than allowed, or to nothing',
    codec => {
      const large = batchBytes([record(2, 'x'.repeat(3 * 1024 * 1024))], { codec })
      expect(large.length).toBeLessThan(300_000)
      expect(fetched(Buffer.concat([before, large, after])).corrupt).toMatchObject({ from: 2, to: 5 })
      const noise = batchBytes([record(2)], { codec, packed: () => Buffer.from('not packed at all') })
      expect(fetched(Buffer.concat([before, noise, after])).corrupt?.reason).toContain(codec)
    },
  )

  it('is nothing to what fits: batches beyond the bound together are left for the next fetch', () => {
    const of = (offset: number) => batchBytes([record(offset, 'x'.repeat(400_000))], { codec: 'gzip' })
    const found = fetched(Buffer.concat([0, 1, 2, 3, 4, 5].map(of)))
    expect([offsets(found), found.lastOffset, found.corrupt]).toEqual([[0, 1, 2], 2, null])
  })

  it('random bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), array => {
        const found = fetched(Buffer.from(array))
        expect(found.count).toBeGreaterThanOrEqual(0)
      }),
      { seed: SEED, numRuns: 1_000 },
    )
  })
})
