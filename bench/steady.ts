import { setTimeout as sleep } from 'node:timers/promises'
import { createKafka } from '../src/kafka/client.ts'
import { topicName } from '../src/kafka/names.ts'
import type { FetchedBatch } from '../src/kafka/wire/fetchedBatch.ts'
import type { Result } from '../src/results/result.ts'
import type { Bench } from './bench.ts'
import { othersText, WORKS, type Work } from './drain.ts'
import { type Figure, MIB } from './figure.ts'
import { Freshness } from './freshness.ts'
import type { Pipeline } from './lab.ts'
import { type ProcessUsage, watchOthers, watchProcess } from './proc.ts'
import { steadyLoad } from './sources.ts'
import { quantile } from './statistics.ts'
import type { LoadMessage } from './tools/load.ts'

/** One aggregator and one reducer under a steady load. */
type Steady = {
  readonly work: Work
  readonly seconds: number
  readonly rate: number
  /** Of the aggregator, once a second. */
  readonly usages: readonly ProcessUsage[]
  /** Cores that programs outside of this run took meanwhile. */
  readonly otherCores: number
  /** Milliseconds from an event's making to the moment a result that counts it was read; ascending. */
  readonly fresh: readonly number[]
  /** Events that no result has counted in time. */
  readonly unseen: number
  /** Milliseconds from an event's making to the moment a plain consumer of the source topic had it; ascending. */
  readonly plain: readonly number[]
}

export const RATE = 20_000
const MOST_FRESHNESS_MS = 3_000
const WATCH_MS = 1_000
const SECONDS = 60
const QUICK_SECONDS = 20
/** 200 MB, as the kernel and Kubernetes count (Mi). */
const MOST_MEBIBYTES = 200
/** Events of the first seconds are left out: the group forms, and the JIT warms up. */
const WARM_UP_MS = 10_000
/** What the last events may take to be seen in a result. */
const TAIL_MS = 10_000
const READER_WAIT_MS = 50

/** Runs of a bench that have been made: memory and freshness are told of the same ones. */
const runs = new WeakMap<Bench, Promise<readonly Steady[]>>()

export async function measureMemory(bench: Bench): Promise<Figure[]> {
  return (await steadyRuns(bench)).flatMap(memoryFigures)
}

export async function measureFreshness(bench: Bench): Promise<Figure[]> {
  return (await steadyRuns(bench)).flatMap(freshnessFigures)
}

function steadyRuns(bench: Bench): Promise<readonly Steady[]> {
  const made = runs.get(bench) ?? runAll(bench)
  runs.set(bench, made)
  return made
}

async function runAll(bench: Bench): Promise<readonly Steady[]> {
  const steady: Steady[] = []
  for (const work of WORKS) steady.push(await runSteadily(bench, work))
  return steady
}

async function runSteadily({ lab, quick, say }: Bench, work: Work): Promise<Steady> {
  const seconds = quick ? QUICK_SECONDS : SECONDS
  const pipeline = await lab.pipeline(`steady-${work}`, { ENRICHED_ENABLED: String(work === 'enriching') })
  const aggregator = lab.role(`steady-${work}-aggregate`, 'aggregate', pipeline)
  const reducer = lab.role(`steady-${work}-reduce`, 'reduce', pipeline)
  await Promise.all([aggregator, reducer].map(role => role.line(({ event }) => event === 'live')))
  const freshness = new Freshness()
  const readers = await startReaders(pipeline, freshness)
  const load = lab.tool<LoadMessage>('load.ts', steadyLoad(pipeline, RATE, true), message => {
    if (message.kind === 'runs') freshness.produced(message)
  })
  try {
    await sleep(WARM_UP_MS)
    const watch = watchProcess(aggregator.pid, WATCH_MS)
    const others = watchOthers([aggregator.pid, reducer.pid, load.pid, lab.kafka.pid ?? -1])
    const from = Date.now()
    await sleep(seconds * 1000)
    const until = Date.now()
    const usages = watch.stop()
    const otherCores = others.stop()
    await sleep(TAIL_MS)
    say(`${work}, ${seconds} s at ${RATE} events/s are over`)
    const { produced, ...seen } = freshness.between(from, until)
    return { work, seconds, rate: produced / ((until - from) / 1000), usages, otherCores, ...seen }
  } finally {
    await load.stop()
    await readers.stop()
    await Promise.all([lab.endRole(aggregator), lab.endRole(reducer)])
  }
}

/** Reads results and, as the peer, the source topic itself; notes when each became readable. */
async function startReaders({ settings }: Pipeline, freshness: Freshness): Promise<{ stop(): Promise<void> }> {
  const kafka = createKafka(settings.kafka, () => {})
  const consumer = (groupId: string) =>
    kafka.consumer({ groupId, readUncommitted: false, maxWaitTimeInMs: READER_WAIT_MS, allowAutoTopicCreation: false })
  const results = consumer('bench-results')
  const source = consumer('bench-source')
  await Promise.all([results.connect(), source.connect()])
  await results.subscribe({ topics: [topicName(settings, 'results')], fromBeginning: true })
  await source.subscribe({ topics: [settings.topics.source], fromBeginning: true })
  await results.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const now = Date.now()
      for (const { value } of recordsOf(batch)) {
        if (value !== null) freshness.told(JSON.parse(String(value)) as Result, now)
      }
    },
  })
  await source.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const now = Date.now()
      for (const { timestamp } of recordsOf(batch)) freshness.plain(timestamp, now)
    },
  })
  return { stop: async () => void (await Promise.all([results.disconnect(), source.disconnect()])) }
}

/** Our kafkajs hands on what it fetched as bytes. */
function* recordsOf(batch: unknown): Iterable<{ readonly timestamp: number; readonly value: Buffer | null }> {
  const records = (batch as FetchedBatch).records()
  while (records.next()) {
    const { timestamp, valueBytes, valueStart, valueEnd } = records
    yield { timestamp, value: valueStart < 0 ? null : (valueBytes as Buffer).subarray(valueStart, valueEnd) }
  }
}

function memoryFigures({ work, usages, seconds, rate }: Steady): Figure[] {
  const last = usages.slice(-Math.ceil(usages.length / 6))
  return [
    {
      section: 'memory',
      name: `steady, 12 partitions, ${work}`,
      value: Math.max(...last.map(({ residentBytes }) => residentBytes)) / MIB,
      unit: 'MiB',
      target: work === 'counting' ? { most: MOST_MEBIBYTES } : null,
      peer: null,
      note: `after ${seconds} s at ${rate.toFixed(0)} events/s; peak since its start ${peak(usages).toFixed(0)} MiB; ${cpuShare(usages)} % of a core`,
    },
  ]
}

const peak = (usages: readonly ProcessUsage[]) => (usages.at(-1)?.peakBytes ?? Number.NaN) / MIB

function cpuShare(usages: readonly ProcessUsage[]): string {
  const [first, last] = [usages[0], usages.at(-1)]
  if (first === undefined || last === undefined) return '?'
  const seconds = ((usages.length - 1) * WATCH_MS) / 1000
  return ((100 * (last.cpuSeconds - first.cpuSeconds)) / seconds).toFixed(0)
}

function freshnessFigures({ work, fresh, unseen, plain, rate, otherCores }: Steady): Figure[] {
  const figure = (name: string, q: number, target: Figure['target'], note: string): Figure => ({
    section: 'freshness',
    name: `produced to readable result, ${work}, ${name}`,
    value: quantile(fresh, q),
    unit: 'ms',
    target,
    peer: { name: 'read of the source', value: quantile(plain, q) },
    note,
  })
  return [
    figure('p50', 0.5, null, ''),
    figure(
      'p99',
      0.99,
      { most: MOST_FRESHNESS_MS },
      `${fresh.length} events at ${rate.toFixed(0)} a second; ${othersText(otherCores)}`,
    ),
    figure('max', 1, null, ''),
    {
      section: 'freshness',
      name: `events that no result counted in time, ${work}`,
      value: unseen,
      unit: 'events',
      target: { most: 0 },
      peer: null,
      note: '',
    },
  ]
}
