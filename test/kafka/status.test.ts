import { hostname } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { withAdmin } from '../../src/kafka/topics.ts'
import { runCli } from '../../src/main.ts'
import type { StatusReport } from '../../src/status/report.ts'
import { endPipelines, type Pipeline, withPipeline } from './scenarios/support/pipeline.ts'

let broker: EmbeddedKafka

beforeAll(async () => {
  broker = await startKafka()
})
afterAll(async () => {
  await endPipelines()
  await broker?.stop()
})

type Told = { readonly code: number; readonly output: string }

async function status(
  pipeline: Pipeline,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Told> {
  const texts: string[] = []
  const stream = { write: (text: string) => texts.push(text) }
  const context = { env: { ...pipeline.env, ...env }, readFile: () => '{}', stdout: stream, stderr: stream }
  const code = await runCli(['status', '--no-kubernetes', ...args], context, {
    status: { summary: '', load: () => import('../../src/commands/status.ts') },
  })
  return { code, output: texts.join('') }
}

test('what the brokers know is told, without a cluster; who has left owns nothing', async () => {
  await withPipeline(broker, 'status', { aggregators: 2 }, async pipeline => {
    const ledger = await pipeline.generate('--rate', '2000', '--seconds', '2').ledger
    await pipeline.settle(ledger.windows)

    const running = await status(pipeline, ['--json', '--check'])
    const report = JSON.parse(running.output) as StatusReport & { readonly problems: string[] }
    expect(report).toMatchObject({ problems: [], notes: [], pods: [], sides: { kafka: { state: 'answered' } } })
    expect(running.code).toBe(0)
    expect(report.partitions.map(({ partition }) => partition)).toEqual([0, 1, 2, 3, 4, 5])
    const { totals } = report
    const rejected = Object.values(totals!.rejected).reduce((sum, count) => sum + count, 0)
    expect(totals!.accepted + totals!.late + rejected).toBe(ledger.acknowledged)
    const told = report.partitions.reduce((sum, each) => sum + each.accepted! + each.late! + each.rejected!, 0)
    expect(told).toBe(ledger.acknowledged)
    expect(report.partitions.every(({ idleSince }) => idleSince !== undefined)).toBe(true)
    expect(new Set(report.partitions.map(({ owner }) => owner))).toHaveLength(2)
    expect(report.members?.map(({ stage }) => stage)).toEqual(['aggregate', 'aggregate', 'reduce'])
    expect(report.reducers.map(({ level, partition }) => `${level}/${partition}`)).toEqual(
      ['2s', '1m', '1h', '1d'].flatMap(level => [`${level}/0`, `${level}/1`]),
    )
    expect(new Set(report.reducers.map(({ owner }) => owner))).toEqual(new Set([hostname()]))
    const { byKey } = await pipeline.results()
    const last = [...byKey.values()].filter(({ window }) => window.size === '2s').map(({ window }) => window.start)
    expect(report.windows[0]?.start).toBe(last.sort().at(-1))
    expect(report.windows.some(({ size, status }) => size === '2s' && status !== 'provisional')).toBe(true)
    expect(report.deadLetters?.offsets).toBeGreaterThanOrEqual(totals!.late + rejected)

    await pipeline.drain()
    const left = await status(pipeline, ['--check'])
    expect(left.output).toContain('wrong: source partition 5: nobody owns it\n')
    expect(left.output).toContain('wrong: partials partition 1d/1: nobody owns it\n')
    expect(left.code).toBe(1)

    await produce(pipeline, 3)
    const behind = await status(pipeline, ['--check', '--max-lag', '2'])
    expect(behind.output).toContain(`source partition 0: a lag of 3, above 2`)
    expect(report.partitions[0]?.lag).toBe(0)

    // Nothing is made by being asked for.
    const absent = await status(pipeline, [], { SOURCE_TOPIC: 'status-absent' })
    expect(absent.output).toMatch(/^note: kafka: status-absent: there is no such topic$/m)
    expect(absent.code).toBe(0)
    const kafka = createKafka(pipeline.settings.kafka, () => {})
    expect(await withAdmin(kafka, admin => admin.listTopics())).not.toContain('status-absent')

    const away = await status(pipeline, [], { KAFKA_BROKERS: '127.0.0.1:1' })
    expect(away.output).toMatch(/^✗ kafka +127\.0\.0\.1:1: no Kafka broker can be reached at 127\.0\.0\.1:1/m)
    expect(away.code).toBe(3)
  })
})

async function produce(pipeline: Pipeline, count: number): Promise<void> {
  const producer = createKafka(pipeline.settings.kafka, () => {}).producer()
  await producer.connect()
  const messages = Array.from({ length: count }, () => ({ partition: 0, value: '{}' }))
  await producer.send({ topic: pipeline.topic('source'), messages })
  await producer.disconnect()
}
