import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { command } from '../../src/commands/topics.ts'
import { configHash } from '../../src/config/configHash.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { Settings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createBatchSender } from '../../src/kafka/batchSender.ts'
import { checkReachable, createKafka } from '../../src/kafka/client.ts'
import { ensureTopics, partialsRetentionMs, verifyTopicsForRole, withAdmin } from '../../src/kafka/topics.ts'
import { decodeAggregateCommit } from '../../src/tasks/aggregateCommit.ts'

let broker: EmbeddedKafka
let reader: TopicReader
let serial = 0

beforeAll(async () => {
  broker = await startKafka()
  reader = createTopicReader(createKafka(fresh().settings.kafka, () => {}))
})
afterAll(async () => {
  await reader?.close()
  await broker?.stop()
})

/** Settings whose topics nobody has created yet. */
function fresh(over: Record<string, string> = {}) {
  const n = ++serial
  const env = {
    KAFKA_BROKERS: broker.brokers,
    CONSUMER_GROUP: `g${n}`,
    SOURCE_TOPIC: `source-${n}`,
    DLQ_TOPIC: `dead-${n}`,
    PARTIALS_TOPIC: `partials-${n}`,
    RESULTS_TOPIC: `results-${n}`,
    DEVICE_STATS_TOPIC: `devices-${n}`,
    ROLLUPS: '1m',
    SOURCE_PARTITIONS: '3',
    PARTIALS_PARTITIONS: '2',
    ...over,
  }
  const settings: Settings = loadSettings(env, path => readFileSync(path, 'utf8'))
  return { env, settings, kafka: createKafka(settings.kafka, () => {}) }
}

async function runCommand(env: NodeJS.ProcessEnv, options: Record<string, unknown> = {}, args: string[] = []) {
  const out: string[] = []
  const stream = { write: (text: string) => out.push(text) }
  const readFile = (path: string) => readFileSync(path, 'utf8')
  const code = await command.run({ env, readFile, stdout: stream, stderr: stream }, options, args)
  return { code, out: out.join('') }
}

test('topics are created as planned, and a second run finds nothing to do', async () => {
  const { env, settings, kafka } = fresh()
  await expect(verifyTopicsForRole(kafka, settings, 'aggregate')).rejects.toMatchObject({
    code: 'refused_topic',
    message: expect.stringContaining("run 'tidemark topics'"),
  })
  expect(await runCommand(env)).toMatchObject({ code: 0, out: expect.stringContaining('created partials-') })
  expect(await ensureTopics(kafka, settings)).toEqual({ created: [], differences: [] })
  const { topics } = settings
  const counts = [topics.source, topics.deadLetters, topics.partials, topics.results].map(reader.partitionCount)
  expect(await Promise.all(counts)).toEqual([3, 3, 2, 2])
  expect(await reader.partitionCount('no-such-topic')).toBeNull()
  expect(await reader.topicConfig(topics.partials)).toMatchObject({
    'cleanup.policy': 'delete',
    'message.timestamp.type': 'LogAppendTime',
    'retention.ms': String(partialsRetentionMs(settings, { sizeMs: settings.windowSizeMs })),
  })
  expect((await reader.topicConfig(topics.results))['cleanup.policy']).toBe('compact')
  expect((await reader.topicConfig(topics.source))['message.timestamp.type']).toBe('CreateTime')
  await verifyTopicsForRole(kafka, settings, 'aggregate')
  await verifyTopicsForRole(kafka, settings, 'reduce')
})

test('a topic that would make counts wrong is refused, each difference in a line; more source partitions are a note', async () => {
  const { env, settings, kafka } = fresh()
  await withAdmin(kafka, admin =>
    admin.createTopics({
      topics: [
        { topic: settings.topics.source, numPartitions: 5 },
        {
          topic: settings.topics.partials,
          numPartitions: 4,
          configEntries: [
            { name: 'retention.ms', value: '60000' },
            { name: 'message.timestamp.type', value: 'CreateTime' },
          ],
        },
      ],
    }),
  )
  const { code, out } = await runCommand(env)
  expect(code).toBe(3)
  const lines = out.split('\n')
  expect(lines).toContainEqual(expect.stringMatching(/^note: .*source.* has 5 partitions, planned are 3/))
  expect(lines).toContainEqual(expect.stringMatching(/^refused: .* has 4 partitions, .*set PARTIALS_PARTITIONS=4/))
  expect(lines).toContainEqual(expect.stringMatching(/^refused: .*retention.ms=60000, .*--add-config retention.ms=\d+/))
  expect(lines).toContainEqual(expect.stringMatching(/^refused: .*timestamp.type=CreateTime/))
  const verified = verifyTopicsForRole(kafka, settings, 'reduce')
  await expect(verified).rejects.toMatchObject({ code: 'refused_partition_count' })
})

test('a longer retention is as good', async () => {
  const { settings, kafka } = fresh({ CORRECTION_HORIZON: '2h' })
  await ensureTopics(kafka, settings)
  const shorter = { ...settings, correctionHorizonMs: 60_000 }
  expect((await ensureTopics(kafka, shorter)).differences).toEqual([])
  const longer = { ...settings, correctionHorizonMs: 24 * 3_600_000 }
  await expect(verifyTopicsForRole(kafka, longer, 'reduce')).rejects.toMatchObject({ code: 'refused_topic' })
})

test('rewind starts the next generation with its topics and its commits, once', async () => {
  const { env, settings, kafka } = fresh()
  await ensureTopics(kafka, settings)
  const sender = await createBatchSender(settings.kafka)
  const now = Date.now()
  const messages = [now - 1_000, now, now + 1_000].map(timestamp => ({ key: null, value: 'v', timestamp }))
  await sender.send(settings.topics.source, 0, messages)
  await sender.close()

  await expect(runCommand(env, { to: '0:1' }, ['rewind'])).rejects.toMatchObject({ code: 'usage' })
  await expect(runCommand(env, { to: '0:4,1:0,2:0' }, ['rewind'])).rejects.toMatchObject({ code: 'usage' })
  await expect(runCommand(env, { to: 'yesterday' }, ['rewind'])).rejects.toMatchObject({ code: 'usage' })
  const { code, out } = await runCommand(env, { to: new Date(now).toISOString() }, ['rewind'])
  expect(code).toBe(0)
  expect(out).toContain('STREAM_GENERATION=2')
  expect(out).toContain('begins at 0:1,1:0,2:0')
  expect(await reader.partitionCount(`${settings.topics.partials}-g2`)).toBe(2)
  expect(await reader.partitionCount(`${settings.topics.results}-g2`)).toBe(2)
  const commit = await reader.readCommit(`${settings.consumerGroup}-aggregate-g2`, settings.topics.source, 0)
  const next = { ...settings, generation: 2 }
  expect(decodeAggregateCommit(commit!)).toMatchObject({ offset: 1, replayFrom: 1, configHash: configHash(next) })
  expect(await reader.readCommit(`${settings.consumerGroup}-aggregate`, settings.topics.source, 0)).toBeNull()
  await verifyTopicsForRole(kafka, next, 'reduce')

  await expect(runCommand(env, { to: 'earliest' }, ['rewind'])).rejects.toMatchObject({ code: 'refused_topic' })
  const third = await runCommand({ ...env, STREAM_GENERATION: '2' }, { to: '0:3,1:0,2:0' }, ['rewind'])
  expect(third.out).toContain('STREAM_GENERATION=3')
})

test('check tells before any process starts whether its settings may go on from what is committed', async () => {
  const { env, settings, kafka } = fresh()
  expect(await runCommand(env, {}, ['check'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('of 0 partitions'),
  })
  await ensureTopics(kafka, settings)
  expect((await runCommand(env, {}, ['check'])).out).toContain('of 0 partitions; 7 have none yet')

  await runCommand(env, { to: 'earliest' }, ['rewind'])
  const second = { ...env, STREAM_GENERATION: '2' }
  expect(await runCommand(second, {}, ['check'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('of 3 partitions'),
  })
  const changed = { ...second, ALLOWED_LATENESS: '40s' }
  await expect(runCommand(changed, {}, ['check'])).rejects.toMatchObject({
    code: 'refused_config_hash',
    message: expect.stringContaining(`${settings.topics.source}, group ${settings.consumerGroup}-aggregate-g2`),
  })
  await expect(runCommand({ ...second, PARTIALS_PARTITIONS: '3' }, {}, ['check'])).rejects.toMatchObject({
    code: 'refused_partition_count',
  })
  expect(await runCommand({ ...changed, STREAM_GENERATION: '3' }, {}, ['check'])).toMatchObject({ code: 0 })
})

test('remove shows what belongs to a generation alone, and deletes that with --yes', async () => {
  const { env, settings, kafka } = fresh()
  await ensureTopics(kafka, settings)
  expect(await runCommand(env, { to: 'earliest' }, ['rewind'])).toMatchObject({ code: 0 })
  const asked = { generation: '1' }
  await expect(runCommand(env, asked, ['remove'])).rejects.toMatchObject({ code: 'usage' })
  const second = { ...env, STREAM_GENERATION: '2' }
  const { topics } = settings
  const old = [topics.partials, `${topics.partials}-1m`, topics.results, topics.deviceStats]
  const shown = await runCommand(second, asked, ['remove'])
  const named = [...shown.out.matchAll(/^topic ([^:]+):/gm)].map(([, name]) => name)
  expect(named.sort()).toEqual([...old].sort())
  expect(shown.out).toContain('nothing was removed')
  expect(await Promise.all(old.map(reader.partitionCount))).toEqual([2, 2, 2, 2])

  expect(await runCommand(second, { ...asked, yes: true }, ['remove'])).toMatchObject({ code: 0 })
  expect(await Promise.all(old.map(reader.partitionCount))).toEqual([null, null, null, null])
  expect(await Promise.all(old.map(name => reader.partitionCount(`${name}-g2`)))).toEqual([2, 2, 2, 2])
  expect((await runCommand(second, asked, ['remove'])).out).toContain('there is nothing of generation 1')
  await verifyTopicsForRole(kafka, { ...settings, generation: 2 }, 'reduce')
})

test('brokers that do not answer are named within about 5 s, also one that accepts and is silent', async () => {
  const kafka = { ...fresh().settings.kafka, brokers: ['127.0.0.1:1', '127.0.0.1:2'] }
  const refused = checkReachable(kafka, () => {})
  await expect(refused).rejects.toMatchObject({ code: 'unreachable', message: /127.0.0.1:1, 127.0.0.1:2/ })
  broker.pause()
  const startedAt = Date.now()
  const silent = checkReachable({ ...kafka, brokers: [broker.brokers] }, () => {})
  await expect(silent).rejects.toMatchObject({ code: 'unreachable' })
  expect(Date.now() - startedAt).toBeLessThan(7_000)

  // With --wait a command that comes before its broker asks on.
  const { env } = fresh()
  const waiting = runCommand(env, { wait: '30s' }, ['check'])
  await new Promise(resolve => setTimeout(resolve, 6_000))
  broker.resume()
  expect(await waiting).toMatchObject({ code: 0 })
  await expect(runCommand(env, { wait: 'long' }, ['check'])).rejects.toMatchObject({ code: 'usage' })
})
