import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createBatchSender, type KafkaBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka } from '../../src/kafka/client.ts'
import type { ReadMessage } from '../../src/kafka/readAll.ts'
import { withAdmin } from '../../src/kafka/topics.ts'
import { damageBatch } from './damage.ts'

let broker: EmbeddedKafka
let settings: KafkaSettings
let sender: KafkaBatchSender
let reader: TopicReader
let serial = 0

beforeAll(async () => {
  broker = await startKafka()
  settings = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  sender = await createBatchSender(settings)
  reader = createTopicReader(createKafka(settings, () => {}))
})
afterAll(async () => {
  await Promise.all([reader?.close(), sender?.close()])
  await broker?.stop()
})

/** Of today: a topic forgets what is older than its retention. */
const SENT_AT = Date.now()

/** Two partitions of three batches, each of one record. */
async function createTopic(): Promise<string> {
  const topic = `read-${++serial}`
  const topics = [{ topic, numPartitions: 2, replicationFactor: 1 }]
  await withAdmin(
    createKafka(settings, () => {}),
    admin => admin.createTopics({ topics, waitForLeaders: true }),
  )
  for (const partition of [0, 1]) {
    for (const offset of [0, 1, 2]) await sender.send(topic, partition, [message(partition, offset)])
  }
  return topic
}

const message = (partition: number, offset: number) => ({
  key: offset === 1 ? null : `k${partition}`,
  value: offset === 2 ? null : `v${partition}-${offset}`,
  timestamp: SENT_AT + offset,
  headers: [['a', `${offset}`] as const, ['a', null] as const, ['ü', Buffer.from([0xff])] as const],
})

async function read(topic: string, toOffsets?: ReadonlyMap<number, number>): Promise<ReadMessage[]> {
  const found: ReadMessage[] = []
  const onMessage = (message: ReadMessage) => void found.push(message)
  const options = { topic, readCommitted: true, onMessage }
  await reader.readAll(toOffsets === undefined ? options : { ...options, toOffsets })
  return found.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

const places = (found: readonly ReadMessage[]) => found.map(({ partition, offset }) => `${partition}/${offset}`)

test('a topic is read whole, as it was written', async () => {
  const found = await read(await createTopic())
  expect(places(found)).toEqual(['0/0', '0/1', '0/2', '1/0', '1/1', '1/2'])
  for (const { partition, offset, timestamp, key, value, headers } of found) {
    const wanted = message(partition, offset)
    expect([key?.toString() ?? null, value?.toString() ?? null, timestamp]).toEqual([
      ...[wanted.key, wanted.value, wanted.timestamp],
    ])
    expect(headers).toEqual([
      ['a', Buffer.from(`${offset}`)],
      ['a', null],
      ['ü', Buffer.from([0xff])],
    ])
  }
})

test('damage ends the read with the offsets that cannot be read, once all before it is told', async () => {
  const topic = await createTopic()
  const told: string[] = []
  const readNow = () =>
    reader.readAll({
      topic,
      readCommitted: true,
      onMessage: ({ partition, offset }) => void told.push(`${partition}/${offset}`),
    })
  damageBatch(broker.dataDir, topic, { partition: 1, batch: 1 }, bytes => bytes.writeUInt8(0x55, bytes.length - 1))
  await expect(readNow()).rejects.toMatchObject({
    code: 'corrupt_batch',
    message: expect.stringContaining(`${topic}/1, offsets from 1 to 1 `),
  })
  expect(told.sort()).toEqual(['0/0', '0/1', '0/2', '1/0'])
  // Up to the damage nothing is amiss.
  expect(places(await read(topic, new Map([[1, 1]])))).toEqual(['1/0'])
})

test('damage that the broker refuses to read, or that hides the rest of the log, ends the read too', async () => {
  const refused = await createTopic()
  damageBatch(broker.dataDir, refused, { partition: 0, batch: 1 }, bytes => bytes.writeInt32BE(5, 8))
  await expect(read(refused)).rejects.toMatchObject({
    code: 'corrupt_batch',
    message: expect.stringContaining('offsets from 1 cannot be read: the broker cannot read it: CORRUPT_MESSAGE'),
  })
  const hidden = await createTopic()
  damageBatch(broker.dataDir, hidden, { partition: 0, batch: 1 }, bytes => bytes.writeInt32BE(2 ** 24, 8))
  await expect(read(hidden)).rejects.toMatchObject({
    code: 'delivery_failed',
    message: expect.stringContaining('nothing has come of partitions 0'),
  })
})
