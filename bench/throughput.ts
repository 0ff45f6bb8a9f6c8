import type { Bench } from './bench.ts'
import {
  costOf,
  DELIVERIES,
  type Delivery,
  type Drain,
  drain,
  othersText,
  peakMiB,
  rateOf,
  type Work,
} from './drain.ts'
import type { Figure } from './figure.ts'
import { type PeerRun, readWithConsumerPerformance, readWithKafkajs } from './readers.ts'
import { inTurns, listOf, median, ratios } from './statistics.ts'

const LEAST_OF_CONSUMER_PERFORMANCE = 1
/** How fast exactly once has to be, of at least once. */
const LEAST_EXACTLY_ONCE = 0.8
const PAIRS = 5
const QUICK_PAIRS = 2
/** Enriching takes several times as long. */
const ENRICHED_SHARE = 1 / 4

type Turn = 'ConsumerPerformance' | 'plain kafkajs' | Delivery
const TURNS: readonly Turn[] = ['ConsumerPerformance', 'plain kafkajs', ...DELIVERIES]

/** Counting against those who just read the same topic, in turns; then with enriched output; exactly once against at least once. */
export async function measureThroughput(bench: Bench): Promise<Figure[]> {
  const { lab, say, profileFolder, quick } = bench
  const source = await bench.sources.of(bench.events)
  const { events } = source.spec
  const pairs = quick ? QUICK_PAIRS : PAIRS
  const read = async (turn: Turn): Promise<Drain | PeerRun> => {
    const run =
      turn === 'ConsumerPerformance'
        ? await readWithConsumerPerformance(lab.kafka.brokers, source.topic, events)
        : turn === 'plain kafkajs'
          ? await readWithKafkajs(lab, source.topic, events)
          : await drain(lab, source, { work: 'counting', delivery: turn, profileFolder })
    say(`${turn}: ${rateOf(run).toFixed(0)} events/s, ${costOf(run).toFixed(2)} us of CPU an event`)
    return run
  }
  // Everyone reads once before it counts: the broker's caches and compiled code are then the same for all. It compiles for
  // each of them something that it has not done before, on the core that the others' readers have to themselves.
  for (const turn of TURNS) await read(turn)
  const [kafka, kafkajs, ...counting] = (await inTurns<Turn, Drain | PeerRun>(TURNS, pairs, read)) as [
    PeerRun[],
    PeerRun[],
    Drain[],
    Drain[],
  ]
  const enrichedSource = await bench.sources.of(Math.ceil(events * ENRICHED_SHARE))
  const enriching = await inTurns(DELIVERIES, pairs, async delivery => {
    const run = await drain(lab, enrichedSource, { work: 'enriching', delivery, profileFolder })
    say(`enriching, ${delivery}: ${rateOf(run).toFixed(0)} events/s, ${costOf(run).toFixed(2)} us of CPU an event`)
    return run
  })
  return [
    ...readingFigures(counting, kafka, kafkajs),
    ...workFigures('counting', counting, kafkajs),
    ...workFigures('enriching', enriching, kafkajs),
  ]
}

/** The row that matters: each pair within its own round. */
function readingFigures(counting: readonly Drain[][], kafka: PeerRun[], kafkajs: PeerRun[]): Figure[] {
  return DELIVERIES.flatMap((delivery, index) => {
    const ours = counting[index] ?? []
    const against = (name: string, peers: PeerRun[], target: Figure['target'], cpuNote = ''): Figure => {
      const of = ratios(ours.map(rateOf), peers.map(rateOf))
      return {
        section: 'throughput',
        name: `counting, ${delivery}, of ${name}`,
        value: median(of),
        unit: 'of its rate',
        target,
        peer: { name: `${name}, events/s`, value: median(peers.map(rateOf)) },
        bars: [{ group: 'counting', label: `${name}, reading only`, eventsPerSecond: median(peers.map(rateOf)) }],
        note: `median of ${of.length} pairs: ${listOf(of)}; it reads only, at ${median(peers.map(costOf)).toFixed(2)} us of CPU an event${cpuNote}`,
      }
    }
    return [
      against(
        'ConsumerPerformance',
        kafka,
        { least: LEAST_OF_CONSUMER_PERFORMANCE },
        ', the start of its JVM included',
      ),
      against('plain kafkajs', kafkajs, null),
    ]
  })
}

function workFigures(work: Work, runs: readonly Drain[][], kafkajs: PeerRun[]): Figure[] {
  const figure = (name: string, value: number, unit: string, note: string, rest: Partial<Figure> = {}): Figure => {
    return { section: 'throughput', name, value, unit, target: null, peer: null, note, ...rest }
  }
  const each = DELIVERIES.flatMap((delivery, index) => {
    const drains = runs[index] ?? []
    const middle = (of: (drain: Drain) => number) => median(drains.map(of))
    const seconds = `${middle(({ seconds }) => seconds).toFixed(2)} s from the assignment to the last event counted, ${middle(({ committedSeconds }) => committedSeconds).toFixed(2)} to the last commit`
    const name = `${work}, ${delivery}`
    const peerCost = { name: 'plain kafkajs', value: median(kafkajs.map(costOf)) }
    const peerPeak = { name: 'plain kafkajs', value: median(kafkajs.map(({ peakBytes }) => peakBytes / 2 ** 20)) }
    return [
      figure(name, middle(rateOf), 'events/s', `${seconds}; ${othersText(middle(({ otherCores }) => otherCores))}`, {
        bars: [{ group: work, label: `Tidemark, ${delivery}`, eventsPerSecond: middle(rateOf) }],
      }),
      figure(`${name}, CPU`, middle(costOf), 'us/event', '', { peer: peerCost }),
      figure(`${name}, peak memory`, middle(peakMiB), 'MiB', 'while it drains', { peer: peerPeak }),
    ]
  })
  const [atLeastOnce = [], exactlyOnce = []] = runs
  const kept = ratios(exactlyOnce.map(rateOf), atLeastOnce.map(rateOf))
  const target = { least: LEAST_EXACTLY_ONCE }
  const note = `median of ${kept.length} pairs: ${listOf(kept)}`
  return [...each, figure(`exactly once / at least once, ${work}`, median(kept), 'of the rate', note, { target })]
}
