import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { recountTopic } from '../../../src/dev/demo/resultFeed.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { createBatchSender } from '../../../src/kafka/batchSender.ts'
import { groupName, topicName } from '../../../src/kafka/names.ts'
import { redrivesTopic } from '../../../src/kafka/topics.ts'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'

const file = scenarioFile('personal data')

const USER = 'marked-user-4f9b'
const DEVICE = 'marked-device-77'
const ADDRESSES = ['203.0.113.77', '2001:db8:77:88::9a']
const MARKS = [USER, DEVICE, ...ADDRESSES]
const EVENTS = 400
const NO_ROLES = { aggregators: 0, reducers: 0, settings: { LOG_LEVEL: 'trace', STATS_INTERVAL: '1s' } }

for (const hashed of [false, true]) {
  const name = `marked personal data is found nowhere but where it belongs, user ids ${hashed ? 'hashed' : 'as they are'}`
  file.scenario(name, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-key-'))
    try {
      await writeFile(join(folder, 'key'), 'a key of more than sixteen bytes\n')
      const key: Record<string, string> = hashed ? { USER_ID_KEY_FILE: join(folder, 'key') } : {}
      const options = { ...NO_ROLES, settings: { ...NO_ROLES.settings, ...key } }
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
  const pages = await Promise.all(
    ports.flatMap(port => ['livez', 'readyz', 'healthz', 'metrics'].map(of => page(port, of))),
  )
  const commands = [['list'], ['count'], ['show', '--limit', '50'], ['redrive', '--code', 'missing_timestamp']]
  for (const command of commands) expect((await pipeline.run(['dlq', ...command])).code, command.join(' ')).toBe(0)
  await pipeline.drain()

  const found = async (what: string | null, text: string) => {
    expect(text.length, `${what} is there to be searched`).toBeGreaterThan(0)
    return MARKS.filter(mark => text.includes(mark))
  }
  expect(await found('source', await bytesOf(pipeline, pipeline.topic('source')))).toEqual(MARKS)
  expect(await found('dead letters', await bytesOf(pipeline, pipeline.topic('deadLetters')))).toEqual(MARKS)
  // The topics' purpose: who logged in, from which device. Addresses are masked, ids hashed if so set.
  const enriched = await bytesOf(pipeline, pipeline.topic('enriched'))
  expect(await found('enriched', enriched)).toEqual(hashed ? [DEVICE] : [USER, DEVICE])
  expect(enriched).toContain('203.0.113.0')
  expect(enriched).toContain('2001:db8:77::')
  for (const role of ['partials', 'results'] as const) {
    expect(await found(role, await bytesOf(pipeline, pipeline.topic(role))), role).toEqual([])
  }
  expect(await found('marks of redriven letters', await bytesOf(pipeline, redrivesTopic(pipeline.settings)))).toEqual(
    [],
  )
  expect(await found('commits', await commitsOf(pipeline))).toEqual([])
  expect(await found('logs and what commands print', await pipeline.logs())).toEqual([])
  expect(pages.join()).toContain('tidemark_')
  expect(await found('pages', pages.join('\n'))).toEqual([])
}

/** Marked users in events that are accepted, late, ahead, broken, and of wrong fields. */
async function sendMarked({ settings }: Pipeline): Promise<void> {
  const sender = await createBatchSender(settings.kafka)
  const now = Date.now()
  const messages = Array.from({ length: EVENTS }, (_, i) => {
    const event: Record<string, unknown> = {
      user_id: `${USER}-${i % 50}`,
      device_id: `${DEVICE}-${i % 70}`,
      ip: ADDRESSES[i % 2],
      device_type: 'ios',
      locale: 'NY',
      app_version: '1.2.3',
      timestamp: now,
    }
    const key = `${USER}-${i % 50}`
    const text = (more: Record<string, unknown>) => ({ key, value: JSON.stringify({ ...event, ...more }) })
    switch (i % 10) {
      case 1:
        return text({ timestamp: now - 3_600_000 })
      case 2:
        return text({ timestamp: now + 3_600_000 })
      case 3:
        return text({ timestamp: undefined })
      case 4:
        return { key, value: JSON.stringify(event).slice(0, -1) }
      case 5:
        return text({ device_type: `${DEVICE} ${'x'.repeat(600)}`, locale: `${USER} ${'y'.repeat(80)}` })
      case 6:
        return text({ user_id: [`${USER}-list`] })
      case 7:
        return text({ app_version: { of: ADDRESSES[0] }, device_id: `${DEVICE}${'z'.repeat(80)}` })
      default:
        return text({})
    }
  })
  for (let p = 0; p < settings.topics.sourcePartitions; p++) {
    await sender.send(
      settings.topics.source,
      p,
      messages.filter((_, i) => i % settings.topics.sourcePartitions === p),
    )
  }
  await sender.close()
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

/** The metadata of both groups' commits. */
async function commitsOf({ reader, settings }: Pipeline): Promise<string> {
  const texts: string[] = []
  for (const [stage, role, count] of [
    ['aggregate', 'source', settings.topics.sourcePartitions],
    ['reduce', 'partials', settings.topics.partialsPartitions],
  ] as const) {
    for (let partition = 0; partition < count; partition++) {
      const commit = await reader.readCommit(groupName(settings, stage), topicName(settings, role), partition)
      texts.push(JSON.stringify(commit))
    }
  }
  return texts.join('\n')
}

async function page(port: number, path: string): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/${path}`)).text()
}
