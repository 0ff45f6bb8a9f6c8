import { describe, expect, it } from 'vitest'
import { javaPartitioner } from '../../../src/kafka/client.ts'
import { deliveryError, protocolTypeOf } from '../../../src/kafka/kafkaErrors.ts'
import { sendRequest, toRequests } from '../../../src/kafka/outgoing.ts'
import type { OutputRecord } from '../../../src/tasks/task.ts'

const NAMES = { partials: 'P', results: 'R', enriched: 'E', deadLetters: 'D' }
const record = (over: Partial<OutputRecord> = {}): OutputRecord => ({
  topic: 'partials',
  partition: 0,
  key: 'k',
  value: Buffer.alloc(10),
  ...over,
})

describe('requests', () => {
  it('gather records by topic, in order, and stay under the size that brokers take', () => {
    const values = Array.from({ length: 200 }, (_, i) => record({ key: String(i), value: Buffer.alloc(9_000) }))
    const requests = toRequests(values, NAMES)
    expect(requests.length).toBeGreaterThan(2)
    const sizes = requests.map(request => request.flatMap(({ messages }) => messages).length * 9_000)
    expect(Math.max(...sizes)).toBeLessThan(1_048_576 - 100_000)
    const keys = requests.flatMap(request => request.flatMap(({ messages }) => messages.map(({ key }) => key)))
    expect(keys).toEqual(values.map(({ key }) => key))
  })
  it('send a record that is too large for any request alone', () => {
    const requests = toRequests([record(), record({ value: Buffer.alloc(2_000_000) }), record()], NAMES)
    expect(requests.map(([first]) => first?.messages.length)).toEqual([1, 1, 1])
  })
  it('name topics, keep tombstones, leave an absent partition to the key', () => {
    const [request] = toRequests([record({ topic: 'deadLetters', partition: null, key: null, value: null })], NAMES)
    expect(request).toEqual([{ topic: 'D', messages: [{ key: null, value: null }] }])
  })
  it('are none without records', () => {
    expect(toRequests([], NAMES)).toEqual([])
  })
  it('fail when a partition has not answered', async () => {
    const answer = { topicName: 'P', partition: 0, errorCode: 0 }
    const [request = []] = toRequests([record(), record({ partition: 1 })], NAMES)
    await expect(sendRequest(async () => [answer], request)).rejects.toMatchObject({ code: 'delivery_failed' })
    const both = [answer, { ...answer, partition: 1 }]
    expect(await sendRequest(async () => both, request)).toBe(both)
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
])('the partition of key %s is that of the Java client', (key, murmur2) => {
  const partitionMetadata = Array.from({ length: 12 }, (_, partitionId) => ({ partitionId, leader: 1 }))
  const message = { key: Buffer.from(key), value: null }
  const partition = javaPartitioner()({ topic: 't', partitionMetadata: partitionMetadata as never, message })
  expect(partition).toBe((murmur2 & 0x7fffffff) % 12)
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
