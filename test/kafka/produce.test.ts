import { execFile } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ISocketFactory } from 'kafkajs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Compression, KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { ensureKafkaJars } from '../../src/dev/kafka/jars.ts'
import { findJava } from '../../src/dev/kafka/java.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createKafka } from '../../src/kafka/client.ts'
import {
  createAtLeastOnceDelivery,
  createSharedProducer,
  createTransactionalDelivery,
} from '../../src/kafka/delivery.ts'
import { withAdmin } from '../../src/kafka/topics.ts'
import { murmur2 } from '../../src/kafka/wire/murmur2.ts'
import type { OutputRecord } from '../../src/tasks/task.ts'
import { packOf } from '../unit/kafka/packOf.ts'

const PARTITIONS = 3
const CODECS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

let broker: EmbeddedKafka
let settings: KafkaSettings
let reader: TopicReader
let serial = 0
let topic: string

beforeAll(async () => {
  broker = await startKafka()
  settings = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  reader = createTopicReader(createKafka(settings, () => {}))
  await createTopic('source')
})
beforeEach(async () => {
  topic = `produced-${++serial}`
  await createTopic(topic)
})
afterAll(async () => {
  await reader?.close()
  await broker?.stop()
})

async function createTopic(name: string): Promise<void> {
  const topics = [{ topic: name, numPartitions: PARTITIONS, replicationFactor: 1 }]
  const kafka = createKafka(settings, () => {})
  await withAdmin(kafka, admin => admin.createTopics({ topics, waitForLeaders: false }))
}

const topicNames = () => {
  return { partials: [topic], results: topic, deviceStats: topic, enriched: topic, deadLetters: topic }
}
const record = (value: string, partition: number | null = 0, key = value): OutputRecord => {
  return {
    topic: 'partials',
    partition,
    key,
    value,
    headers: [
      ['n', value],
      ['n', null],
    ],
  }
}
const keyOf = (value: string) => `key-${Number(value) % 7}`
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i))

function transactional(socketFactory?: ISocketFactory, compression: Compression = 'none') {
  return createTransactionalDelivery({
    kafka: createKafka(settings, () => {}, socketFactory === undefined ? {} : { socketFactory }),
    transactionalId: `${topic}-0`,
    groupId: `${topic}-group`,
    sourceTopic: 'source',
    partition: 0,
    topicNames: topicNames(),
    compression,
  })
}

async function readCommitted(): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>()
  await reader.readAll({
    topic,
    readCommitted: true,
    onMessage: ({ partition, value }) => void found.set(partition, [...(found.get(partition) ?? []), String(value)]),
  })
  return found
}

const PRODUCE = 0

/** Connections that break at chosen produce requests: before the broker gets one, or after it has, without its answer. */
function breakingConnections(faultOf: (request: number) => 'lost request' | 'lost answer' | null) {
  const told = { requests: 0, broken: 0 }
  const breakOff = (socket: Socket) => {
    told.broken++
    socket.destroy(new Error('broken off by the test'))
  }
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = connect({ host, port }, onConnect)
    const write = socket.write.bind(socket) as (bytes: Buffer) => boolean
    const broken = (bytes: Buffer): boolean => {
      const fault = bytes.readInt16BE(4) === PRODUCE ? faultOf(told.requests++) : null
      if (fault === 'lost request') {
        breakOff(socket)
        return true
      }
      if (fault === 'lost answer') {
        // What the broker says from here on is read by nobody; its first word is the answer.
        socket.removeAllListeners('data')
        socket.once('data', () => breakOff(socket))
      }
      return write(bytes)
    }
    return Object.assign(socket, { write: broken })
  }
  return { socketFactory, told }
}

test('a transaction whose every batch is repeated after a lost answer has it once, in order', async () => {
  const { socketFactory, told } = breakingConnections(request => (request % 2 === 0 ? 'lost answer' : null))
  const delivery = transactional(socketFactory)
  await delivery.fence()
  for (let flush = 0; flush < 6; flush++) {
    await delivery.begin()
    const values = range(flush * 10, flush * 10 + 10)
    await delivery.send(values.map((value, i) => record(value, i % PARTITIONS)))
    await delivery.commit({ offset: flush + 1, metadata: '' })
  }
  await delivery.close()
  expect(told.broken).toBe(6)
  const heir = transactional()
  await heir.fence()
  await heir.close()
  const found = await readCommitted()
  const expected = range(0, 60).map(value => [(Number(value) % 10) % PARTITIONS, value] as const)
  for (let partition = 0; partition < PARTITIONS; partition++) {
    expect(found.get(partition)).toEqual(expected.flatMap(([at, value]) => (at === partition ? [value] : [])))
  }
})

test('keyed records of all codecs in one partition each are once there, whatever is lost', async () => {
  const { socketFactory, told } = breakingConnections(
    request => [null, 'lost request', 'lost answer'][request % 3] as null,
  )
  let flush = 0
  for (const codec of CODECS) {
    const delivery = transactional(socketFactory, codec)
    await delivery.fence()
    for (const _ of range(0, 3)) {
      await delivery.begin()
      await delivery.send(range(flush * 50, flush * 50 + 50).map(value => record(value, null, keyOf(value))))
      await delivery.commit({ offset: ++flush, metadata: '' })
    }
    await delivery.close()
  }
  expect(told.broken).toBeGreaterThan(10)
  const heir = transactional()
  await heir.fence()
  await heir.close()
  const found = await readCommitted()
  expect(
    [...found.values()]
      .flat()
      .map(Number)
      .sort((a, b) => a - b),
  ).toEqual(range(0, flush * 50).map(Number))
  for (const values of found.values()) expect(values).toEqual([...values].sort((a, b) => Number(a) - Number(b)))
})

test('packed records are once there, in the order of their keys, whatever is lost', async () => {
  const { socketFactory, told } = breakingConnections(
    request => [null, 'lost answer', null, 'lost request'][request % 4] as null,
  )
  let made = 0
  for (const codec of CODECS) {
    const delivery = transactional(socketFactory, codec)
    await delivery.fence()
    for (let flush = 0; flush < 2; flush++) {
      await delivery.begin()
      const values = range(made, made + 300)
      made += 300
      // More than one batch to a partition, between records that go alone.
      const packed = packOf(
        ...values.slice(1, -1).map(value => [keyOf(value), value, [['h', 'x'.repeat(3_000)]]] as const),
      )
      const [first, last] = [values[0] as string, values.at(-1) as string]
      await delivery.send([record(first, null, keyOf(first)), packed, record(last, null, keyOf(last))])
      await delivery.commit({ offset: made, metadata: '' })
    }
    await delivery.close()
  }
  expect(told.broken).toBeGreaterThan(5)
  const heir = transactional()
  await heir.fence()
  await heir.close()
  const found = [...(await readCommitted())]
  expect(found.flatMap(([, values]) => values.map(Number)).sort((a, b) => a - b)).toEqual(range(0, made).map(Number))
  for (const [partition, values] of found) {
    expect(values).toEqual([...values].sort((a, b) => Number(a) - Number(b)))
    for (const value of values) expect(murmur2(keyOf(value)) % PARTITIONS).toBe(partition)
  }
})

test("Kafka's own tool finds every batch sound: codec, sequence, transaction, headers", async () => {
  for (const codec of CODECS) {
    const delivery = transactional(undefined, codec)
    await delivery.fence()
    await delivery.begin()
    await delivery.send(range(0, 3).map(value => record(value)))
    await delivery.send(range(3, 5).map(value => record(value)))
    await delivery.commit({ offset: 1, metadata: '' })
    await delivery.close()
  }
  const producer = createSharedProducer(createKafka(settings, () => {}))
  await producer.connect()
  const delivery = createAtLeastOnceDelivery({ producer, topicNames: topicNames(), commit: async () => {} })
  await delivery.send([record('plain')])
  await producer.disconnect()

  const lines = (await dumpLog(topic)).split('\n')
  const batches = lines.filter(line => line.startsWith('baseOffset:') && line.includes('isControl: false'))
  const facts = batches.map(line => {
    const fact = (name: string) => new RegExp(`${name}: (\\S+)`).exec(line)?.[1]
    return ['compresscodec', 'baseSequence', 'lastSequence', 'isTransactional', 'isvalid'].map(fact).join(' ')
  })
  const inTransactions = CODECS.flatMap(codec => [`${codec} 0 2 true true`, `${codec} 3 4 true true`])
  expect(facts).toEqual([...inTransactions, 'none -1 -1 false true'])
  const payloads = lines.flatMap(
    line => /headerKeys: (\S*) key: (\S+) payload: (\S+)/.exec(line)?.slice(1).join(' ') ?? [],
  )
  const texts = [...CODECS.flatMap(() => range(0, 5)), 'plain']
  expect(payloads).toEqual(texts.map(value => `[n,n] ${value} ${value}`))
})

async function dumpLog(name: string): Promise<string> {
  const file = join(broker.dataDir, 'log', `${name}-0`, '00000000000000000000.log')
  const tool = ['kafka.tools.DumpLogSegments', '--files', file, '--deep-iteration', '--print-data-log']
  const classpath = join(await ensureKafkaJars(), '*')
  const jvm = ['-XX:TieredStopAtLevel=1', '-cp', classpath]
  return (await promisify(execFile)(await findJava(), [...jvm, ...tool], { timeout: 60_000 })).stdout
}
