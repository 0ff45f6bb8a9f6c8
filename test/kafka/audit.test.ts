import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createKafka } from '../../src/kafka/client.ts'
import type { Result } from '../../src/results/result.ts'
import { deleteRecords } from './scenarios/support/kafkaTools.ts'
import { endPipelines, type Pipeline, withPipeline } from './scenarios/support/pipeline.ts'

const ALL_EQUAL = /^(\d+) of \1 equal$/m

let broker: EmbeddedKafka

beforeAll(async () => {
  broker = await startKafka()
})
afterAll(async () => {
  await endPipelines()
  await broker?.stop()
})

/** The windows of base size that are final, in their order. */
async function finals(pipeline: Pipeline): Promise<[key: string, result: Result][]> {
  const { byKey } = await pipeline.results()
  return [...byKey]
    .filter(([key, { status }]) => key.startsWith('2s/') && status !== 'provisional')
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Writes a result as somebody who may write to the topic could. */
async function write(pipeline: Pipeline, key: string, result: Result): Promise<void> {
  const producer = createKafka(pipeline.settings.kafka, () => {}).producer()
  await producer.connect()
  try {
    await producer.send({ topic: pipeline.topic('results'), messages: [{ key, value: JSON.stringify(result) }] })
  } finally {
    await producer.disconnect()
  }
}

test('what was counted is equal, and what was tampered with or is gone from the log is told', async () => {
  const settings = { DEVICE_STATS_TOPIC: 'audit-device-stats', USER_SAMPLE_SIZE: '64', SLIDING_WINDOWS: '6s/2s' }
  await withPipeline(broker, 'audit', { aggregators: 2, settings }, async pipeline => {
    const ledger = await pipeline.generate('--rate', '4000', '--seconds', '5').ledger
    await pipeline.settle(ledger.windows)
    await pipeline.drain()

    const [random, all, unknown] = await Promise.all([
      pipeline.run(['audit', '--random', '6', '--seed', '3']),
      pipeline.run(['audit', '--all', '--json']),
      pipeline.run(['audit', '--window', '2s/2020-01-01T00:00:00.000Z']),
    ])
    expect(random.output).toMatch(ALL_EQUAL)
    expect(random.output).toContain('--seed 3')
    expect(random.code).toBe(0)
    const lines = all.output
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    const audited = lines.slice(0, -1)
    expect(audited.filter(({ differences, device_stats }) => differences.length > 0 || !device_stats)).toEqual([])
    // A minute is among them when one has ended meanwhile.
    expect(audited.map(({ key }) => key.split('/')[0])).toEqual(expect.arrayContaining(['2s', '6s']))
    expect(lines.at(-1)).toEqual({ audited: audited.length, equal: audited.length, different: 0, unreachable: 0 })
    expect(all.code).toBe(0)
    expect(unknown.output).toMatch(/there is no 2s\/2020-01-01T00:00:00.000Z: stored are .*2s: \d+ from/)
    expect(unknown.code).toBe(2)

    const [first, second] = await finals(pipeline)
    const [key, result] = first!
    const device_stats = { ...result.device_stats, tv: (result.device_stats.tv ?? 0) + 1 }
    await write(pipeline, key, { ...result, revision: result.revision + 1, device_stats })
    const tampered = await pipeline.run(['audit', '--window', key, '--window', second![0]])
    const counted = result.device_stats.tv ?? 'nothing'
    expect(tampered.output).toContain(`device_stats.tv is ${device_stats.tv}, the log has ${counted}`)
    expect(tampered.output).toContain('1 of 2 equal')
    expect(tampered.code).toBe(1)

    const [p, { from, through }] = Object.entries(second![1].coverage).find(([, range]) => range.from < range.through)!
    await deleteRecords(broker.brokers, pipeline.topic('source'), new Map([[Number(p), from + 1]]))
    const cut = await pipeline.run(['audit', '--window', second![0]])
    expect(cut.output).toContain(
      `covers offsets ${from} to ${through - 1} of partition ${p}, whose log holds ${from + 1} to`,
    )
    expect(cut.code).toBe(3)
  })
})
