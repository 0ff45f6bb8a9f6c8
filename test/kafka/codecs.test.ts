import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Compression, KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { chooseDecoder } from '../../src/kafka/decoder.ts'
import type { ReadMessage } from '../../src/kafka/readAll.ts'
import { withAdmin } from '../../src/kafka/topics.ts'
import { CODEC_IDS } from '../../src/kafka/wire/codecs.ts'
import { batchesOnDisk } from './damage.ts'
import { withPipeline } from './scenarios/support/pipeline.ts'
import {
  asJavaPrints,
  readByJava,
  setTopicConfig,
  type TextRecord,
  writeByJava,
  writeUntilAborted,
} from './support/javaClient.ts'

const CODECS = Object.keys(CODEC_IDS) as readonly Compression[]
const PACKED = CODECS.filter(codec => codec !== 'none')

let broker: EmbeddedKafka
let settings: KafkaSettings
let reader: TopicReader

beforeAll(async () => {
  broker = await startKafka({
    extraProperties: {
      'log.cleaner.backoff.ms': 100,
      'transaction.abort.timed.out.transaction.cleanup.interval.ms': 200,
    },
  })
  settings = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  reader = createTopicReader(createKafka(settings, () => {}))
})
afterAll(async () => {
  await reader?.close()
  await broker?.stop()
})

async function createTopic(topic: string, config: Readonly<Record<string, string>> = {}): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  const topics = [{ topic, numPartitions: 1, replicationFactor: 1, configEntries }]
  await withAdmin(
    createKafka(settings, () => {}),
    admin => admin.createTopics({ topics, waitForLeaders: true }),
  )
}

async function readByUs(topic: string, readCommitted = true): Promise<ReadMessage[]> {
  const messages: ReadMessage[] = []
  await reader.readAll({ topic, readCommitted, onMessage: message => void messages.push(message) })
  return messages
}

/** Names of headers in order: kafkajs puts what has the same name side by side. */
const grouped = (message: ReadMessage): ReadMessage => {
  return { ...message, headers: [...message.headers].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) }
}

async function expectKafkajsToAgree(topic: string, ours: readonly ReadMessage[], readCommitted = true): Promise<void> {
  chooseDecoder('kafkajs')
  try {
    expect((await readByUs(topic, readCommitted)).map(grouped)).toEqual(ours.map(grouped))
  } finally {
    chooseDecoder('own')
  }
}

/** The codecs that the log holds on disk, with how many records those batches say they have. */
function codecsOnDisk(topic: string): Map<Compression, number> {
  const counts = new Map<Compression, number>()
  for (const { bytes } of batchesOnDisk(broker.dataDir, topic, 0)) {
    const codec = CODECS[bytes.readInt16BE(21) & 7] as Compression
    counts.set(codec, (counts.get(codec) ?? 0) + bytes.readInt32BE(57))
  }
  return counts
}

/** Text that no codec makes smaller by much. */
function noise(length: number): string {
  let state = length
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return (state >>> 8) % 62
  }
  return Array.from({ length }, () => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'[next()]).join('')
}

/** Small and large, plain and not, with and without key, value and headers; far more than 64 KiB in a batch. */
function recordsOf(codec: Compression): TextRecord[] {
  const odd: TextRecord[] = [
    { key: null, value: `${codec} without a key`, headers: [] },
    { key: 'gone', value: null, headers: [['why', 'tombstone']] },
    { key: '', value: '', headers: [['empty', '']] },
    {
      key: 'Zoë 東京 🦭',
      value: 'ü'.repeat(1_000),
      headers: [
        ['a', '1'],
        ['ä', '2'],
        ['a', '3'],
      ],
    },
    { key: 'run', value: 'x'.repeat(150_000), headers: [] },
    { key: 'noise', value: noise(150_000), headers: [['after', 'noise']] },
  ]
  const many = Array.from({ length: 3_000 }, (_, i): TextRecord => {
    const value = JSON.stringify({ user_id: `u-${i % 97}`, codec, n: i }).replaceAll(',', ';')
    return { key: `k${i % 50}`, value, headers: i % 3 === 0 ? [['n', String(i)]] : [] }
  })
  return [...many, ...odd, ...many.slice(0, 10)]
}

test('what the Java client writes in any codec, and in all of them to one log, is read as it reads it', async () => {
  const topic = 'all-codecs'
  await createTopic(topic)
  for (const codec of CODECS) await writeByJava(broker.brokers, topic, codec, recordsOf(codec))
  const written = CODECS.flatMap(recordsOf)
  const each = written.length / CODECS.length
  expect(codecsOnDisk(topic)).toEqual(new Map(CODECS.map(codec => [codec, each])))

  const read = await readByUs(topic)
  await expectKafkajsToAgree(topic, read)
  const ours = read.map(asJavaPrints)
  expect(ours).toEqual(await readByJava(broker.brokers, topic, written.length))
  expect(ours).toEqual(written.map((record, offset) => asJavaPrints({ ...asBytes(record), partition: 0, offset })))
})

const bytesOf = (text: string | null) => (text === null ? null : Buffer.from(text))

function asBytes({ key, value, headers }: TextRecord) {
  return { key: bytesOf(key), value: bytesOf(value), headers }
}

test('a log of all codecs that compaction has thinned out is read as the Java client reads it', async () => {
  const topic = 'compacted'
  await createTopic(topic, { 'cleanup.policy': 'compact', 'segment.ms': '300', 'min.cleanable.dirty.ratio': '0.01' })
  // Each round replaces most of the one before; ten keys are its own, so that batches keep some of their records.
  for (const codec of CODECS) {
    const keyOf = (i: number) => (i < 390 ? `k${i}` : `${codec}-${i}`)
    const round = range(0, 400).map(
      (i): TextRecord => ({ key: keyOf(i), value: `${codec} ${noise(60 + i)}`, headers: [] }),
    )
    await writeByJava(broker.brokers, topic, codec, round)
  }
  // A segment ends with the first record after its time; what is in the last one is not compacted.
  await writeByJava(broker.brokers, topic, 'none', [{ key: 'last', value: 'one', headers: [] }])
  const kept = CODECS.flatMap((_, n) => range(400 * n + 390, 400 * (n + 1)))
  const lastRound = 400 * (CODECS.length - 1)
  const wanted = [...kept.filter(offset => offset < lastRound), ...range(lastRound, lastRound + 401)]
  const found = await vi.waitFor(
    async () => {
      const messages = await readByUs(topic)
      expect(messages.map(({ offset }) => offset)).toEqual(wanted)
      return messages
    },
    { timeout: 20_000, interval: 200 },
  )
  expect(found.map(asJavaPrints)).toEqual(await readByJava(broker.brokers, topic, wanted.length))
  await expectKafkajsToAgree(topic, found)
})

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

test('of a Java client whose transaction the broker has aborted, nothing is read committed', async () => {
  const topic = 'aborted'
  await createTopic(topic)
  const sure = (value: string): TextRecord => ({ key: 'k', value, headers: [] })
  await writeByJava(broker.brokers, topic, 'gzip', [sure('before')])
  await writeUntilAborted(broker.brokers, topic, 'zstd')
  await writeByJava(broker.brokers, topic, 'lz4', [sure('after')])

  const all = await readByUs(topic, false)
  expect(all.length, 'the transaction has written').toBeGreaterThan(10)
  const committed = await vi.waitFor(
    async () => {
      const found = await readByUs(topic)
      expect(found.map(({ value }) => String(value))).toEqual(['before', 'after'])
      return found
    },
    { timeout: 10_000, interval: 100 },
  )
  // Behind the aborted records stands the marker, an offset that no record has.
  expect(committed.map(({ offset }) => offset)).toEqual([0, all.length])
  expect(committed.map(asJavaPrints)).toEqual(await readByJava(broker.brokers, topic, 2))
  await expectKafkajsToAgree(topic, committed)
  await expectKafkajsToAgree(topic, await readByUs(topic, false), false)
})

test.each(['own', 'kafkajs'])('a source topic in all codecs is counted exactly, decoder %s', async decoder => {
  const options = { aggregators: 1, settings: { KAFKA_DECODER: decoder } }
  await withPipeline(broker, `codecs-${decoder}`, options, async pipeline => {
    const source = pipeline.topic('source')
    for (const [i, codec] of PACKED.entries()) {
      // The broker packs anew what comes to it otherwise: its codecs are those of the Java client.
      await setTopicConfig(broker.brokers, source, 'compression.type', codec)
      const flags = ['--rate', '0', '--events', '15000', '--late', '0', '--jitter', '1s', '--seed', String(i + 1)]
      await pipeline.generate(...flags).ledger
    }
    const found = [...codecsOnDisk(source)]
    expect(found.map(([codec]) => codec)).toEqual(PACKED)
    for (const [codec, count] of found) expect(count, codec).toBeGreaterThan(1_000)
    expect(await pipeline.differences()).toEqual([])
  })
})
