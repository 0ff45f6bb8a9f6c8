import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadSettings } from '../../src/config/load.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../src/dev/kafka/ports.ts'
import { type RoleProcess, startRole } from '../../src/dev/roleProcess.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { ensureTopics } from '../../src/kafka/topics.ts'
import { decodeResult } from '../../src/results/decode.ts'
import type { Result } from '../../src/results/result.ts'
import { METRICS, type MetricSpec, PREFIX } from '../../src/telemetry/catalogue.ts'
import { type Collector, collectorProgram, startCollector } from './collector.ts'
import { unknownAttributes } from './conventions.ts'
import {
  type OtlpReceiver,
  type ReceivedMetric,
  type ReceivedPoint,
  type ReceivedSpan,
  startOtlpReceiver,
} from './otlpReceiver.ts'

const WAIT_MS = 60_000
const START_MS = 180_000
/** Each speaks to the Collector in another of OTLP's ways. */
const PROTOCOLS = { aggregate: 'http/protobuf', reduce: 'grpc', sink: 'http/json', serve: 'http/protobuf' } as const
type Role = keyof typeof PROTOCOLS
const ROLES = Object.keys(PROTOCOLS) as readonly Role[]
/** The span of the app that sent the login, elsewhere. */
const LOGIN = { traceId: 'c0ffee00c0ffee00c0ffee00c0ffee00', spanId: 'decafbaddecafbad' }
/** What a reader of a walk wants to see of a span. */
const TELLING = [
  'messaging.destination.partition.id',
  'messaging.consumer.group.name',
  'messaging.batch.message_count',
  'kafka.offset',
  'db.system.name',
  'db.operation.batch.size',
]
const NO_POINT: ReceivedPoint = { attributes: {}, startMs: 0, timeMs: 0 }

let broker: EmbeddedKafka
let receiver: OtlpReceiver
let collector: Collector
let reader: TopicReader
let folder: string
/** Those of the aggregator and of serve. */
let ports: number[]
let env: NodeJS.ProcessEnv
let roles: RoleProcess[] = []

const settings = () => loadSettings(env, () => '')
const idsOf = ({ traceId, spanId }: { traceId: string; spanId: string }) => `${traceId}/${spanId}`

describe.skipIf(collectorProgram === null)('what a real Collector hands on', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-trace-'))
    ;[broker, receiver, ports] = await Promise.all([startKafka(), startOtlpReceiver(), freePorts(2, '127.0.0.1')])
    collector = await startCollector(collectorProgram ?? '', receiver.endpoint)
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
      LOG_LEVEL: 'debug',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_LOGS_EXPORTER: 'otlp',
      OTEL_BSP_SCHEDULE_DELAY: '200',
      OTEL_BLRP_SCHEDULE_DELAY: '200',
      OTEL_METRIC_EXPORT_INTERVAL: '500',
    }
    const kafka = createKafka(settings().kafka, () => {})
    await ensureTopics(kafka, settings())
    reader = createTopicReader(kafka)
    roles = ROLES.map(start)
    // An embedded database may take longer to start than all else takes in the test.
    await Promise.all(
      roles.map(role => role.line(({ event }) => event === (role.name === 'serve' ? 'ready' : 'restored'))),
    )
  }, START_MS)
  afterAll(async () => {
    for (const role of roles) role.kill('SIGKILL')
    await Promise.all(roles.map(({ exited }) => exited))
    await reader?.close()
    await Promise.all([broker?.stop(), collector?.stop(), receiver?.close()])
    rmSync(folder, { recursive: true, force: true })
  })

  it('leads by ids from a login to its final result and into the database, and back', walk, START_MS)
  it('has only attributes of the semantic conventions and our own', checkNames)
  it('has the metrics that are scraped', compareMetrics, START_MS)
  it('has the log, each line of a flush with the ids of its span', compareLogs, START_MS)
})

function start(role: Role): RoleProcess {
  const own = {
    OTEL_EXPORTER_OTLP_PROTOCOL: PROTOCOLS[role],
    OTEL_EXPORTER_OTLP_ENDPOINT: PROTOCOLS[role] === 'grpc' ? collector.grpc : collector.http,
    ...(role === 'aggregate' ? { HTTP_PORT: String(ports[0]) } : {}),
    ...(role === 'serve' ? { HTTP_PORT: String(ports[1]) } : {}),
  }
  return startRole({ args: [role], name: role, env: { ...env, ...own }, logFile: join(folder, `${role}.log`) })
}

async function walk(): Promise<void> {
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
  const write = await until(() => receiver.spans.find(childOf(rows, 'write tidemark.windows')))

  // And from the final result back to the login, by what it says alone.
  const final = await until(async () => (await results()).find(each => each.status === 'final' && each.trace))
  const from = await until(() => receiver.spans.find(({ spanId }) => spanId === final.trace?.span_id))
  const partials = receiver.spans.filter(span => from.links.map(idsOf).includes(idsOf(span)))
  expect(partials.map(({ service }) => service)).toContain('tidemark-aggregate')
  expect(partials.flatMap(({ links }) => links.map(idsOf))).toContain(idsOf(LOGIN))

  // One trace all the way, since nothing else was sampled.
  const all = [batch, merge, rows, write, from]
  expect(new Set(all.map(({ traceId }) => traceId))).toEqual(new Set([LOGIN.traceId]))
  const services = ['aggregate', 'reduce', 'sink', 'sink', 'reduce'].map(role => `tidemark-${role}`)
  expect(all.map(({ service }) => service)).toEqual(services)
  const there = [batch, merge, rows].flatMap(span => [
    lineOf(span),
    ...childrenOf(span).map(child => `  ${lineOf(child)}`),
  ])
  const back = [from, ...partials].map(lineOf)
  const login = `  the app's span ${LOGIN.spanId}`
  print(`trace ${LOGIN.traceId}, from the login`, [login, ...there, resultLine(told)])
  print('and back, from the final result', [resultLine(final), ...back, login])
}

function print(head: string, lines: readonly string[]): void {
  process.stdout.write(`${head}\n${lines.join('\n')}\n`)
}

function checkNames(): void {
  const { spans, logs, metrics } = receiver
  expect(spans.length).toBeGreaterThan(5)
  expect(new Set(spans.map(({ service }) => service))).toEqual(
    new Set(['tidemark-aggregate', 'tidemark-reduce', 'tidemark-sink']),
  )
  const names = [...spans, ...logs].flatMap(({ attributes, resource }) => [attributes, resource].flatMap(Object.keys))
  expect(unknownAttributes([...names, ...metrics.flatMap(({ resource }) => Object.keys(resource))])).toEqual([])
  expect(names).toEqual(expect.arrayContaining(['service.instance.id', 'service.version', 'messaging.system.name']))
  for (const { name, attributes } of spans.filter(span => span.attributes['messaging.system.name'] === 'kafka')) {
    expect(name).toBe(`${attributes['messaging.operation.name']} ${attributes['messaging.destination.name']}`)
  }
}

async function compareMetrics(): Promise<void> {
  await Promise.all([sendsWhatIsScraped('aggregate', ports[0]), sendsWhatIsScraped('serve', ports[1])])
  await until(() => numberOf('aggregate', 'tidemark_events_total', { outcome: 'accepted' }) === 1 || undefined)
  expect(numberOf('aggregate', 'tidemark_events_total', { outcome: 'rejected' })).toBe(0)
  expect(numberOf('sink', 'tidemark_database_up', {})).toBe(1)
  expect(numberOf('serve', 'tidemark_ready', {})).toBe(1)

  const flush = latestOf('reduce').get('tidemark_flush_duration_seconds')
  expect(flush?.unit).toBe('s')
  const [{ count = 0, counts = [], bounds, sum, startMs, timeMs } = NO_POINT] = flush?.points ?? []
  const spec: MetricSpec = METRICS.flush_duration_seconds
  expect(bounds).toEqual(spec.buckets)
  expect(counts.reduce((all, each) => all + each, 0)).toBe(count)
  expect(count).toBeGreaterThan(0)
  expect(sum).toBeGreaterThan(0)
  expect(timeMs).toBeGreaterThan(startMs + 1_000)
}

/** Of our own metrics, what is scraped is sent, under its name and as what it is, and nothing else; beside those of Node. */
async function sendsWhatIsScraped(role: Role, port: number | undefined): Promise<void> {
  await vi.waitFor(
    async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
        ([, name = '', type = '']) => [name, type] as const,
      )
      const scraped = types.filter(([name]) => new RegExp(`^${name}(_count)?[ {]`, 'm').test(text))
      const sent = [...latestOf(role).values()].map(({ name, kind, isCumulativeCounter }) => {
        return [name, isCumulativeCounter ? 'counter' : kind] as const
      })
      expect(ours(sent)).toEqual(ours(scraped))
      expect(sent).toEqual(expect.arrayContaining([['process_cpu_seconds_total', 'counter']]))
    },
    { timeout: WAIT_MS, interval: 500 },
  )
}

const ours = (metrics: readonly (readonly [name: string, type: string])[]) =>
  metrics.filter(([name]) => name.startsWith(PREFIX)).toSorted(([one], [other]) => (one < other ? -1 : 1))

async function compareLogs(): Promise<void> {
  const [batch] = await until(() => atLeastOne(linking('process user-login', LOGIN)))
  const flushed = await until(() => receiver.logs.find(({ spanId }) => spanId === batch.spanId))
  expect(flushed).toMatchObject({
    service: 'tidemark-aggregate',
    eventName: 'tidemark.flushed',
    body: 'Outputs and position of a partition are committed.',
    severityText: 'debug',
    severityNumber: 5,
    traceId: LOGIN.traceId,
    attributes: { 'tidemark.partition': 1, 'tidemark.offset': 1 },
  })
  const services = new Set(receiver.logs.map(({ service }) => service))
  expect(services).toEqual(new Set(ROLES.map(role => `tidemark-${role}`)))

  // The last lines of a role that drains come, too.
  const [aggregate] = roles
  aggregate?.kill('SIGTERM')
  expect(await aggregate?.exited).toBe(0)
  await until(() =>
    receiver.logs.find(
      ({ service, eventName }) => service === 'tidemark-aggregate' && eventName === 'tidemark.drained',
    ),
  )
  expect(receiver.logs.filter(({ eventName }) => eventName === 'tidemark.tracing_trouble')).toEqual([])
  expect(collector.lastLines()).not.toMatch(/\berror\b/i)
}

function resultLine({ window: { size, start: from }, status, revision, trace }: Result): string {
  return `  result ${size}/${from}, ${status}, revision ${revision}: trace.span_id ${trace?.span_id}`
}

/** The spans of that name that link to the one given. */
function linking(name: string, to: { readonly traceId: string; readonly spanId: string }): ReceivedSpan[] {
  return receiver.spans.filter(span => span.name === name && span.links.map(idsOf).includes(idsOf(to)))
}

function childOf(parent: ReceivedSpan, name: string) {
  return (span: ReceivedSpan) => span.parentSpanId === parent.spanId && span.name === name
}

/** What was done in the course of a flush; other flushes that continue its trace are none of it. */
function childrenOf({ spanId, service }: ReceivedSpan): ReceivedSpan[] {
  return receiver.spans.filter(
    span => span.parentSpanId === spanId && span.service === service && !span.name.startsWith('process '),
  )
}

function lineOf(span: ReceivedSpan): string {
  const { name, service, spanId, parentSpanId, links, attributes } = span
  const telling = TELLING.filter(each => each in attributes).map(each => `${each}=${attributes[each]}`)
  const linked = links.length === 0 ? '' : ` links ${links.map(({ spanId }) => spanId).join(',')}`
  const own = `  ${name.padEnd(26)} ${service.padEnd(18)} ${spanId} <- ${parentSpanId}${linked}`
  return [own, ...telling].join(' ')
}

/** Of a role, the last that came of each metric. */
function latestOf(role: Role): Map<string, ReceivedMetric> {
  const ours = receiver.metrics.filter(({ service }) => service === `tidemark-${role}`)
  return new Map(ours.map(metric => [metric.name, metric]))
}

function numberOf(role: Role, name: string, labels: Readonly<Record<string, string>>): number | undefined {
  const { points = [] } = latestOf(role).get(name) ?? {}
  return points.find(({ attributes }) => isSubset({ role, ...labels }, attributes))?.value
}

function isSubset(labels: Readonly<Record<string, string>>, of: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(labels).every(([label, value]) => of[label] === value)
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

function atLeastOne<T>(found: readonly T[]): readonly [T, ...T[]] | undefined {
  const [first, ...rest] = found
  return first === undefined ? undefined : [first, ...rest]
}
