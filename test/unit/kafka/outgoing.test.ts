import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { javaPartitioner } from '../../../src/kafka/client.ts'
import { deliveryError, protocolTypeOf } from '../../../src/kafka/kafkaErrors.ts'
import { sendRequest, toRequests } from '../../../src/kafka/outgoing.ts'
import { murmur2 } from '../../../src/kafka/wire/murmur2.ts'
import type { OutputRecord } from '../../../src/tasks/task.ts'
import { SEED } from '../support.ts'
import { packOf } from './packOf.ts'

const NAMES = { partials: ['P', 'P1'], results: 'R', deviceStats: 'S', enriched: 'E', deadLetters: 'D' }
const record = (over: Partial<OutputRecord> = {}): OutputRecord => ({
  topic: 'partials',
  partition: 0,
  key: 'k',
  value: Buffer.alloc(10),
  ...over,
})

const keyOf = (message: object) => ('key' in message ? message.key : null)

describe('requests', () => {
  it('gather records by topic, in order, and stay under the size that brokers take', () => {
    const values = Array.from({ length: 200 }, (_, i) => record({ key: String(i), value: Buffer.alloc(9_000) }))
    const requests = toRequests(values, NAMES)
    expect(requests.length).toBeGreaterThan(2)
    const sizes = requests.map(request => request.flatMap(({ messages }) => messages).length * 9_000)
    expect(Math.max(...sizes)).toBeLessThan(1_048_576 - 100_000)
    const keys = requests.flatMap(request => request.flatMap(({ messages }) => messages.map(keyOf)))
    expect(keys).toEqual(values.map(({ key }) => key))
  })
  it('send a record that is too large for any request alone', () => {
    const requests = toRequests([record(), record({ value: Buffer.alloc(2_000_000) }), record()], NAMES)
    expect(requests.map(([first]) => first?.messages.length)).toEqual([1, 1, 1])
  })
  it('name topics, keep tombstones, leave an absent partition to the key', () => {
    const [request] = toRequests([record({ topic: 'deadLetters', partition: null, key: null, value: null })], NAMES)
    expect(request).toMatchObject([{ topic: 'D', messages: [{ partition: null, key: null, value: null }] }])
  })
  it('keep to the size that a topic takes, of texts by their bytes', () => {
    const records = Array.from({ length: 6 }, () =>
      record({ topic: 'enriched', partition: null, value: 'é'.repeat(400) }),
    )
    const sizes = toRequests(records, NAMES, { enriched: 2_000 }).map(([first]) => first?.messages.length)
    expect(sizes).toEqual([2, 2, 2])
  })
  it('hold more than one batch when these go to different partitions', () => {
    const records = Array.from({ length: 4 }, (_, partition) => record({ partition, value: Buffer.alloc(500_000) }))
    expect(toRequests(records, NAMES)).toHaveLength(1)
  })
  it('are none without records', () => {
    expect(toRequests([], NAMES)).toEqual([])
  })
  it('go on in the next when one partition has had its share, whatever the others have', () => {
    const records = [0, 1, 0, 1, 0].map((partition, i) =>
      record({ partition, key: String(i), value: Buffer.alloc(400) }),
    )
    const requests = toRequests(records, NAMES, { partials: 1_100 })
    expect(requests.map(([first]) => first?.messages.map(keyOf))).toEqual([['0', '1', '2', '3'], ['4']])
  })
  it('are at most 8 MiB together', () => {
    const records = Array.from({ length: 20 }, (_, partition) => record({ partition, value: Buffer.alloc(700_000) }))
    const sizes = toRequests(records, NAMES).map(([first]) => first?.messages.length)
    expect(sizes).toEqual([11, 9])
  })
  it('keep packed records together, in their place, with the most that a batch of theirs may come to', () => {
    const packed = packOf(['k', 'v'.repeat(3_000)], ['l', 'w'])
    const requests = toRequests([record(), packed, record({ topic: 'deadLetters' })], NAMES, { enriched: 1_128 })
    expect(requests).toMatchObject([
      [
        { topic: 'P', messages: [{ key: 'k' }] },
        { topic: 'E', messages: [{ packed, maxBatchBytes: 1_000, value: null }] },
        { topic: 'D', messages: [{ key: 'k' }] },
      ],
    ])
  })
  it('ask for all replicas, with the codec named', async () => {
    const asked: unknown[] = []
    const send = async (batch: unknown) => {
      asked.push(batch)
      return []
    }
    const [request = []] = toRequests([record()], NAMES)
    await sendRequest(send, request, 4)
    expect(asked).toEqual([{ acks: -1, compression: 4, topicMessages: request }])
  })
})

it.each([
  // From UtilsTest of the Java client.
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
  ['abc', 479_470_107],
])('the partition of key %s is that of the Java client', (key, hash) => {
  const partitionMetadata = Array.from({ length: 12 }, (_, partitionId) => ({ partitionId, leader: 1 }))
  const message = { key: Buffer.from(key), value: null }
  const partition = javaPartitioner()({ topic: 't', partitionMetadata: partitionMetadata as never, message })
  expect(partition).toBe((hash & 0x7fffffff) % 12)
  expect([murmur2(key), murmur2(Buffer.from(key))]).toEqual([hash & 0x7fffffff, hash & 0x7fffffff])
})

it('the hash of any key is that of kafkajs', () => {
  const theirs = createRequire(import.meta.url)('kafkajs/src/producer/partitioners/default/murmur2.js')
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), key => {
      expect(murmur2(key)).toBe(theirs(key) & 0x7fffffff)
    }),
    { seed: SEED },
  )
})

describe('an error of the broker', () => {
  it.each([
    ['ILLEGAL_GENERATION', 'fenced'],
    ['UNKNOWN_MEMBER_ID', 'fenced'],
    ['REBALANCE_IN_PROGRESS', 'fenced'],
    ['INVALID_PRODUCER_EPOCH', 'fenced'],
    ['NOT_COORDINATOR_FOR_GROUP', 'delivery_failed'],
    ['REQUEST_TIMED_OUT', 'delivery_failed'],
  ])('%s is %s, however deep it is wrapped', (type, code) => {
    const cause = new Error('outer', {
      cause: new Error('middle', { cause: Object.assign(new Error(type), { type }) }),
    })
    expect(protocolTypeOf(cause)).toBe(type)
    expect(deliveryError('x', cause)).toMatchObject({ code, retriable: code === 'delivery_failed' })
  })
})
