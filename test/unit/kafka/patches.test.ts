import { createRequire } from 'node:module'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type ConsumerGroup, HOOKS, nameCoordinatorErrors, retryConcurrent } from '../../../src/kafka/patches.ts'

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

describe('a fetch response', () => {
  /** Version 11: throttle time, error, session, one topic, and of each partition what the protocol says. */
  function response(partitions: readonly { readonly error: number; readonly bytes: Buffer }[]): Buffer {
    const Encoder = load(`${SRC}/protocol/encoder.js`)
    const encoder = new Encoder().writeInt32(0).writeInt16(0).writeInt32(0).writeInt32(1).writeString('t')
    encoder.writeInt32(partitions.length)
    for (const [partition, { error, bytes }] of partitions.entries()) {
      encoder.writeInt32(partition).writeInt16(error).writeInt64(9).writeInt64(9).writeInt64(0)
      encoder.writeInt32(0).writeInt32(-1).writeInt32(bytes.length).writeBuffer(bytes)
    }
    return encoder.buffer
  }
  const read = async (partitions: Parameters<typeof response>[0]) => {
    const { decode, parse } = load(`${SRC}/protocol/requests/fetch/v11/response.js`)
    const { responses } = await parse(await decode(response(partitions)))
    return responses[0].partitions
  }
  const [sound, none] = [{ error: 0, bytes: Buffer.from('as it came') }, Buffer.alloc(0)]

  it('keeps its bytes', async () => {
    const [{ messages }, { messages: empty }] = await read([sound, { error: 0, bytes: none }])
    expect([String(messages.bytes), messages.refusal, empty.bytes.length]).toEqual(['as it came', null, 0])
  })

  it.each([-1, 2, 43, 76, 87])('with error %i of one partition brings those of the others', async error => {
    const [refused, other] = await read([{ error, bytes: none }, sound])
    expect(refused).toMatchObject({ errorCode: 0, messages: { refusal: expect.stringContaining('the broker') } })
    expect(String(other.messages.bytes)).toBe('as it came')
  })

  it('with another error fails', async () => {
    await expect(read([sound, { error: 1, bytes: none }])).rejects.toMatchObject({ name: 'KafkaJSOffsetOutOfRange' })
    await expect(read([sound, { error: 6, bytes: none }])).rejects.toMatchObject({ type: 'NOT_LEADER_FOR_PARTITION' })
  })
})

describe('offsets of a transaction', () => {
  it('are repeated at a coordinator that has moved, by the names that kafkajs looks for', async () => {
    const failing = (type: string) =>
      nameCoordinatorErrors(() => Promise.reject(Object.assign(new Error(type), { type })))()
    await expect(failing('NOT_COORDINATOR_FOR_GROUP')).rejects.toMatchObject({ type: 'NOT_COORDINATOR' })
    await expect(failing('FENCED_INSTANCE_ID')).rejects.toMatchObject({ type: 'FENCED_INSTANCE_ID' })
  })
})
