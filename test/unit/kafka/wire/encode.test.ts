import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeProduceRequest,
  produceRequestBytes,
  type WireMessage,
  writeRecordBatch,
} from '../../../../src/kafka/wire/encode.ts'
import { readRecordBatches } from '../../../../src/kafka/wire/recordBatches.ts'
import { WireRecords } from '../../../../src/kafka/wire/records.ts'
import { varintBytes, Writer } from '../../../../src/kafka/wire/writer.ts'
import { SEED } from '../../support.ts'
import { batchBytes, varint } from './batchBytes.ts'

const load = createRequire(import.meta.url)
const STATE = { producerId: -1n, producerEpoch: -1, transactional: false, compression: 0 }

function written(messages: readonly WireMessage[], state = STATE, sequence = -1, now = 7): Buffer {
  const writer = new Writer()
  writeRecordBatch(writer, messages, sequence, state, now)
  return Buffer.from(writer.view())
}

const bytesOf = (part: string | Uint8Array | null) => (part === null ? null : Buffer.from(part))
const part = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }),
  fc.constant(null),
)
const message = fc.record({
  key: part,
  value: part,
  timestamp: fc.integer({ min: 0, max: 8_000_000_000_000 }),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), part), { maxLength: 4 }),
})

describe('a record batch', () => {
  it('is byte for byte what the protocol describes', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 10 }), messages => {
        const plain = messages.map(({ key, value, timestamp, headers }, offset) => ({
          offset,
          timestamp,
          key: bytesOf(key),
          value: bytesOf(value),
          headers: headers.map(([name, text]) => [name, bytesOf(text)] as const),
        }))
        const theirs = batchBytes(plain)
        // What the naive writer does not know: the greatest timestamp, no leader, epoch and sequence.
        theirs.writeBigInt64BE(BigInt(Math.max(...plain.map(({ timestamp }) => timestamp))), 35)
        const ours = written(messages)
        for (const [from, to] of [
          [0, 12],
          [16, 17],
          [21, 51],
          [57, theirs.length],
        ] as const) {
          expect(ours.subarray(from, to)).toEqual(theirs.subarray(from, to))
        }
        expect(ours).toHaveLength(theirs.length)
      }),
      { seed: SEED, numRuns: 300 },
    )
  })

  it.each([0, 1, 2, 3, 4])('with codec %i is read back as it was', compression => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 10 }), messages => {
        const found = readRecordBatches(written(messages, { ...STATE, compression }), 0, [], { maxBatchBytes: 1e6 })
        expect(found.corrupt).toBeNull()
        const cursor = new WireRecords(found.blocks, found.count, 0, messages.length)
        for (const { key, value, timestamp, headers } of messages) {
          expect(cursor.next()).toBe(true)
          const read = (bytes: Uint8Array, start: number, end: number) => (start < 0 ? null : bytes.slice(start, end))
          expect([
            cursor.timestamp,
            bytesOf(read(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)),
            bytesOf(read(cursor.valueBytes, cursor.valueStart, cursor.valueEnd)),
            cursor.headers().map(([name, text]) => [name, bytesOf(text)]),
          ]).toEqual([timestamp, bytesOf(key), bytesOf(value), headers.map(([name, text]) => [name, bytesOf(text)])])
        }
        expect(cursor.next()).toBe(false)
      }),
      { seed: SEED, numRuns: 60 },
    )
  })

  it('without timestamps has the time of its writing', () => {
    const bytes = written([{ value: 'a' }, { value: 'b' }], STATE, -1, 1_234)
    expect([bytes.readBigInt64BE(27), bytes.readBigInt64BE(35)]).toEqual([1_234n, 1_234n])
  })

  it('tells its producer, and that it lies in a transaction', () => {
    const bytes = written([{ value: 'a' }], { ...STATE, producerId: 9n, producerEpoch: 3, transactional: true }, 41)
    expect([bytes.readBigInt64BE(43), bytes.readInt16BE(51), bytes.readInt32BE(53)]).toEqual([9n, 3, 41])
    expect(bytes.readInt16BE(21) & 16).toBe(16)
  })
})

it('a produce request is laid out as kafkajs lays it out', async () => {
  const Encoder = load('kafkajs/src/protocol/encoder.js')
  const topicData = [
    { topic: 't', partitions: [{ partition: 3, firstSequence: 5, messages: [{ key: 'k', value: 'v' }] }] },
    { topic: 'ü', partitions: [] },
  ]
  for (const transactionalId of [null, 'id']) {
    const bytes = Buffer.from(encodeProduceRequest({ acks: -1, timeout: 30_000, transactionalId, topicData }, 7))
    const batch = written([{ key: 'k', value: 'v' }], { ...STATE, transactional: transactionalId !== null }, 5)
    const theirs = new Encoder().writeString(transactionalId).writeInt16(-1).writeInt32(30_000).writeInt32(2)
    theirs.writeString('t').writeInt32(1).writeInt32(3).writeInt32(batch.length).writeBuffer(batch)
    theirs.writeString('ü').writeInt32(0)
    expect(bytes).toEqual(theirs.buffer)
  }
})

it('varints of all sizes are as long as they say, and as the protocol has them', () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer(), fc.integer({ min: -(2 ** 52), max: 2 ** 52 })), value => {
      const writer = new Writer()
      writer.varint(value)
      expect(Buffer.from(writer.view())).toEqual(varint(value))
      expect(varintBytes(value)).toBe(writer.length)
    }),
    { seed: SEED, numRuns: 1_000, examples: [[0], [-1], [63], [64], [-64], [-65], [2 ** 31], [-(2 ** 31)], [2 ** 52]] },
  )
})

it('a batch that outgrows the buffer goes on in a larger one', () => {
  const value = 'x'.repeat(100_000)
  const bytes = written(Array.from({ length: 30 }, () => ({ value })))
  const found = readRecordBatches(bytes, 0, [], { maxBatchBytes: 1e7 })
  expect([found.count, found.corrupt]).toEqual([30, null])
})

it('a request is whole wherever in it the buffer comes to its end', () => {
  for (let size = 400; size < 4_000; size += 7) {
    const value = 'x'.repeat(size)
    const partitions = [0, 1, 2, 3].map(partition => ({ partition, messages: [{ key: null, value }] }))
    const request = { acks: -1, timeout: 1_000, topicData: [{ topic: 't', partitions }] }
    const writer = new Writer(256 + produceRequestBytes(request))
    writer.skip(256)
    encodeProduceRequest(request, 0, writer)
    const found = Buffer.from(writer.view()).toString('latin1').split(value).length - 1
    expect(found, String(size)).toBe(4)
  }
})
