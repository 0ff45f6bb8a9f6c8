import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { recountTopic } from '../../../src/dev/demo/resultFeed.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { createBatchSender } from '../../../src/kafka/batchSender.ts'
import { createKafka } from '../../../src/kafka/client.ts'
import { redrivesTopic, withAdmin } from '../../../src/kafka/topics.ts'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'

const file = scenarioFile('personal data')

const USER = 'marked-user-4f9b'
const DEVICE = 'marked-device-77'
const ADDRESSES = [
  ...['203.0.113.77', '2001:db8:77:88::9a'],
  ...['2001:0DB8:0077:0088:0000:0000:0000:009A', '::ffff:203.0.113.77'],
]
const MARKS = [USER, DEVICE, ...ADDRESSES]
const EVENTS = 400
const COMMITS = '__consumer_offsets'
const SETTINGS = { LOG_LEVEL: 'trace', STATS_INTERVAL: '1s', MAX_EVENT_BYTES: '4KiB' }

for (const hashed of [false, true]) {
  const name = `marked personal data is found nowhere but where it belongs, user ids ${hashed ? 'hashed' : 'as they are'}`
  file.scenario(name, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-key-'))
    try {
      await writeFile(join(folder, 'key'), 'a key of more than sixteen bytes\n')
      const key: Record<string, string> = hashed ? { USER_ID_KEY_FILE: join(folder, 'key') } : {}
      const options = { aggregators: 0, reducers: 0, settings: { ...SETTINGS, ...key } }
      await withPipeline(file.kafka, `personal-${hashed}`, options, pipeline => search(pipeline, hashed))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
}

async function search(pipeline: Pipeline, hashed: boolean): Promise<void> {
  const ports = await freePorts(2, '0.0.0.0')
  pipeline.add('aggregate', { HTTP_PORT: String(ports[0]) })
  pipeline.add('reduce', { HTTP_PORT: String(ports[1]) })
  await Promise.all(pipeline.roles.map(role => role.line('live')))
  await sendMarked(pipeline)
  const { windows } = await recountTopic(pipeline.reader, pipeline.topic('source'), pipeline.settings)
  await pipeline.settle(windows)
  await expect.poll(() => pipeline.outputDifferences(), { timeout: 30_000, interval: 1_000 }).toEqual([])
  const pages = await Promise.all(
    ports.flatMap(port => ['livez', 'readyz', 'healthz', 'metrics'].map(of => page(port, of))),
  )
  const commands = [['list'], ['count'], ['show', '--limit', '50'], ['redrive', '--code', 'missing_timestamp']]
  for (const command of commands) expect((await pipeline.run(['dlq', ...command])).code, command.join(' ')).toBe(0)
  await pipeline.drain()

  const found = (what: string, text: string) => {
    expect(text.length, `${what} is there to be searched`).toBeGreaterThan(0)
    return MARKS.filter(mark => text.includes(mark))
  }
  expect(found('source', await bytesOf(pipeline, pipeline.topic('source')))).toEqual(MARKS)
  expect(found('dead letters', await bytesOf(pipeline, pipeline.topic('deadLetters')))).toEqual(MARKS)
  // The topics' purpose: who logged in, from which device. Addresses are masked, ids hashed if so set.
  const enriched = await bytesOf(pipeline, pipeline.topic('enriched'))
  expect(found('enriched', enriched)).toEqual(hashed ? [DEVICE] : [USER, DEVICE])
  expect(enriched).toContain('203.0.113.0')
  expect(enriched).toContain('2001:db8:77::')
  const others = await otherTopics(pipeline)
  expect(others).toEqual(expect.arrayContaining([redrivesTopic(pipeline.settings), COMMITS]))
  for (const topic of others) expect(found(topic, await bytesOf(pipeline, topic)), topic).toEqual([])
  const printed = await pipeline.logs()
  expect(printed, 'lines about rejected events are among them').toContain('"event":"rejected"')
  expect(found('logs', printed), 'logs and what commands print').toEqual([])
  expect(pages.join()).toContain('tidemark_')
  expect(found('pages', pages.join('\n')), 'pages').toEqual([])
}

async function sendMarked({ settings }: Pipeline): Promise<void> {
  const { source, sourcePartitions } = settings.topics
  const sender = await createBatchSender(settings.kafka)
  const now = Date.now()
  const messages = Array.from({ length: EVENTS }, (_, i) => ({ key: `${USER}-${i % 50}`, value: markedEvent(i, now) }))
  for (let p = 0; p < sourcePartitions; p++) {
    const own = messages.filter((_, i) => i % sourcePartitions === p)
    await sender.send(source, p, own)
  }
  await sender.close()
}

/** A marked user's event: accepted, late, ahead, broken, or with marks where they do not belong. */
function markedEvent(i: number, now: number): string {
  const event: Record<string, unknown> = {
    user_id: `${USER}-${i % 50}`,
    device_id: `${DEVICE}-${i % 70}`,
    ip: ADDRESSES[i % ADDRESSES.length],
    device_type: 'ios',
    locale: 'NY',
    app_version: '1.2.3',
    timestamp: now,
  }
  const text = (more: Record<string, unknown>) => JSON.stringify({ ...event, ...more })
  switch (i % 11) {
    case 1:
      return text({ timestamp: now - 3_600_000 })
    case 2:
      return text({ timestamp: now + 3_600_000 })
    case 3:
      return text({ timestamp: undefined })
    case 4:
      return JSON.stringify(event).slice(0, -1)
    case 5:
      return text({
        device_type: `${DEVICE} ${'x'.repeat(600)}`,
        locale: `${USER} ${'y'.repeat(80)}`,
        ip: ADDRESSES.join(', '),
      })
    case 6:
      return text({ user_id: i % 2 === 0 ? [`${USER}-list`] : USER.repeat(100) })
    case 7:
      return text({ app_version: { of: ADDRESSES[0] }, device_id: `${DEVICE}${'z'.repeat(80)}` })
    case 8:
      return JSON.stringify({ specversion: '1.0', type: 'login', id: String(i), subject: USER, data: event })
    case 9:
      return text({ padding: 'p'.repeat(8_192) })
    case 10:
      return text({ timestamp: `${USER} ${ADDRESSES[0]}` })
    default:
      return text({})
  }
}

/** Keys, values and headers of all that a topic holds, committed or not. */
async function bytesOf(pipeline: Pipeline, topic: string): Promise<string> {
  const parts: string[] = []
  await pipeline.reader.readAll({
    topic,
    readCommitted: false,
    onMessage: ({ key, value, headers }) => {
      parts.push(String(key), String(value), ...headers.flatMap(([name, bytes]) => [name, String(bytes)]))
    },
  })
  return parts.join('\n')
}

/**
 * All that the brokers hold but the three topics that may tell who logged in: also Kafka's own topics, with every commit
 * that was ever made, and what a later version of Tidemark adds. The topics of other runs are left out.
 */
async function otherTopics(pipeline: Pipeline): Promise<string[]> {
  const kafka = createKafka(pipeline.settings.kafka, () => {})
  const all = await withAdmin(kafka, admin => admin.listTopics())
  const may = (['source', 'enriched', 'deadLetters'] as const).map(role => pipeline.topic(role))
  const { consumerGroup } = pipeline.settings
  return all.filter(topic => (topic.startsWith('__') || topic.startsWith(`${consumerGroup}-`)) && !may.includes(topic))
}

async function page(port: number, path: string): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/${path}`)).text()
}
