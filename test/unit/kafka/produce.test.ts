import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createSendMessages,
  type Message,
  nextSequence,
  type PackedMessage,
  type SendParts,
  type SendRequest,
} from '../../../src/kafka/produce.ts'
import type { ProduceRequest } from '../../../src/kafka/wire/encode.ts'
import { SEED } from '../support.ts'
import { FakeBrokers } from './fakeBrokers.ts'
import { packOf } from './packOf.ts'

const createRetry = createRequire(import.meta.url)('kafkajs/src/retry/index.js')
const RETRY = { initialRetryTime: 1, maxRetryTime: 1, retries: 60 }

type Kind = 'plain' | 'idempotent' | 'transactional'

function sender(
  brokers: FakeBrokers,
  kind: Kind = 'idempotent',
  retries = RETRY.retries,
  onAnswered: SendParts['onAnswered'] = () => {},
) {
  const added: string[][] = []
  const eosManager = {
    isInitialized: () => kind !== 'plain',
    isTransactional: () => kind === 'transactional',
    getTransactionalId: () => 'id',
    getProducerId: () => 7,
    getProducerEpoch: () => 1,
    addPartitionsToTransaction: async (
      topics: readonly { topic: string; partitions: readonly { partition: number }[] }[],
    ) =>
      void added.push(topics.flatMap(({ topic, partitions }) => partitions.map(p => `${topic}/${p.partition}`)).sort()),
  }
  const retrier = createRetry({ ...RETRY, retries })
  const send = createSendMessages({ cluster: brokers, eosManager, retrier, partitioner: () => 1, onAnswered })
  return { send, added }
}

const request = (messages: readonly (Message | PackedMessage)[], topic = 't'): SendRequest => ({
  acks: -1,
  topicMessages: [{ topic, messages }],
})
/** Of partitions 0 to 3 of four; the first two are also those of partitions 0 and 1 of two. */
const KEYS = ['21', 'd', 'foobar', 'abc'] as const

const to = (partition: number, ...values: string[]) => values.map(value => ({ value, partition }))

describe('messages', () => {
  it('keep their order; the partition named wins over the key, the key over chance', async () => {
    const brokers = new FakeBrokers({ t: [0, 0, 0] })
    const answers = await sender(brokers).send(
      request([
        { key: '21', value: 'a', partition: 2 },
        // 1,173,551,340 mod 3 = 0: see the keys of the Java client.
        { key: '21', value: 'b', partition: null },
        { key: null, value: 'c' },
        { key: '21', value: 'd' },
      ]),
    )
    expect(brokers.logs()).toEqual({ 't/0': ['b', 'd'], 't/1': ['c'], 't/2': ['a'] })
    expect(answers.map(({ topicName, partition, baseOffset }) => [topicName, partition, baseOffset]).sort()).toEqual([
      ['t', 0, '0'],
      ['t', 1, '0'],
      ['t', 2, '0'],
    ])
  })

  it('wait for a leader', async () => {
    const brokers = new FakeBrokers({ t: [0, -1] })
    brokers.onRefresh = () => brokers.lead('t', 1, 1)
    await sender(brokers).send(request(to(1, 'x')))
    expect(brokers.logs()).toEqual({ 't/1': ['x'] })
  })

  it('go to a partition that the topic has got meanwhile', async () => {
    const brokers = new FakeBrokers({ t: [0] })
    brokers.onRefresh = () => brokers.lead('t', 1, 0)
    await sender(brokers).send(request(to(1, 'x')))
    expect(brokers.logs()).toEqual({ 't/1': ['x'] })
  })

  it('for a partition that does not exist are no success, and not tried for ever', async () => {
    const brokers = new FakeBrokers({ t: [0] })
    await expect(sender(brokers).send(request([...to(0, 'a'), ...to(1, 'x')]))).rejects.toThrow('t has no partition 1')
    expect(brokers.logs()).toEqual({})
  })

  it('stay with the partition of their key when the topic grows between two tries', async () => {
    const brokers = new FakeBrokers({ t: [0, 0, 0] })
    brokers.faults.push('lost answer')
    brokers.onRefresh = () => brokers.lead('t', 3, 0)
    await sender(brokers).send(request([{ key: '21', value: 'once' }]))
    expect(brokers.logs()).toEqual({ 't/0': ['once'] })
  })

  it('are neither left out nor repeated when leaders move to a broker that has answered', async () => {
    const brokers = new FakeBrokers({ t: [0, 1, 0] })
    // Broker 1 fails, broker 0 answers; then broker 0 leads the first's partition, and broker 1 one of its own.
    brokers.failing.add(1)
    brokers.onRefresh = () => {
      brokers.failing.clear()
      brokers.lead('t', 1, 0)
      brokers.lead('t', 2, 1)
    }
    const answers = await sender(brokers).send(request([...to(0, 'a'), ...to(1, 'b'), ...to(2, 'c')]))
    expect(brokers.logs()).toEqual({ 't/0': ['a'], 't/1': ['b'], 't/2': ['c'] })
    expect(answers).toHaveLength(3)
  })

  it('that one partition refuses are not sent again to the others', async () => {
    const brokers = new FakeBrokers({ t: [0, 0] })
    brokers.faults.push({ refuse: 't/1', errorCode: 6 })
    await sender(brokers, 'plain').send(request([...to(0, 'a'), ...to(1, 'b')]))
    expect(brokers.logs()).toEqual({ 't/0': ['a'], 't/1': ['b'] })
    expect(brokers.requests.map(({ partitions }) => partitions)).toEqual([['t/0', 't/1'], ['t/1']])
  })

  it('too large for their partition fail at once, by the name of the error', async () => {
    const brokers = new FakeBrokers({ t: [0] })
    brokers.faults.push({ refuse: 't/0', errorCode: 10 })
    await expect(sender(brokers).send(request(to(0, 'a')))).rejects.toMatchObject({
      cause: { type: 'MESSAGE_TOO_LARGE' },
    })
    expect(brokers.requests).toHaveLength(1)
  })
})

describe('sequences', () => {
  it('are none of a producer without an id', async () => {
    const brokers = new FakeBrokers({ t: [0] })
    await sender(brokers, 'plain').send(request(to(0, 'a')))
    expect(brokers.requests).toMatchObject([{ sequences: [-1], producerId: undefined, producerEpoch: undefined }])
  })

  it.each([3, 6, 7, 20, 56])('of a batch that was answered with %i, and then given up, go to no other', async code => {
    const brokers = new FakeBrokers({ t: [0] })
    const { send } = sender(brokers)
    brokers.faults.push({ refuse: 't/0', errorCode: code, appended: true }, { refuse: 't/0', errorCode: 29 })
    await expect(send(request(to(0, 'a')))).rejects.toThrow()
    await expect(send(request(to(0, 'b')))).rejects.toThrow()
    expect(brokers.logs()).toEqual({ 't/0': ['a'] })
  })

  it('count records by partition, also over refused batches', async () => {
    const brokers = new FakeBrokers({ t: [0, 0] })
    const { send } = sender(brokers)
    await send(request([...to(0, 'a', 'b', 'c'), ...to(1, 'd')]))
    brokers.faults.push({ refuse: 't/0', errorCode: 10 })
    await send(request(to(0, 'too large'))).catch(() => {})
    await send(request([...to(0, 'e'), ...to(1, 'f')]))
    expect(brokers.requests.map(({ sequences }) => sequences)).toEqual([[0, 0], [3], [3, 1]])
  })

  it('begin anew after the greatest of 31 bits', () => {
    const last = 2 ** 31 - 1
    expect([nextSequence(last, 1), nextSequence(last - 1, 1), nextSequence(last - 1, 3)]).toEqual([0, last, 1])
  })

  it('of a batch that may have been written end the producer: the next would pass for a repeat of it', async () => {
    const brokers = new FakeBrokers({ t: [0] })
    const { send } = sender(brokers, 'idempotent', 1)
    brokers.faults.push('lost answer', 'lost request')
    await expect(send(request(to(0, 'a')))).rejects.toThrow()
    await expect(send(request(to(0, 'b')))).rejects.toThrow('unknown what this producer has written')
    expect(brokers.logs()).toEqual({ 't/0': ['a'] })
  })

  it('of two sends at the same time follow one another, whatever happens to the first', async () => {
    const brokers = new FakeBrokers({ t: [0] })
    const { send } = sender(brokers)
    brokers.faults.push('lost answer', 'lost request')
    await Promise.all([send(request(to(0, 'a'))), send(request(to(0, 'b'))), send(request(to(0, 'c')))])
    expect(brokers.logs()).toEqual({ 't/0': ['a', 'b', 'c'] })
  })
})

describe('packed records', () => {
  /** In batches of two records each. */
  const packed = (...values: readonly [partition: 0 | 1, value: string][]): PackedMessage => ({
    packed: packOf(...values.map(([partition, value]) => [KEYS[partition], value] as const)),
    maxBatchBytes: 40,
    value: null,
  })

  it('go to the partitions of their keys in batches, one of each partition in a request, among single ones', async () => {
    const brokers = new FakeBrokers({ t: [0, 0] })
    const pack = packed([0, 'b'], [1, 'x'], [0, 'c'], [0, 'd'], [1, 'y'], [0, 'e'], [0, 'f'])
    const answers = await sender(brokers).send(request([...to(0, 'a'), pack, ...to(1, 'z')]))
    expect(brokers.logs()).toEqual({ 't/0': ['a', 'b', 'c', 'd', 'e', 'f'], 't/1': ['x', 'y', 'z'] })
    expect(brokers.requests.map(({ partitions, sequences }) => [partitions, sequences])).toEqual([
      [
        ['t/0', 't/1'],
        [0, 0],
      ],
      [
        ['t/0', 't/1'],
        [1, 2],
      ],
      [['t/0'], [3]],
      [['t/0'], [5]],
    ])
    expect(answers).toHaveLength(6)
  })

  it('keep their partitions, batches and sequences when they are repeated, though the topic has grown', async () => {
    const brokers = new FakeBrokers({ t: [0, 0] })
    brokers.faults.push(null, 'lost answer', 'lost request', { refuse: 't/0', errorCode: 6 })
    brokers.onRefresh = () => brokers.lead('t', 2, 0)
    await sender(brokers).send(request([packed([0, 'a'], [0, 'b'], [1, 'x'], [0, 'c'], [0, 'd'], [0, 'e'])]))
    expect(brokers.logs()).toEqual({ 't/0': ['a', 'b', 'c', 'd', 'e'], 't/1': ['x'] })
  })

  it('are told to a transaction once, however many batches they make', async () => {
    const brokers = new FakeBrokers({ t: [0, 0] })
    const { send, added } = sender(brokers, 'transactional')
    await send(request([packed([0, 'a'], [0, 'b'], [0, 'c'], [0, 'd'], [0, 'e'])]))
    expect(added.filter(partitions => partitions.length > 0)[0]).toEqual(['t/0'])
    expect(brokers.requests.map(({ sequences }) => sequences)).toEqual([[0], [2], [4]])
  })

  it('of a batch that is refused for good are not followed by those behind it', async () => {
    const brokers = new FakeBrokers({ t: [0, 0] })
    brokers.faults.push(null, { refuse: 't/0', errorCode: 10 })
    const sent = sender(brokers).send(request([packed([0, 'a'], [0, 'b'], [0, 'c'], [0, 'd'], [0, 'e'])]))
    await expect(sent).rejects.toMatchObject({ cause: { type: 'MESSAGE_TOO_LARGE' } })
    expect(brokers.logs()).toEqual({ 't/0': ['a', 'b'] })
  })
})

it('the list of batches of each request that was answered is told, and of no other', async () => {
  const brokers = new FakeBrokers({ t: [0, 1] })
  brokers.faults.push('lost answer')
  const answered: string[][] = []
  const onAnswered = (topics: ProduceRequest['topicData']) => {
    answered.push(topics.flatMap(({ topic, partitions }) => partitions.map(({ partition }) => `${topic}/${partition}`)))
  }
  await sender(brokers, 'idempotent', RETRY.retries, onAnswered).send(request([...to(0, 'a'), ...to(1, 'b')]))
  expect(answered).toEqual([['t/1'], ['t/0']])
})

it('a transaction learns of all partitions of a send at once, whoever leads them, and again of none', async () => {
  const brokers = new FakeBrokers({ t: [0, 1], u: [2] })
  const { send, added } = sender(brokers, 'transactional')
  brokers.failing.add(1)
  brokers.onRefresh = () => brokers.failing.clear()
  const topicMessages = [
    { topic: 't', messages: [...to(0, 'a'), ...to(1, 'b')] },
    { topic: 'u', messages: to(0, 'c') },
  ]
  await send({ acks: -1, topicMessages })
  expect(added).toEqual([['t/0', 't/1', 'u/0'], ['t/1']])
  expect(brokers.requests.every(({ transactionalId }) => transactionalId === 'id')).toBe(true)
})

it('whatever is lost, refused or moved: every message is written once, in order', async () => {
  const fault = fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    fc.constantFrom('lost answer' as const, 'lost request' as const),
    fc.record({ refuse: fc.constantFrom('t/0', 't/1', 't/2', 't/3'), errorCode: fc.constantFrom(6, 7, 20, 5) }),
    fc.record({
      refuse: fc.constantFrom('t/0', 't/1', 't/2', 't/3'),
      errorCode: fc.constantFrom(3, 6, 56),
      appended: fc.constant(true),
    }),
  )
  const move = fc.tuple(fc.nat(3), fc.integer({ min: -1, max: 2 }))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(fc.nat(3), { minLength: 1, maxLength: 9 }), fc.boolean()), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.array(fault, { maxLength: 12 }),
      fc.array(move, { maxLength: 8 }),
      async (sends, faults, moves) => {
        const brokers = new FakeBrokers({ t: [0, 1, 2, 0] })
        brokers.faults.push(...faults)
        const left = [...moves]
        brokers.onRefresh = () => {
          const next = left.shift()
          if (next !== undefined) brokers.lead('t', next[0], next[1])
          else for (const partition of [0, 1, 2, 3]) brokers.lead('t', partition, 0)
        }
        const { send } = sender(brokers)
        const expected: Record<string, string[]> = {}
        let serial = 0
        for (const [partitions, isPacked] of sends) {
          const messages = partitions.map(partition => ({ partition, value: String(serial++) }))
          for (const { partition, value } of messages) {
            const name = `t/${partition}`
            expected[name] = [...(expected[name] ?? []), value]
          }
          const packed = packOf(...messages.map(({ partition, value }) => [KEYS[partition] as string, value] as const))
          // Room for one record or two of them.
          await send(request(isPacked ? [{ packed, maxBatchBytes: 50, value: null }] : messages))
        }
        expect(brokers.logs()).toEqual(expected)
      },
    ),
    { seed: SEED, numRuns: 150 },
  )
})
