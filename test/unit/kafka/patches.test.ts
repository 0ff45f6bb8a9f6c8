import { createRequire } from 'node:module'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  BatchClass,
  type ConsumerGroup,
  filterAborted,
  HOOKS,
  type RawMessage,
  retryConcurrent,
} from '../../../src/kafka/patches.ts'

const load = createRequire(import.meta.url)
const SRC = 'kafkajs/src'

describe('the timer of a request queue', () => {
  afterEach(() => vi.useRealTimers())

  it('runs only while something is pending', () => {
    vi.useFakeTimers()
    const RequestQueue = load(`${SRC}/network/requestQueue/index.js`)
    const logger = { debug() {} }
    const queue = new RequestQueue({ maxInFlightRequests: 1, requestTimeout: 1000, logger, clientId: '', broker: '' })
    queue.checkPendingRequests()
    expect(vi.getTimerCount()).toBe(0)
    const entry = (correlationId: number) => ({ correlationId, apiKey: 0, apiName: '', apiVersion: 0 })
    const sent: number[] = []
    for (const id of [1, 2]) {
      queue.push({ entry: { ...entry(id), resolve() {} }, expectResponse: true, sendRequest: () => sent.push(id) })
    }
    expect(vi.getTimerCount()).toBe(1)
    queue.fulfillRequest({ correlationId: 1, payload: null, size: 0 })
    expect(sent).toEqual([1, 2])
    vi.advanceTimersByTime(20)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a consumer group', () => {
  type Group = ConsumerGroup & {
    joinAndSync(): Promise<void>
    recoverFromOffsetOutOfRange(error: Error): Promise<void>
  }
  const createGroup = (told: string[]): Group => {
    const Group = load(`${SRC}/consumer/consumerGroup.js`)
    const logger = { namespace: () => logger, info() {}, error() {}, debug() {} }
    const assigner = {
      [HOOKS]: {
        beforeJoin: async () => void told.push('before'),
        offsetOutOfRange: (topic: string, partition: number) => void told.push(`${topic}/${partition}`),
      },
    }
    const cluster = {
      findGroupCoordinator: async () => {
        told.push('join')
        throw Object.assign(new Error('stop here'), { retriable: false })
      },
    }
    const group = new Group({ logger, assigners: [assigner], cluster, topics: ['t'], retry: { retries: 0 } })
    group.offsetManager = { setDefaultOffset: async () => told.push('a default offset is committed') }
    return group
  }

  it('tells before it joins, and joins once when two fetchers ask for it', async () => {
    const told: string[] = []
    const group = createGroup(told)
    await Promise.allSettled([group.joinAndSync(), group.joinAndSync()])
    expect(told).toEqual(['before', 'join'])
    await group.joinAndSync().catch(() => {})
    expect(told).toEqual(['before', 'join', 'before', 'join'])
  })

  it('tells of an offset out of range and commits nothing', async () => {
    const told: string[] = []
    await createGroup(told).recoverFromOffsetOutOfRange(Object.assign(new Error(), { topic: 't', partition: 3 }))
    expect(told).toEqual(['t/3'])
  })
})

describe('CONCURRENT_TRANSACTIONS', () => {
  const refusal = (type: string) => Object.assign(new Error(type), { type })
  it('is waited out', async () => {
    const answers = [refusal('CONCURRENT_TRANSACTIONS'), refusal('CONCURRENT_TRANSACTIONS'), null]
    const call = retryConcurrent(async (value: number) => {
      const answer = answers.shift()
      if (answer) throw answer
      return value
    })
    expect(await call(7)).toBe(7)
  })
  it('is an error in the end, and other errors at once', async () => {
    const failing = (type: string) => retryConcurrent(() => Promise.reject(refusal(type)), 30)()
    await expect(failing('CONCURRENT_TRANSACTIONS')).rejects.toMatchObject({ type: 'CONCURRENT_TRANSACTIONS' })
    await expect(failing('INVALID_PRODUCER_EPOCH')).rejects.toMatchObject({ type: 'INVALID_PRODUCER_EPOCH' })
  })
  it.each(['addOffsetsToTxn', 'addPartitionsToTxn'])('is waited out in %s', async name => {
    const Broker = load(`${SRC}/broker/index.js`)
    const broker = Object.create(Broker.prototype)
    let calls = 0
    broker.lookupRequest = () => () => {
      if (++calls < 3) throw refusal('CONCURRENT_TRANSACTIONS')
      throw refusal('DONE')
    }
    await expect(broker[name]({})).rejects.toMatchObject({ type: 'DONE' })
    expect(calls).toBe(3)
  })
})

describe('decoding a fetched log', () => {
  /** One record batch in the bytes of a fetch response. */
  const encode = async (firstOffset: number, count: number, lastOffsetDelta: number) => {
    const { RecordBatch } = load(`${SRC}/protocol/recordBatch/v0/index.js`)
    const Record = load(`${SRC}/protocol/recordBatch/record/v0/index.js`)
    const Encoder = load(`${SRC}/protocol/encoder.js`)
    const records = Array.from({ length: count }, (_, i) => Record({ key: null, value: 'v', offsetDelta: i }))
    const batch = await RecordBatch({ records, firstOffset, lastOffsetDelta, firstTimestamp: 5, maxTimestamp: 5 })
    return new Encoder().writeInt32(batch.size()).writeEncoder(batch).buffer
  }
  const decode = async (bytes: Buffer): Promise<RawMessage[]> => {
    const Decoder = load(`${SRC}/protocol/decoder.js`)
    return await load(`${SRC}/protocol/requests/fetch/v4/decodeMessages.js`)(new Decoder(bytes))
  }

  it('holds for a batch of 130,000 records', async () => {
    const messages = await decode(await encode(0, 130_000, 129_999))
    expect(messages).toHaveLength(130_000)
    expect(messages.at(-1)).toMatchObject({ offset: '129999', timestamp: '5' })
  })

  it('shows how far a compacted batch reached, also one that holds nothing any more', async () => {
    for (const count of [0, 3]) {
      const messages = await decode(await encode(100, count, 9))
      expect(messages.map(message => message.offset)).toEqual([...['100', '101', '102'].slice(0, count), '109'])
      const batch = new BatchClass('t', '100', {
        partition: 0,
        highWatermark: '200',
        abortedTransactions: [],
        messages,
      })
      expect(batch.messages).toHaveLength(count)
      expect(batch.lastOffset()).toBe('109')
    }
  })
})

describe('aborted transactions', () => {
  const message = (offset: number, producerId: string, over: Partial<RawMessage> = {}): RawMessage => ({
    offset: String(offset),
    timestamp: '0',
    key: null,
    value: null,
    headers: {},
    isControlRecord: false,
    batchContext: { producerId, inTransaction: true },
    ...over,
  })
  const marker = (offset: number, producerId: string, type: number) =>
    message(offset, producerId, { isControlRecord: true, key: Buffer.from([0, 0, 0, type]) })
  const offsets = (messages: readonly RawMessage[]) => messages.map(({ offset }) => Number(offset))

  it('are left out, two that overlap too, up to their markers', () => {
    const messages = [
      message(20, 'b'),
      message(21, 'a'),
      message(22, 'c'),
      marker(23, 'a', 0),
      message(24, 'a'),
      marker(25, 'b', 0),
    ]
    const abortedTransactions = [
      { producerId: 'a', firstOffset: '10' },
      { producerId: 'b', firstOffset: '12' },
    ]
    expect(offsets(filterAborted({ messages, abortedTransactions }))).toEqual([22, 23, 24, 25])
    const batch = new BatchClass('t', '20', { partition: 0, highWatermark: '30', abortedTransactions, messages })
    expect(offsets(batch.messages)).toEqual([22, 24])
  })

  it('do not end at a record whose key looks like a marker', () => {
    const messages = [message(1, 'a', { key: Buffer.from([0, 0, 0, 0]) }), message(2, 'a'), marker(3, 'a', 0)]
    expect(offsets(filterAborted({ messages, abortedTransactions: [{ producerId: 'a', firstOffset: '1' }] }))).toEqual([
      3,
    ])
  })
})
