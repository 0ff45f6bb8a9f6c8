import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka } from '../../src/kafka/client.ts'
import {
  createAtLeastOnceDelivery,
  createSharedProducer,
  createTransactionalDelivery,
} from '../../src/kafka/delivery.ts'
import { withAdmin } from '../../src/kafka/topics.ts'
import type { Delivery } from '../../src/runtime/ports.ts'
import type { RecordHeader } from '../../src/tasks/recordBatch.ts'
import type { Commit, OutputRecord } from '../../src/tasks/task.ts'

const PARTITIONS = 3
const SOURCE = 'source'

let broker: EmbeddedKafka
let settings: KafkaSettings
let reader: TopicReader
let serial = 0
let topic: string

beforeAll(async () => {
  broker = await startKafka()
  settings = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  reader = createTopicReader(client())
  await createTopic(SOURCE)
})
beforeEach(async () => {
  topic = `out-${++serial}`
  await createTopic(topic)
})
afterAll(async () => {
  await reader?.close()
  await broker?.stop()
})

const client = () => createKafka(settings, () => {})

async function createTopic(name: string): Promise<void> {
  const topics = [{ topic: name, numPartitions: PARTITIONS, replicationFactor: 1 }]
  await withAdmin(client(), admin => admin.createTopics({ topics, waitForLeaders: true }))
}

const group = () => `${topic}-group`
const names = () => ({
  partials: [topic],
  results: `${topic}-results`,
  deviceStats: `${topic}-devices`,
  enriched: `${topic}-enriched`,
  deadLetters: `${topic}-dead`,
})
const owner = (): Delivery =>
  createTransactionalDelivery({
    kafka: client(),
    transactionalId: `${topic}-0`,
    groupId: group(),
    sourceTopic: SOURCE,
    partition: 0,
    topicNames: names(),
  })
const record = (value: string, over: Partial<OutputRecord> = {}): OutputRecord => ({
  topic: 'partials',
  partition: 1,
  key: 'k',
  value: Buffer.from(value),
  ...over,
})
const readCommit = () => reader.readCommit(group(), SOURCE, 0)
/** A commit becomes visible a moment after it is acknowledged. */
const expectCommit = (commit: Commit) => vi.waitFor(async () => expect(await readCommit()).toEqual(commit), 5_000)

async function readValues(readCommitted = true): Promise<string[]> {
  const values: string[] = []
  await reader.readAll({ topic, readCommitted, onMessage: ({ value }) => void values.push(String(value)) })
  return values.sort()
}

test('records and commit become visible together', async () => {
  const delivery = owner()
  await delivery.fence()
  await delivery.begin()
  await delivery.send([record('a'), record('b', { partition: 2 })])
  await delivery.send([record('c')])
  expect(await readValues()).toEqual([])
  expect(await readCommit()).toBeNull()
  const commit: Commit = { offset: 42, metadata: JSON.stringify({ text: 'é'.repeat(1_500) }) }
  await delivery.commit(commit)
  await expectCommit(commit)
  expect(await readValues()).toEqual(['a', 'b', 'c'])
  await delivery.close()
})

test('transactions follow each other without a pause', async () => {
  const delivery = owner()
  await delivery.fence()
  for (let offset = 1; offset <= 40; offset++) {
    await delivery.begin()
    if (offset % 2 === 0) await delivery.send([record(String(offset))])
    await delivery.commit({ offset, metadata: '' })
  }
  await expectCommit({ offset: 40, metadata: '' })
  expect(await readValues()).toHaveLength(20)
  await delivery.close()
})

test('what a new owner reads after its fence is the last commit', async () => {
  for (let offset = 1; offset <= 15; offset++) {
    const delivery = owner()
    await delivery.fence()
    await delivery.begin()
    await delivery.send([record(String(offset))])
    await delivery.commit({ offset, metadata: '' })
    const heir = owner()
    await heir.fence()
    expect(await readCommit()).toEqual({ offset, metadata: '' })
    expect(await readValues()).toHaveLength(offset)
    await Promise.all([delivery.close(), heir.close()])
  }
})

test('a fence ends the open transaction of the owner before, who can neither send nor commit', async () => {
  const zombies = [owner(), owner(), owner()]
  const [early, sending, committing] = zombies as [Delivery, Delivery, Delivery]
  await early.fence()
  await early.begin()
  await early.send([record('from the zombie')])
  await committing.fence()
  await expect(early.send([record('more of it')])).rejects.toMatchObject({ code: 'fenced' })
  await expect(early.commit({ offset: 9, metadata: '' })).rejects.toMatchObject({ code: 'fenced' })

  await committing.begin()
  await committing.send([record('of the second')])
  await sending.fence()
  // The fence alone, before anything is sent, has bumped the epoch.
  await expect(committing.commit({ offset: 8, metadata: '' })).rejects.toMatchObject({ code: 'fenced' })
  await sending.begin()
  await sending.send([record('of the heir')])
  await sending.commit({ offset: 3, metadata: 'heir' })
  await expectCommit({ offset: 3, metadata: 'heir' })
  expect(await readValues()).toEqual(['of the heir'])
  expect(await readValues(false)).toEqual(['from the zombie', 'of the heir', 'of the second'])

  // Unusable until it is fenced anew.
  await expect(committing.begin()).rejects.toMatchObject({ code: 'fenced' })
  await committing.fence()
  await committing.begin()
  await committing.commit({ offset: 4, metadata: 'back' })
  await expectCommit({ offset: 4, metadata: 'back' })
  await expect(sending.begin().then(() => sending.send([record('late')]))).rejects.toMatchObject({ code: 'fenced' })
  await Promise.all(zombies.map(delivery => delivery.close()))
})

test('at least once: records are acknowledged, keyed as by the Java client, whole with their headers', async () => {
  const producer = createSharedProducer(client())
  await producer.connect()
  const commits: Commit[] = []
  const delivery = createAtLeastOnceDelivery({
    producer,
    topicNames: names(),
    commit: async commit => void commits.push(commit),
  })
  await delivery.fence()
  await delivery.begin()
  // kafkajs drops these and reports success.
  const nowhere = delivery.send([record('lost', { partition: PARTITIONS })])
  await expect(nowhere).rejects.toMatchObject({ code: 'delivery_failed', retriable: true })
  const headers: RecordHeader[] = [
    ['text', 'plain'],
    ['bytes', new Uint8Array([0, 255])],
  ]
  // Kafka's UtilsTest: murmur2 of '21' is -973,932,308; its lower 31 bits are 1,173,551,340, mod 3 = 0.
  await delivery.send([
    record('x', { partition: null, key: '21', headers }),
    record('', { partition: 2, key: null, value: null }),
    record('y', { partition: 1, key: new Uint8Array([7]).subarray(0) }),
  ])
  await delivery.commit({ offset: 1, metadata: 'm' })
  expect(commits).toEqual([{ offset: 1, metadata: 'm' }])
  const read = new Map<number, unknown>()
  await reader.readAll({
    topic,
    readCommitted: true,
    onMessage: ({ partition, key, value, headers }) =>
      void read.set(partition, [key && [...key], value && String(value), headers]),
  })
  expect(read.get(1)).toEqual([[7], 'y', []])
  expect(read.get(2)).toEqual([null, null, []])
  expect(read.get(0)).toEqual([
    [50, 49],
    'x',
    [
      ['text', Buffer.from('plain')],
      ['bytes', Buffer.from([0, 255])],
    ],
  ])
  await producer.disconnect()
})

test('a stage larger than one request is sent in several, in order', async () => {
  const delivery = owner()
  await delivery.fence()
  await delivery.begin()
  const value = Buffer.alloc(10_000, 'x')
  await delivery.send(Array.from({ length: 300 }, (_, i) => record('', { key: String(i), value })))
  await delivery.commit({ offset: 1, metadata: '' })
  const keys: number[] = []
  await reader.readAll({ topic, readCommitted: true, onMessage: ({ key }) => void keys.push(Number(key)) })
  expect(keys).toEqual(Array.from({ length: 300 }, (_, i) => i))
  await delivery.close()
})

test('a failed send is told as retriable', async () => {
  const delivery = createTransactionalDelivery({
    kafka: client(),
    transactionalId: `${topic}-1`,
    groupId: group(),
    sourceTopic: SOURCE,
    partition: 0,
    topicNames: names(),
  })
  await delivery.fence()
  await delivery.begin()
  const toNowhere = delivery.send([record('x', { value: Buffer.alloc(3 << 20) })])
  await expect(toNowhere).rejects.toMatchObject({ code: 'delivery_failed', retriable: true })
  await expect(delivery.commit({ offset: 1, metadata: '' })).rejects.toMatchObject({ code: 'fenced' })
  await delivery.close()
})

test('the batch sender sends what is asked for at once one after the other, and knows the offsets', async () => {
  const sender = await createBatchSender(settings)
  const now = Date.now()
  const batch = (size: number) =>
    Array.from({ length: size }, (_, i) => ({ key: `k${i}`, value: Buffer.from(`v${i}`), timestamp: now + i }))
  const sent = await Promise.all([
    sender.send(topic, 0, batch(10)),
    sender.send(topic, 0, batch(5)),
    sender.send(topic, 1, batch(1)),
    sender.send(topic, 0, batch(1)),
  ])
  expect(sent.map(({ baseOffset }) => baseOffset)).toEqual([0, 10, 0, 15])
  const timestamps: number[] = []
  const fromOffsets = new Map([[0, 8]])
  const toOffsets = new Map([[0, 12]])
  await reader.readAll({
    topic,
    readCommitted: true,
    fromOffsets,
    toOffsets,
    onMessage: ({ timestamp }) => void timestamps.push(timestamp),
  })
  expect(timestamps).toEqual([now + 8, now + 9, now, now + 1])
  await expect(sender.send('no-such-topic', 0, batch(1))).rejects.toMatchObject({ code: 'refused_topic' })
  await expect(sender.send(topic, PARTITIONS, batch(1))).rejects.toMatchObject({ code: 'delivery_failed' })
  await sender.close()
})

test('an error of the reader is the reader’s own, and reading ends', async () => {
  const sender = await createBatchSender(settings)
  await sender.send(topic, 0, [{ key: null, value: 'v' }])
  await sender.close()
  const fault = new Error('mine')
  const read = reader.readAll({ topic, readCommitted: true, onMessage: () => Promise.reject(fault) })
  await expect(read).rejects.toBe(fault)
  expect(await reader.readLogRanges(topic)).toEqual([
    { start: 0, end: 1 },
    { start: 0, end: 0 },
    { start: 0, end: 0 },
  ])
})
