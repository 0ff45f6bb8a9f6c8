import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { loadSettings } from '../../src/config/load.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { type RoleProcess, startRole } from '../../src/dev/roleProcess.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { ensureTopics } from '../../src/kafka/topics.ts'
import { decodeResult } from '../../src/results/decode.ts'
import type { Result } from '../../src/results/result.ts'
import { type ReceivedSpan, startOtlpReceiver } from './otlpReceiver.ts'

const WAIT_MS = 60_000
const START_MS = 180_000
const ROLES = ['aggregate', 'reduce', 'sink'] as const
/** The span of the app that sent the login, elsewhere. */
const LOGIN = { traceId: 'c0ffee00c0ffee00c0ffee00c0ffee00', spanId: 'decafbaddecafbad' }

let broker: EmbeddedKafka
let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>
let reader: TopicReader
let folder: string
let env: NodeJS.ProcessEnv
let roles: RoleProcess[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-trace-'))
  ;[broker, receiver] = await Promise.all([startKafka(), startOtlpReceiver()])
  env = {
    KAFKA_BROKERS: broker.brokers,
    SOURCE_PARTITIONS: '2',
    PARTIALS_PARTITIONS: '1',
    WINDOW_SIZE: '1s',
    ROLLUPS: '1m',
    ALLOWED_LATENESS: '1s',
    IDLE_TIMEOUT: '1s',
    FLUSH_INTERVAL: '200ms',
    EMIT_INTERVAL: '200ms',
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '200',
  }
  const kafka = createKafka(settings().kafka, () => {})
  await ensureTopics(kafka, settings())
  reader = createTopicReader(kafka)
  roles = ROLES.map(role =>
    startRole({ args: [role], name: role, env: { ...env }, logFile: join(folder, `${role}.log`) }),
  )
  // An embedded database may take longer to start than all else takes in the test.
  await Promise.all(roles.map(role => role.line(({ event }) => event === 'restored')))
}, START_MS)
afterAll(async () => {
  for (const role of roles) role.kill('SIGKILL')
  await Promise.all(roles.map(({ exited }) => exited))
  await reader?.close()
  await Promise.all([broker?.stop(), receiver?.close()])
  rmSync(folder, { recursive: true, force: true })
})

const settings = () => loadSettings(env, () => '')
const idsOf = ({ traceId, spanId }: { traceId: string; spanId: string }) => `${traceId}/${spanId}`

/** The spans of that name that link to the one given. */
function linking(name: string, to: { readonly traceId: string; readonly spanId: string }): ReceivedSpan[] {
  return receiver.spans.filter(span => span.name === name && span.links.map(idsOf).includes(idsOf(to)))
}

async function results(): Promise<Result[]> {
  const found: Result[] = []
  await reader.readAll({
    topic: 'aggregated-usage',
    readCommitted: true,
    onMessage: ({ value }) => {
      const result = value === null ? null : decodeResult(value)
      if (result !== null) found.push(result)
    },
  })
  return found
}

/** Whatever `look` finds, as soon as it finds it. */
function until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  return vi.waitFor(
    async () => {
      const found = await look()
      if (found === undefined) throw new Error('not there yet')
      return found
    },
    { timeout: WAIT_MS, interval: 200 },
  )
}

test(
  'ids lead from a login to its final result and into the database, and back',
  async () => {
    const sender = await createBatchSender(settings().kafka)
    const value = JSON.stringify({ user_id: 'u', timestamp: new Date().toISOString(), device_type: 'ios' })
    const traceparent = `00-${LOGIN.traceId}-${LOGIN.spanId}-01`
    await sender.send('user-login', 1, [{ key: 'u', value, headers: [['traceparent', traceparent]] }])
    await sender.close()

    // From the login: the batch that it was processed in, the flush that merged it, what that told, and its rows.
    const [batch] = await until(() => atLeastOne(linking('process user-login', LOGIN)))
    const [merge] = await until(() => atLeastOne(linking('process login-partials', batch)))
    const told = await until(async () => (await results()).find(({ trace }) => trace?.span_id === merge.spanId))
    expect(told).toMatchObject({ window: { size: '1s' }, batch_size: 1, trace: { trace_id: merge.traceId } })
    const [rows] = await until(() => atLeastOne(linking('process aggregated-usage', merge)))
    const write = await until(() => receiver.spans.find(span => span.parentSpanId === rows.spanId))
    expect(write.name).toBe('write tidemark.windows')

    // And from the final result back to the login, by what it says alone.
    const { trace } = await until(async () => (await results()).find(each => each.status === 'final' && each.trace))
    const from = await until(() => receiver.spans.find(({ spanId }) => spanId === trace?.span_id))
    const partials = receiver.spans.filter(span => from.links.map(idsOf).includes(idsOf(span)))
    expect(partials.map(({ service }) => service)).toContain('tidemark-aggregate')
    expect(partials.flatMap(({ links }) => links.map(idsOf))).toContain(idsOf(LOGIN))

    // One trace all the way, since nothing else was sampled.
    const all = [batch, merge, rows, write, from]
    expect(new Set(all.map(({ traceId }) => traceId))).toEqual(new Set([LOGIN.traceId]))
    expect(all.map(({ service }) => service)).toEqual([
      'tidemark-aggregate',
      'tidemark-reduce',
      'tidemark-sink',
      'tidemark-sink',
      'tidemark-reduce',
    ])
    process.stdout.write(`${all.map(span => `${span.name}  ${idsOf(span)}  <- ${span.parentSpanId}`).join('\n')}\n`)
  },
  START_MS,
)

function atLeastOne<T>(found: readonly T[]): readonly [T, ...T[]] | undefined {
  const [first, ...rest] = found
  return first === undefined ? undefined : [first, ...rest]
}
