import type { Kafka } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createAtLeastOnceDelivery, createTransactionalDelivery } from '../../../src/kafka/delivery.ts'
import { watched, watchKafka } from '../../../src/kafka/watch.ts'

const told: unknown[] = []
const commit = { offset: 7, metadata: '' }
const CONTEXT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

beforeEach(() => {
  told.length = 0
  watchKafka({
    request: (api, seconds) => void told.push(['request', api, seconds]),
    requestTimedOut: api => void told.push(['timeout', api]),
    transaction: outcome => void told.push(['transaction', outcome]),
    committed: (seconds, trace) => void told.push(['committed', seconds >= 0, trace]),
    rebalanced: seconds => void told.push(['rebalanced', seconds]),
  })
})
afterEach(() => watchKafka(null))

/** A client whose parts tell the events that they are told to. */
function fakeKafka(transaction: object = {}) {
  const listeners: ((event: object) => void)[][] = []
  const part = () => {
    const own: ((event: object) => void)[] = []
    listeners.push(own)
    return {
      events: { REQUEST: 'request', REQUEST_TIMEOUT: 'timeout' },
      on: (_name: string, listener: (event: object) => void) => own.push(listener),
      connect: async () => {},
      disconnect: async () => {},
      transaction: async () => transaction,
    }
  }
  return { kafka: { producer: part, consumer: part, admin: part } as unknown as Kafka, listeners }
}

function transactional(transaction: object) {
  return createTransactionalDelivery({
    kafka: fakeKafka(transaction).kafka,
    transactionalId: 't',
    groupId: 'g',
    sourceTopic: 's',
    partition: 0,
    topicNames: { partials: 'p', results: 'r', deviceStats: 'd', enriched: 'e', deadLetters: 'l' } as never,
  })
}

describe('a client that is watched', () => {
  it('tells the requests of each of its parts, in seconds', () => {
    const { kafka, listeners } = fakeKafka()
    const client = watched(kafka)
    client.producer()
    client.consumer({ groupId: 'g' })
    client.admin()
    expect(listeners.map(own => own.length)).toEqual([2, 2, 2])
    for (const [request, timeout] of listeners) {
      request?.({ payload: { apiName: 'Fetch', duration: 250 } })
      timeout?.({ payload: { apiName: 'Metadata' } })
    }
    expect(told.slice(0, 2)).toEqual([
      ['request', 'Fetch', 0.25],
      ['timeout', 'Metadata'],
    ])
    expect(told).toHaveLength(6)
  })

  it('may be watched by nobody', () => {
    const { kafka, listeners } = fakeKafka()
    watched(kafka).admin()
    watchKafka(null)
    listeners[0]?.[0]?.({ payload: { apiName: 'Fetch', duration: 1 } })
    expect(told).toEqual([])
  })
})

describe('a delivery tells', () => {
  it('a transaction that is committed', async () => {
    const delivery = transactional({ sendOffsets: async () => {}, commit: async () => {} })
    await delivery.fence()
    await delivery.begin(undefined, CONTEXT)
    await delivery.commit(commit)
    await delivery.begin()
    await delivery.commit(commit)
    expect(told).toEqual([
      ['transaction', 'committed'],
      ['committed', true, CONTEXT],
      ['transaction', 'committed'],
      ['committed', true, null],
    ])
  })

  it.each([
    ['INVALID_PRODUCER_EPOCH', 'fenced'],
    ['REQUEST_TIMED_OUT', 'failed'],
  ])('one that ends with %s as %s, once', async (type, outcome) => {
    const refuse = async () => {
      throw Object.assign(new Error('no'), { type })
    }
    const delivery = transactional({ sendOffsets: refuse, commit: async () => {} })
    await delivery.fence()
    await delivery.begin()
    await expect(delivery.commit(commit)).rejects.toThrow(type)
    await expect(delivery.commit(commit)).rejects.toThrow('fenced anew')
    expect(told).toEqual([['transaction', outcome]])
  })

  it('commits without transactions', async () => {
    const delivery = createAtLeastOnceDelivery({
      producer: { sendBatch: async () => [] },
      topicNames: {} as never,
      commit: async () => {},
    })
    await delivery.begin(undefined, CONTEXT)
    await delivery.commit(commit)
    await delivery.begin()
    await delivery.commit(commit)
    expect(told).toEqual([
      ['committed', true, CONTEXT],
      ['committed', true, null],
    ])
  })
})
