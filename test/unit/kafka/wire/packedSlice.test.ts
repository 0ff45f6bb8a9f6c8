import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeProduceRequest, type WireMessage, writeRecordBatch } from '../../../../src/kafka/wire/encode.ts'
import { murmur2 } from '../../../../src/kafka/wire/murmur2.ts'
import { PackedSlice, slicesOf } from '../../../../src/kafka/wire/packedSlice.ts'
import { readRecordBatches } from '../../../../src/kafka/wire/recordBatches.ts'
import { Writer } from '../../../../src/kafka/wire/writer.ts'
import { SEED } from '../../support.ts'
import { packOf } from '../packOf.ts'

const STATE = { producerId: 9n, producerEpoch: 3, transactional: true, compression: 0 }
const NOW = 1_694_479_950_000

const text = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map(given => given.toWellFormed()) },
  // Around the lengths at which a varint takes another byte.
  { weight: 2, arbitrary: fc.constantFrom(63, 64).map(length => 'x'.repeat(length)) },
  { weight: 1, arbitrary: fc.constantFrom(8_191, 8_192).map(length => 'x'.repeat(length)) },
)
const headers = fc.array(fc.tuple(text, fc.option(fc.oneof(fc.uint8Array({ maxLength: 80 }), text))), { maxLength: 2 })
const records = fc.array(fc.tuple(text, text, headers), { minLength: 1, maxLength: 70 })

function bytesOf(messages: readonly WireMessage[] | PackedSlice, compression = 0): Buffer {
  const writer = new Writer()
  writeRecordBatch(writer, messages, 41, { ...STATE, compression }, NOW)
  return Buffer.from(writer.view())
}

const asMessages = (given: readonly (readonly [string, string, [string, string | Uint8Array | null][]])[]) =>
  given.map(([key, value, own]): WireMessage => ({ key, value, headers: own }))

it('a batch of packed records is byte for byte that of the same records one by one, with every codec', () => {
  fc.assert(
    fc.property(records, fc.nat(4), (given, compression) => {
      const packed = packOf(...given)
      const all = Int32Array.from(given.keys())
      const slice = new PackedSlice(packed, all, packed.byteLength)
      const wanted = bytesOf(asMessages(given), compression)
      expect(bytesOf(slice, compression)).toEqual(wanted)
      // For one partition they are a batch as they stand.
      const own = slicesOf(packed, 1, 1e9).get(0) ?? []
      expect(own.map(({ isRun, byteLength }) => [isRun, byteLength])).toEqual([[true, packed.byteLength]])
      expect(own.map(run => bytesOf(run, compression))).toEqual([wanted])
    }),
    { seed: SEED, numRuns: 60 },
  )
})

it('every record goes to the partition of its key, in order, in batches that keep to their size', () => {
  fc.assert(
    fc.property(
      records,
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 200, max: 20_000 }),
      (given, count, most) => {
        const packed = packOf(...given)
        const messages = asMessages(given)
        const slices = slicesOf(packed, count, most)
        for (let partition = 0; partition < count; partition++) {
          const wanted = messages.filter(({ key }) => murmur2(key as string) % count === partition)
          const own = slices.get(partition) ?? []
          const indices = own.flatMap(slice => [...slice.indices])
          expect(indices.map(index => messages[index])).toEqual(wanted)
          for (const slice of own) {
            const found = readRecordBatches(bytesOf(slice), 0, [], { maxBatchBytes: 1e7 })
            expect([found.corrupt, found.count]).toEqual([null, slice.length])
            // A batch's own header comes beside what its records may come to.
            if (slice.length > 1) expect(bytesOf(slice).length - 61).toBeLessThanOrEqual(most)
          }
        }
      },
    ),
    { seed: SEED, numRuns: 60 },
  )
})

it('a batch takes as many records as it has room for', () => {
  const packed = packOf(...Array.from({ length: 100 }, () => ['k', 'v'.repeat(200)] as const))
  const slices = slicesOf(packed, 1, 1_100).get(0) ?? []
  expect(slices.map(({ length }) => length)).toEqual(Array.from({ length: 20 }, () => 5))
})

it('many records of one partition are batches as they stand, each but the last almost as large as brokers take them', () => {
  const given = Array.from({ length: 500 }, (_, i) => ['k', String(i).repeat(2_000), [['h', 'v']]] as const)
  const packed = packOf(...given)
  const own = slicesOf(packed, 12, 768 * 1024).get(murmur2('k') % 12) ?? []
  expect(own.map(({ isRun }) => isRun)).toEqual(own.map(() => true))
  expect(own.flatMap(({ indices }) => [...indices])).toEqual([...given.keys()])
  for (const [i, run] of own.entries()) {
    const messages = [...run.indices].map(index => {
      const [key, value, headers] = given[index] as (typeof given)[number]
      return { key, value, headers }
    })
    expect(bytesOf(run).equals(bytesOf(messages))).toBe(true)
    if (i < own.length - 1) expect(run.byteLength).toBeGreaterThan(700 * 1024)
  }
})

it('where a run is too large for its topic all are cut anew, and so they are with a record too large to go with others', () => {
  const packed = packOf(...[10, 700_000, 10, 700_000, 10, 10].map(length => ['k', 'v'.repeat(length)] as const))
  const lengthsOf = (most: number) =>
    (slicesOf(packed, 1, most).get(0) ?? []).map(({ length, isRun }) => [length, isRun])
  expect(lengthsOf(2_000_000)).toEqual([
    [4, true],
    [2, true],
  ])
  expect(lengthsOf(768 * 1024)).toEqual([
    [3, false],
    [3, false],
  ])
  expect(lengthsOf(100_000)).toEqual([
    [1, false],
    [1, false],
    [1, false],
    [1, false],
    [2, false],
  ])
})

it('a produce request holds batches of both kinds', () => {
  const packed = packOf(['a', '1'], ['b', '2'])
  const [slice] = slicesOf(packed, 1, 1_000).get(0) ?? []
  const messages = [
    { key: 'a', value: '1' },
    { key: 'b', value: '2' },
  ]
  const requestOf = (batch: readonly WireMessage[] | PackedSlice) =>
    encodeProduceRequest(
      { acks: -1, timeout: 1, topicData: [{ topic: 't', partitions: [{ partition: 0, messages: batch }] }] },
      NOW,
    )
  expect(slice === undefined ? null : requestOf(slice)).toEqual(requestOf(messages))
})
