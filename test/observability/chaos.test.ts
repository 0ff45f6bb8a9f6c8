import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recountTopic } from '../../src/dev/demo/resultFeed.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../src/dev/kafka/ports.ts'
import type { RecountResult } from '../../src/dev/recount.ts'
import { METRICS, type MetricSpec, PREFIX } from '../../src/telemetry/catalogue.ts'
import { endPipelines, type Pipeline, withPipeline } from '../kafka/scenarios/support/pipeline.ts'
import type { SupervisedRole } from '../kafka/scenarios/support/supervisedRole.ts'
import { startOtlpReceiver } from './otlpReceiver.ts'
import { type Prometheus, type Sample, skipsPrometheus, startPrometheus } from './support/prometheus.ts'
import { until } from './support/until.ts'

type Stage = SupervisedRole['stage']

const SLOTS: readonly Stage[] = ['aggregate', 'aggregate', 'reduce']
const KILLS = 5
const PAUSE_MS = 2_500
/** Prometheus takes up to 5 s to look at targets for the first time. */
const SCRAPED_MS = 6_000
const SCRAPE_MS = 1_000
const EQUAL_MS = 20_000
const RUN_MS = 170_000
const HISTOGRAM = ['_bucket', '_sum', '_count']
/** Series that a role which works cannot be without. */
const BUSY = [
  'kafka_request_duration_seconds_count{ROLE, api="Fetch"}',
  'kafka_request_duration_seconds_count{ROLE, api="Produce"}',
  'transactions_total{ROLE, outcome="committed"}',
  'rebalances_total{ROLE}',
  'rebalance_duration_seconds_count{ROLE}',
  'restore_duration_seconds_count{ROLE}',
  'commit_duration_seconds_count{ROLE}',
  'processed_offsets_total{ROLE}',
  'partial_bytes_total{ROLE}',
]
/** Histograms with exemplars, which lead to traces. */
const TRACED = ['flush_duration_seconds', 'commit_duration_seconds']
const SETTINGS = {
  SOURCE_PARTITIONS: '4',
  SESSION_TIMEOUT: '2s',
  DELIVERY: 'exactly-once',
  ROLLUPS: '1m',
  OTEL_TRACES_SAMPLER: 'always_on',
}

let kafka: EmbeddedKafka
let prometheus: Prometheus
let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>

describe.skipIf(skipsPrometheus)('Prometheus scrapes a run in which aggregators and reducers are killed', () => {
  beforeAll(async () => {
    ;[kafka, prometheus, receiver] = await Promise.all([startKafka(), startPrometheus(), startOtlpReceiver()])
  }, RUN_MS)
  afterAll(async () => {
    await endPipelines()
    await Promise.all([prometheus?.stop(), kafka?.stop(), receiver?.close()])
  })

  it('reads every answer, and its metrics end where the log does', { timeout: RUN_MS }, async () => {
    const exporter = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }
    const options = { aggregators: 0, reducers: 0, settings: { ...SETTINGS, ...exporter } }
    await withPipeline(kafka, 'chaos', options, async pipeline => {
      await pipeline.start()
      const slots = await startSlots(pipeline)
      const generating = pipeline.generate('--rate', '600', '--seconds', '300')
      await sleep(SCRAPED_MS)
      for (let kill = 0; kill < KILLS; kill++) {
        await slots[kill % slots.length]?.killAndStart()
        await sleep(PAUSE_MS)
      }
      generating.end()
      await generating.ledger
      const killed = await expectEndOfLog(pipeline)

      // From here on no process ends, so that what they count is what came.
      const before = await eventCounts()
      await pipeline.generate('--rate', '1000', '--events', '3000', '--seed', '2').ledger
      const all = await expectEndOfLog(pipeline)
      const after = await eventCounts()
      const counted = Object.entries(after).map(([outcome, count]) => [outcome, count - (before[outcome] ?? 0)])
      expect(Object.fromEntries(counted)).toEqual(difference(outcomesOf(all), outcomesOf(killed)))

      await expectSeries()
      await expectScrapes()
      expect(await pipeline.differences(all)).toEqual([])
    })
  })
})

type Slot = { killAndStart(): Promise<void> }

/** A process in each slot, whose port stays the same whichever process it is. */
async function startSlots(pipeline: Pipeline): Promise<readonly Slot[]> {
  const ports = await freePorts(SLOTS.length, '127.0.0.1')
  const labels = { job: 'chaos', namespace: 'shop' }
  prometheus.scrape(ports.map(port => ({ address: `127.0.0.1:${port}`, labels })))
  return await Promise.all(
    SLOTS.map(async (stage, i) => {
      const start = () => pipeline.add(stage, { HTTP_PORT: String(ports[i]) })
      let role = start()
      await role.line('assigned')
      return {
        killAndStart: async () => {
          await role.kill()
          role = start()
          await role.line('assigned')
        },
      }
    }),
  )
}

/**
 * Waits until everything is processed and final, and holds positions, lag and clocks against the log itself.
 * @returns the recount of the log
 */
async function expectEndOfLog(pipeline: Pipeline): Promise<RecountResult> {
  const { reader, settings } = pipeline
  const recount = await recountTopic(reader, pipeline.topic('source'), settings)
  await pipeline.settle(recount.windows)
  const ranges = await reader.readLogRanges(pipeline.topic('source'))
  const ends = Object.fromEntries(ranges.map(({ end }, partition) => [partition, end]))
  for (const name of ['position', 'committed_offset']) {
    await untilEqual(`max by (partition) (tidemark_partition_${name}{role="aggregate"})`, ends)
  }
  const counts = Object.entries(recount.partitions)
  const clocks = Object.fromEntries(counts.map(([partition, { clock }]) => [partition, clock / 1_000]))
  await untilEqual('max by (partition) (tidemark_partition_clock_timestamp_seconds{role="aggregate"})', clocks)
  await until('nothing waits for any role', async () => {
    const [lag] = await prometheus.query('sum(tidemark_partition_lag_records)')
    return lag?.value === 0 ? true : undefined
  })
  return recount
}

/** Waits until a query by partition gives these values. */
async function untilEqual(promql: string, wanted: Readonly<Record<string, number>>): Promise<void> {
  let last: Record<string, number> = {}
  const look = async () => {
    last = byLabel(await prometheus.query(promql), 'partition')
    return isDeepStrictEqual(last, wanted) ? true : undefined
  }
  // What it is instead says more than that it has not come.
  await until(promql, look, EQUAL_MS).catch(() => expect(last, promql).toEqual(wanted))
}

function byLabel(samples: readonly Sample[], label: string): Record<string, number> {
  return Object.fromEntries(samples.map(({ labels, value }) => [labels[label] ?? '', value]))
}

/** By outcome, what the running aggregators have counted. */
async function eventCounts(): Promise<Record<string, number>> {
  // Two scrapes: whatever was counted before the call has been told by then.
  await sleep(2 * SCRAPE_MS)
  return byLabel(await prometheus.query('sum by (outcome) (tidemark_events_total)'), 'outcome')
}

type Outcomes = { readonly accepted: number; readonly late: number; readonly rejected: number }

function outcomesOf({ partitions }: RecountResult): Outcomes {
  const sum = { accepted: 0, late: 0, rejected: 0 }
  for (const { accepted, late, rejected } of Object.values(partitions)) {
    sum.accepted += accepted
    sum.late += late
    sum.rejected += Object.values(rejected).reduce((total, count) => total + count, 0)
  }
  return sum
}

function difference(a: Outcomes, b: Outcomes): Outcomes {
  return { accepted: a.accepted - b.accepted, late: a.late - b.late, rejected: a.rejected - b.rejected }
}

/** Every metric of the catalogue has come through, and those of Kafka and of traces carry values. */
async function expectSeries(): Promise<void> {
  for (const role of ['aggregate', 'reduce'] as const) {
    const names = await prometheus.query(`count by (__name__) ({__name__=~"${PREFIX}.*", role="${role}"})`)
    const wanted = Object.entries<MetricSpec>(METRICS)
      .filter(([, { roles }]) => roles.includes(role))
      .flatMap(([name, { type }]) => (type === 'histogram' ? HISTOGRAM.map(ending => name + ending) : [name]))
    expect(names.map(({ labels }) => labels.__name__).sort()).toEqual(wanted.map(name => PREFIX + name).sort())
    for (const series of BUSY) {
      const [sum] = await prometheus.query(`sum(${PREFIX}${series.replace('ROLE', `role="${role}"`)})`)
      expect(sum?.value, `${role}: ${series}`).toBeGreaterThan(0)
    }
    for (const name of TRACED) {
      const series = await prometheus.exemplars(`${PREFIX}${name}_bucket{role="${role}"}`)
      const found = series.flatMap(({ exemplars }) => exemplars)
      expect(found.length, `${role}: exemplars of ${name}`).toBeGreaterThan(0)
      for (const { labels } of found) expect(labels.trace_id).toMatch(/^[0-9a-f]{32}$/)
    }
  }
}

/** Each target was read to its end, at its last scrape and whenever it answered at all. */
async function expectScrapes(): Promise<void> {
  const targets = await prometheus.targets()
  expect(targets.map(({ health, lastError }) => [health, lastError])).toEqual(SLOTS.map(() => ['up', '']))
  const up = await prometheus.query('up')
  expect(up.map(({ value }) => value)).toEqual(SLOTS.map(() => 1))
  const empty = await prometheus.query('min_over_time((scrape_samples_scraped and up == 1)[5m:1s]) < 50')
  expect(empty).toEqual([])
  // An answer that it cannot read, and a sample that it cannot keep, is a line of its log.
  expect(prometheus.log()).not.toMatch(/level=(?:warn|error)/)
}
