import type { Bench } from './bench.ts'
import { costOf, type Drain, drain, peakMiB, rateOf, type Work } from './drain.ts'
import type { Figure, Section } from './figure.ts'
import { type PeerRun, readWithConsumerPerformance } from './readers.ts'
import type { SourceSpec } from './sources.ts'
import { inTurns, listOf, median, ratios } from './statistics.ts'

/** A kind of topic, and what is said of it beside the first one that it is compared with. */
type Kind = {
  readonly name: string
  readonly spec: Partial<SourceSpec>
  readonly target?: { readonly most: number }
}

const MOST_TIMES_THE_COST = 1.3
const ROUNDS = 5
const QUICK_ROUNDS = 2
const EVENTS_SHARE = 1 / 2

const PARTITIONS: readonly Kind[] = [
  { name: '1 partition', spec: { partitions: 1 } },
  { name: '12 partitions', spec: { partitions: 12 } },
  { name: '64 partitions', spec: { partitions: 64 }, target: { most: MOST_TIMES_THE_COST } },
]

const USERS: readonly Kind[] = [
  { name: '1,000 users', spec: { users: 1_000 } },
  { name: '1,000,000 users', spec: { users: 1_000_000 }, target: { most: MOST_TIMES_THE_COST } },
]

const PAYLOADS: readonly Kind[] = [
  { name: '150 bytes', spec: { bytes: 150 } },
  { name: '300 bytes', spec: { bytes: 300 } },
  { name: '1,000 bytes', spec: { bytes: 1_000 } },
]

const CODECS: readonly Kind[] = [
  { name: 'not compressed', spec: {} },
  { name: 'gzip', spec: { compression: 'gzip' } },
  { name: 'lz4', spec: { compression: 'lz4' } },
  { name: 'zstd', spec: { compression: 'zstd' } },
]

/** Whether an event costs the same however many partitions and users there are. */
export async function measureScale(bench: Bench): Promise<Figure[]> {
  return [
    ...(await compare(bench, 'scale', PARTITIONS, 'counting')),
    ...(await compare(bench, 'scale', USERS, 'counting')),
  ]
}

/** What larger and compressed events cost, counted and enriched, and how fast they are counted beside Kafka's reader. */
export async function measurePayloads(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const work of ['counting', 'enriching'] as const) {
    for (const kinds of [PAYLOADS, CODECS]) {
      figures.push(...(await compare(bench, 'payloads', kinds, work, work === 'counting')))
    }
  }
  return figures
}

/** @param isRead whether Kafka's own consumer reads the same topics, in turns with us */
async function compare(
  bench: Bench,
  section: Section,
  kinds: readonly Kind[],
  work: Work,
  isRead = false,
): Promise<Figure[]> {
  const { lab, say, quick, profileFolder } = bench
  // Enriching takes several times as long.
  const events = Math.ceil(bench.events * (work === 'counting' ? EVENTS_SHARE : EVENTS_SHARE / 4))
  for (const { spec } of kinds) await bench.sources.of(events, spec)
  const outcomes = await inTurns(kinds, quick ? QUICK_ROUNDS : ROUNDS, async ({ name, spec }) => {
    const source = await bench.sources.of(events, spec)
    const run = await drain(lab, source, { work, delivery: 'exactly-once', profileFolder })
    say(`${work}, ${name}: ${rateOf(run).toFixed(0)} events/s, ${costOf(run).toFixed(2)} us of CPU an event`)
    if (!isRead) return { run, read: null }
    const read = await readWithConsumerPerformance(lab.kafka.brokers, source.topic, events)
    say(`reading, ${name}: ${rateOf(read).toFixed(0)} events/s, ${costOf(read).toFixed(2)} us of CPU an event`)
    return { run, read }
  })
  const runsOf = (index: number) => (outcomes[index] ?? []).map(({ run }) => run)
  return kinds.flatMap((kind, index) => {
    const reads = (outcomes[index] ?? []).flatMap(({ read }) => read ?? [])
    const figures = figuresOf(section, work, kind, runsOf(index), kinds[0]!, runsOf(0))
    return reads.length === 0 ? figures : [...figures, readFigure(section, work, kind, runsOf(index), reads)]
  })
}

function readFigure(section: Section, work: Work, kind: Kind, runs: Drain[], reads: PeerRun[]): Figure {
  const of = ratios(runs.map(rateOf), reads.map(rateOf))
  return {
    section,
    name: `${work}, ${kind.name}, of ConsumerPerformance`,
    value: median(of),
    unit: 'of its rate',
    target: null,
    peer: { name: 'ConsumerPerformance, events/s', value: median(reads.map(rateOf)) },
    note: `by round: ${listOf(of)}; it reads only, at ${median(reads.map(costOf)).toFixed(2)} us of CPU an event, the start of its JVM included`,
  }
}

function figuresOf(section: Section, work: Work, kind: Kind, runs: Drain[], base: Kind, baseRuns: Drain[]): Figure[] {
  const figure = (name: string, value: number, unit: string, note: string, target: Figure['target'] = null): Figure => {
    return { section, name, value, unit, target, peer: null, note }
  }
  const cost = figure(
    `CPU, ${work}, ${kind.name}`,
    median(runs.map(costOf)),
    'us/event',
    `median of ${runs.length}: ${listOf(runs.map(costOf))}; ${median(runs.map(rateOf)).toFixed(0)} events/s, peak ${median(runs.map(peakMiB)).toFixed(0)} MiB`,
  )
  if (kind === base) return [cost]
  const times = ratios(runs.map(costOf), baseRuns.map(costOf))
  const name = `cost of an event, ${work}, ${kind.name} against ${base.name}`
  return [cost, figure(name, median(times), 'times', `by round: ${listOf(times)}`, kind.target)]
}
