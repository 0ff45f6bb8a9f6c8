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
      expect(bytesOf(slice, compression)).toEqual(bytesOf(asMessages(given), compression))
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
