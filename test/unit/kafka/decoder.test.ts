import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { chooseDecoder } from '../../../src/kafka/decoder.ts'
import { FetchedBatch, FetchedBytes } from '../../../src/kafka/wire/fetchedBatch.ts'
import { WireRecords } from '../../../src/kafka/wire/records.ts'
import type { RecordBatch } from '../../../src/tasks/recordBatch.ts'
import { SEED } from '../support.ts'
import { batchBytes, type PlainRecord, record } from './wire/batchBytes.ts'

afterEach(() => chooseDecoder('own'))

function recordsFrom(from: number, bytes: Buffer): RecordBatch {
  const data = { partition: 0, highWatermark: String(2 ** 52), messages: new FetchedBytes(bytes) }
  return new FetchedBatch('t', String(from), data).records()
}

function read(records: RecordBatch, names: readonly string[] = []) {
  const part = (bytes: Uint8Array, start: number, end: number) =>
    start < 0 ? null : Buffer.from(bytes.subarray(start, end))
  const found: unknown[] = []
  while (records.next()) {
    found.push({
      offset: records.offset,
      timestamp: records.timestamp,
      key: part(records.keyBytes, records.keyStart, records.keyEnd),
      value: part(records.valueBytes, records.valueStart, records.valueEnd),
      headers: records.headers().map(([name, value]) => [name, value === null ? null : Buffer.from(value)]),
      headerCount: records.headerCount,
      last: names.map(name => records.header(name)),
    })
  }
  return { found, count: records.count, baseOffset: records.baseOffset, nextOffset: records.nextOffset }
}

const NAMES = ['source.topic', 'a', 'ü', '']
const bytes = fc.option(
  fc.uint8Array({ maxLength: 200 }).map(array => Buffer.from(array)),
  { freq: 4 },
)
const plain = fc.record({
  gap: fc.integer({ min: 1, max: 300 }),
  timestamp: fc.integer({ min: 0, max: 8_000_000_000_000 }),
  key: bytes,
  value: bytes,
  headers: fc.uniqueArray(fc.tuple(fc.constantFrom(...NAMES), bytes), { selector: ([name]) => name }),
})
const batches = fc.tuple(fc.nat(2 ** 50), fc.array(fc.array(plain, { minLength: 1, maxLength: 6 }), { maxLength: 3 }))

describe('records decoded by kafkajs', () => {
  it('are those that we read', () => {
    fc.assert(
      fc.property(
        batches,
        fc.constantFrom('none', 'gzip', 'snappy', 'lz4', 'zstd'),
        fc.nat(700),
        ([base, rows], codec, skip) => {
          let offset = base
          const log = Buffer.concat(
            rows.map(row => {
              const records = row.map(({ gap, ...rest }): PlainRecord => {
                offset += gap
                return { offset, ...rest }
              })
              return batchBytes(records, { codec })
            }),
          )
          chooseDecoder('own')
          const ours = read(recordsFrom(base + skip, log), NAMES)
          chooseDecoder('kafkajs')
          const theirs = recordsFrom(base + skip, log)
          expect(theirs).not.toBeInstanceOf(WireRecords)
          expect(read(theirs, NAMES)).toEqual(ours)
        },
      ),
      { seed: SEED, numRuns: 200 },
    )
  })

  it("have the broker's time where the topic says so, and the last of several headers of a name", () => {
    const headers: PlainRecord['headers'] = [
      ['a', Buffer.from('1')],
      ['b', Buffer.from('2')],
      ['a', null],
      ['b', Buffer.from('3')],
    ]
    chooseDecoder('kafkajs')
    const { found } = read(recordsFrom(7, batchBytes([record(7, 'x', { headers })], { appendTime: 77 })), [
      'a',
      'b',
      'c',
    ])
    expect(found).toMatchObject([{ offset: 7, timestamp: 77, headerCount: 4, last: [null, '3', null] }])
  })

  it('are as few as ours where a batch is damaged', () => {
    const damaged = batchBytes([record(2)])
    damaged[damaged.length - 1] = 9
    chooseDecoder('kafkajs')
    expect(read(recordsFrom(0, Buffer.concat([batchBytes([record(0), record(1)]), damaged])))).toMatchObject({
      count: 2,
      nextOffset: 2,
      found: [{ offset: 0 }, { offset: 1 }],
    })
  })
})
