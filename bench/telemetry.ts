import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../src/dev/kafka/ports.ts'
import type { Bench } from './bench.ts'
import { costOf, type Drain, drain, othersText, rateOf } from './drain.ts'
import type { Figure } from './figure.ts'
import { steadyLoad } from './sources.ts'
import { ascending, inTurns, listOf, median, quantile, ratios } from './statistics.ts'
import type { LoadMessage } from './tools/load.ts'
import type { OtlpMessage } from './tools/otlpReceiver.ts'

/** One way to be watched while counting. */
type Way = {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly scraped: boolean
}

type Outcome = Drain & { readonly scrapes: number }

const SAMPLED_SHARE = 0.01
const MOST_COST_PERCENT = 3
const SCRAPE_EVERY_MS = 1_000
const PAIRS = 6
/** Of what is measured for interest. */
const ROUNDS = 3
const QUICK_ROUNDS = 2

const SCRAPED_PARTITIONS = 64
const SCRAPES = 300
const SCRAPE_PAUSE_MS = 50
const MOST_SCRAPE_MS = 50
const SCRAPED_RATE = 20_000
const LOCAL = '127.0.0.1'

/**
 * What it costs to be seen: the same topic is counted without and with, in turns. Every record carries a `traceparent`,
 * one in a hundred of them sampled.
 */
export async function measureTelemetry(bench: Bench): Promise<Figure[]> {
  const { lab, say, quick } = bench
  const source = await bench.sources.of(bench.events, { tracedShare: SAMPLED_SHARE })
  let received: Extract<OtlpMessage, { kind: 'received' }> = { kind: 'received', requests: 0, bytes: 0 }
  const receiver = lab.tool<OtlpMessage>('otlpReceiver.ts', {}, message => {
    if (message.kind === 'received') received = message
  })
  const { endpoint } = await receiver.message(message => message.kind === 'listening')
  const [port] = await freePorts(1, LOCAL)
  const run = async ({ name, env, scraped }: Way): Promise<Outcome> => {
    let scrapes = 0
    const meanwhile = () => (scraped ? scrapeEvery(port!, () => scrapes++) : () => {})
    const given = { HTTP_PORT: String(port) }
    const drained = await drain(lab, source, { work: 'counting', delivery: 'exactly-once', given, env, meanwhile })
    say(`${name}: ${rateOf(drained).toFixed(0)} events/s, ${costOf(drained).toFixed(2)} us of CPU an event`)
    return { ...drained, scrapes }
  }
  // The first of all drains warms up the broker.
  await run(OFF)
  const [whole, ...others] = waysOf(endpoint)
  const pairs = await compare([OFF, whole!], quick ? QUICK_ROUNDS : PAIRS, run)
  const rest = await compare([OFF, ...others], quick ? QUICK_ROUNDS : ROUNDS, run)
  await receiver.stop()
  say(`the receiver got ${received.requests} exports, ${received.bytes} bytes`)
  if (received.requests === 0) throw new Error('no span has reached the receiver: nothing was measured')
  const [switched = []] = rest.slice(1).map(({ outcomes }) => outcomes)
  const idle = [...pairs[0]!.outcomes, ...rest[0]!.outcomes, ...switched]
  return [
    ...costFigures(pairs, { most: MOST_COST_PERCENT }),
    ...costFigures(rest, null),
    idleFigure(idle, pairs[1]!.outcomes),
    await measureScrapes(bench),
  ]
}

/** What came of each way, with the one that the others are compared with first. */
type Compared = readonly { readonly way: Way; readonly outcomes: readonly Outcome[] }[]

async function compare(ways: readonly Way[], rounds: number, run: (way: Way) => Promise<Outcome>): Promise<Compared> {
  const outcomes = await inTurns(ways, rounds, run)
  return ways.map((way, index) => ({ way, outcomes: outcomes[index] ?? [] }))
}

const OFF: Way = { name: 'off, not scraped', env: {}, scraped: false }

function waysOf(endpoint: string): Way[] {
  const exporter = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }
  const onePercent = {
    ...exporter,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: String(SAMPLED_SHARE),
  }
  return [
    { name: 'tracing at 1 %, scraped every second', env: onePercent, scraped: true },
    { name: 'switched off by OTEL_SDK_DISABLED', env: { ...exporter, OTEL_SDK_DISABLED: 'true' }, scraped: false },
    { name: 'tracing of every flush', env: { ...exporter, OTEL_TRACES_SAMPLER: 'always_on' }, scraped: false },
    { name: 'off, scraped every second', env: {}, scraped: true },
  ]
}

/** Takes a scrape at once and then every second, as Prometheus does, until the end. */
function scrapeEvery(port: number, onScrape: () => void): () => void {
  const end = new AbortController()
  void (async () => {
    while (!end.signal.aborted) {
      const text = await scrape(port).catch(() => '')
      if (text !== '') onScrape()
      await sleep(SCRAPE_EVERY_MS, undefined, { signal: end.signal }).catch(() => {})
    }
  })()
  return () => end.abort()
}

async function scrape(port: number): Promise<string> {
  const headers = { accept: 'application/openmetrics-text; version=1.0.0; charset=utf-8' }
  const response = await fetch(`http://${LOCAL}:${port}/metrics`, { headers })
  if (!response.ok) throw new Error(`/metrics was answered with ${response.status}`)
  return await response.text()
}

function costFigures([off, ...ways]: Compared, target: Figure['target']): Figure[] {
  const base = off?.outcomes ?? []
  return ways.flatMap(({ way: { name, scraped }, outcomes }) => {
    const kept = ratios(outcomes.map(rateOf), base.map(rateOf))
    const cpu = ratios(outcomes.map(costOf), base.map(costOf))
    const scrapes = scraped ? `; scrapes: ${outcomes.map(each => each.scrapes).join(', ')}` : ''
    const lost = 100 * (1 - median(kept))
    const note = `median of ${kept.length} pairs, forth and back: ${listOf(kept)} of the rate without${scrapes}`
    return [
      figure(`cost, ${name}`, lost, '% of events/s', target, note),
      figure(`CPU, ${name}`, 100 * (median(cpu) - 1), '% more', null, `${listOf(cpu)} of the CPU an event without`),
    ]
  })
}

/** What is not there cannot cost anything; the pairs above say how far two runs of the same differ. */
function idleFigure(off: readonly Outcome[], on: readonly Outcome[]): Figure {
  const most = (outcomes: readonly Outcome[]) => Math.max(...outcomes.map(each => each.telemetryModules))
  const others = othersText(median(off.map(each => each.otherCores)))
  const note = `of its packages, its API aside, which prom-client brings along; ${most(on)} when on. ${others}`
  return figure('OpenTelemetry in a process without an endpoint', most(off), 'modules loaded', { most: 0 }, note)
}

/** How long a busy aggregator of many partitions takes to answer a scrape. */
async function measureScrapes({ lab, say, quick }: Bench): Promise<Figure> {
  const [port] = await freePorts(1, LOCAL)
  const pipeline = await lab.pipeline('scraped', {
    SOURCE_PARTITIONS: String(SCRAPED_PARTITIONS),
    HTTP_PORT: String(port),
    ENRICHED_ENABLED: 'false',
  })
  const load = lab.tool<LoadMessage>('load.ts', steadyLoad(pipeline, SCRAPED_RATE))
  const role = lab.role('scraped', 'aggregate', pipeline)
  try {
    await role.line(({ event }) => event === 'live')
    await sleep(quick ? 3_000 : 10_000)
    const times: number[] = []
    let bytes = 0
    for (let i = 0; i < (quick ? SCRAPES / 5 : SCRAPES); i++) {
      const startedAt = performance.now()
      bytes = (await scrape(port!)).length
      times.push(performance.now() - startedAt)
      await sleep(SCRAPE_PAUSE_MS)
    }
    const sorted = ascending(times)
    say(`${times.length} scrapes of ${bytes} bytes, median ${median(times).toFixed(1)} ms`)
    return figure(
      `scrape of an aggregator, ${SCRAPED_PARTITIONS} partitions`,
      median(times),
      'ms',
      { most: MOST_SCRAPE_MS },
      `${times.length} scrapes at ${SCRAPED_RATE} events/s; p99 ${quantile(sorted, 0.99).toFixed(1)}, max ${quantile(sorted, 1).toFixed(1)} ms, which is the event loop's wait for batches and flushes; ${(bytes / 1024).toFixed(0)} KiB of OpenMetrics`,
    )
  } finally {
    await load.stop()
    await lab.endRole(role)
  }
}

function figure(name: string, value: number, unit: string, target: Figure['target'], note: string): Figure {
  return { section: 'telemetry', name, value, unit, target, peer: null, note }
}
