import { setTimeout as sleep } from 'node:timers/promises'
import { type Figure, MIB } from './figure.ts'
import type { Lab, Pipeline } from './lab.ts'
import { type PeerRun, readWithConsumerPerformance, readWithKafkajs } from './peers.ts'
import { type ProcessUsage, usageOf, watchOthers, watchProcess } from './proc.ts'
import type { LoadMessage, LoadTask } from './tools/load.ts'

export type Drain = {
  readonly events: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** As seen every 250 ms. */
  readonly usages: readonly ProcessUsage[]
  /** Cores that programs outside of this run took meanwhile. */
  readonly otherCores: number
}

type Delivery = 'at-least-once' | 'exactly-once'
export type Work = 'counting' | 'enriching'

export type Drains = {
  readonly runs: readonly { readonly work: Work; readonly delivery: Delivery; readonly drain: Drain }[]
  readonly kafka: PeerRun
  readonly kafkajs: PeerRun
}

export const LEAST_EVENTS_PER_SECOND = 150_000
/** Exactly once may take at most 30 % longer than at least once. */
const LEAST_EXACTLY_ONCE_RATIO = 1 / 1.3
export const WORKS: readonly Work[] = ['counting', 'enriching']
const DELIVERIES: readonly Delivery[] = ['at-least-once', 'exactly-once']
const LOOK_MS = 50
const WATCH_MS = 250
const DRAIN_LIMIT_MS = 300_000

/**
 * Fills one topic, then lets everybody read it from its start, one after the other.
 * @param profileFolder where the aggregators leave their CPU profiles; null for none
 */
export async function measureDrains(
  lab: Lab,
  events: number,
  profileFolder: string | null,
  say: (line: string) => void,
): Promise<Drains> {
  const source = await lab.pipeline('drain')
  const { seconds } = await preload(lab, source, events)
  say(`${events} events written in ${seconds.toFixed(1)} s`)
  const kafkajs = await readWithKafkajs(lab, source.settings.topics.source, events)
  say(`plain kafkajs has read them in ${kafkajs.seconds.toFixed(1)} s`)
  const kafka = await readWithConsumerPerformance(lab.kafka.brokers, source.settings.topics.source, events)
  say(`ConsumerPerformance has read them in ${kafka.seconds.toFixed(1)} s`)
  const runs: Drains['runs'][number][] = []
  for (const work of WORKS) {
    for (const delivery of DELIVERIES) {
      const given = {
        SOURCE_TOPIC: source.settings.topics.source,
        DELIVERY: delivery,
        ENRICHED_ENABLED: String(work === 'enriching'),
      }
      const drained = await drain(lab, await lab.pipeline(`${work}-${delivery}`, given), events, profileFolder)
      say(`aggregate, ${work}, ${delivery}, has drained them in ${drained.seconds.toFixed(1)} s`)
      runs.push({ work, delivery, drain: drained })
    }
  }
  return { kafka, kafkajs, runs }
}

async function preload(lab: Lab, { settings }: Pipeline, events: number) {
  const task: LoadTask = { settings, rate: 0, events, tellRuns: false }
  const load = lab.tool<LoadMessage>('load.ts', task)
  const done = await load.message(message => message.kind === 'done')
  await load.stop()
  return done
}

/** From the first live partition until all that is in the topic is counted, told and committed. */
async function drain(lab: Lab, pipeline: Pipeline, events: number, profileFolder: string | null): Promise<Drain> {
  const env = profileFolder === null ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder}` }
  const role = lab.role(pipeline.settings.consumerGroup, 'aggregate', pipeline, undefined, env)
  await role.line(({ event }) => event === 'live')
  const startedAt = performance.now()
  const before = usageOf(role.pid)
  const watch = watchProcess(role.pid, WATCH_MS)
  const others = watchOthers([role.pid, lab.kafka.pid ?? -1])
  try {
    await untilCommitted(lab, pipeline, startedAt + DRAIN_LIMIT_MS)
    const seconds = (performance.now() - startedAt) / 1000
    const usages = watch.stop()
    const otherCores = others.stop()
    const cpuSeconds = (usages.at(-1)?.cpuSeconds ?? Number.NaN) - (before?.cpuSeconds ?? Number.NaN)
    return { events, seconds, cpuSeconds, usages, otherCores }
  } finally {
    watch.stop()
    await lab.endRole(role)
  }
}

/** The truest sign of lag 0 is the one that others see: the group's commits stand at the ends of the logs. */
async function untilCommitted(lab: Lab, { settings }: Pipeline, deadline: number): Promise<void> {
  const topic = settings.topics.source
  const ranges = await lab.reader.readLogRanges(topic)
  const group = `${settings.consumerGroup}-aggregate`
  while (performance.now() < deadline) {
    const commits = await Promise.all(ranges.map((_, partition) => lab.reader.readCommit(group, topic, partition)))
    if (commits.every((commit, partition) => (commit?.offset ?? 0) >= (ranges[partition]?.end ?? 0))) return
    await sleep(LOOK_MS)
  }
  throw new Error(`the aggregator has not drained ${topic} within ${DRAIN_LIMIT_MS / 1000} s`)
}

export function throughputFigures({ runs, kafka, kafkajs }: Drains): Figure[] {
  return [
    ...runs.flatMap(({ work, delivery, drain }) => figuresOf(`${work}, ${delivery}`, work, drain, kafka, kafkajs)),
    ...WORKS.map(work => deliveryFigure(work, runs)),
  ]
}

/** How fast exactly once is, of at least once. */
function deliveryFigure(work: Work, runs: Drains['runs']): Figure {
  const [atLeastOnce, exactlyOnce] = DELIVERIES.map(wanted => {
    const drain = runs.find(run => run.work === work && run.delivery === wanted)?.drain
    return drain === undefined ? Number.NaN : drain.events / drain.seconds
  }) as [number, number]
  return {
    section: 'throughput',
    name: `exactly once / at least once, ${work}`,
    value: exactlyOnce / atLeastOnce,
    unit: 'of the rate',
    target: { least: LEAST_EXACTLY_ONCE_RATIO },
    peer: null,
    note: 'both in this run',
  }
}

function figuresOf(name: string, work: Work, drain: Drain, kafka: PeerRun, kafkajs: PeerRun): Figure[] {
  const rate = { section: 'throughput', name: `drain, ${name}`, value: drain.events / drain.seconds } as const
  const unit = 'events/s'
  const cpu = (run: Drain | PeerRun) => (run.cpuSeconds * 1e6) / run.events
  return [
    {
      ...rate,
      unit,
      target: work === 'counting' ? { least: LEAST_EVENTS_PER_SECOND } : null,
      peer: { name: 'ConsumerPerformance', value: kafka.events / kafka.seconds },
      note: `${numberOf(drain.seconds)} s wall, ${numberOf(drain.cpuSeconds)} s CPU; first live partition to last commit; ${othersText(drain.otherCores)}`,
    },
    { ...rate, unit, target: null, peer: { name: 'plain kafkajs', value: kafkajs.events / kafkajs.seconds }, note: '' },
    {
      section: 'throughput',
      name: `CPU, ${name}`,
      value: cpu(drain),
      unit: 'us/event',
      target: null,
      peer: { name: 'plain kafkajs', value: cpu(kafkajs) },
      note: `ConsumerPerformance ${numberOf(cpu(kafka))}, its JVM's start included`,
    },
  ]
}

export const othersText = (cores: number) => `other programs took ${cores.toFixed(1)} cores meanwhile`

const numberOf = (value: number) => value.toFixed(2)

export function drainMemoryFigures({ runs, kafka, kafkajs }: Drains): Figure[] {
  return runs.map(({ work, delivery, drain: { usages } }) => ({
    section: 'memory',
    name: `peak of a drain, ${work}, ${delivery}`,
    value: (usages.at(-1)?.peakBytes ?? Number.NaN) / MIB,
    unit: 'MiB',
    target: work === 'counting' ? { most: MOST_MEBIBYTES } : null,
    peer: { name: 'plain kafkajs', value: kafkajs.peakBytes / MIB },
    note: `median ${median(usages.map(({ residentBytes }) => residentBytes / MIB)).toFixed(0)} MiB; ConsumerPerformance's peak ${(kafka.peakBytes / MIB).toFixed(0)} MiB`,
  }))
}

/** 200 MB, as the kernel and Kubernetes count (Mi). */
export const MOST_MEBIBYTES = 200

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
