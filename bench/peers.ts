import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { costOf, type Drain, drain, rateOf, type Work } from './drain.ts'
import type { Figure } from './figure.ts'
import { flinkProgram, type Program, pythonProgram, runPeer, streamsProgram } from './peers/programs.ts'
import type { PeerRun } from './readers.ts'
import type { Source } from './sources.ts'
import { listOf, median } from './statistics.ts'

/** Somebody else's way to do the same. */
type Peer = {
  readonly name: string
  readonly work: Work
  /** Fetches and compiles what it needs, at its first use. */
  readonly program: () => Promise<Program>
  /** Of the bench's events: the slow ones are given fewer. */
  readonly share: number
  /** Whether it ends after so many events, or with the topic. */
  readonly stops: boolean
  /** Whether it writes to a topic. */
  readonly tells: boolean
  readonly target: { readonly by: 'rate' | 'cpu'; readonly least: number } | null
  readonly install: string
}

const JDK = 'a JDK from 17 and Maven'
const PYTHON = 'Python from 3.9 with venv and pip'
const ROUNDS = 3
const QUICK_ROUNDS = 1

const PEERS: readonly Peer[] = [
  {
    ...{ name: 'Kafka Streams, hand-tuned Processor', work: 'counting', share: 1 / 2, stops: true, install: JDK },
    tells: true,
    program: () => streamsProgram('TunedCounts'),
    target: { by: 'cpu', least: 4 },
  },
  {
    ...{ name: 'Kafka Streams, DSL', work: 'counting', share: 1 / 8, stops: true, install: JDK },
    tells: true,
    program: () => streamsProgram('DslCounts'),
    target: { by: 'cpu', least: 8 },
  },
  {
    ...{ name: 'Flink DataStream, local mini-cluster', work: 'counting', share: 1 / 4, stops: false, install: JDK },
    tells: false,
    program: flinkProgram,
    target: null,
  },
  {
    ...{ name: 'Python confluent-kafka', work: 'counting', share: 1 / 4, stops: true, install: PYTHON },
    tells: false,
    program: () => pythonProgram('confluent.py'),
    target: null,
  },
  {
    ...{ name: 'Python confluent-kafka', work: 'enriching', share: 1 / 4, stops: true, install: PYTHON },
    tells: true,
    program: () => pythonProgram('confluent.py'),
    target: { by: 'rate', least: 2.5 },
  },
  {
    ...{ name: 'Python kafka-python', work: 'counting', share: 1 / 20, stops: true, install: PYTHON },
    tells: false,
    program: () => pythonProgram('kafka_python.py'),
    target: null,
  },
  {
    ...{ name: 'Python kafka-python', work: 'enriching', share: 1 / 100, stops: true, install: PYTHON },
    tells: true,
    program: () => pythonProgram('kafka_python.py'),
    target: null,
  },
]

type Pair = { readonly ours: Drain; readonly theirs: PeerRun }
let applications = 0

/** Everybody counts, or counts and enriches, the same topic; each peer and Tidemark in turns. */
export async function measurePeers(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const peer of PEERS) {
    let program: Program
    try {
      program = await peer.program()
    } catch (error) {
      // Whatever is not there is said, and the others are measured all the same.
      figures.push(absent(peer, error))
      bench.say(`${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}`)
      continue
    }
    figures.push(...figuresOf(peer, await runPairs(bench, peer, program)))
  }
  return figures
}

async function runPairs(bench: Bench, peer: Peer, program: Program): Promise<Pair[]> {
  const { lab, say, quick } = bench
  const source = await bench.sources.of(bench.events / 2)
  const theirSource = peer.stops ? source : await bench.sources.of(Math.ceil(bench.events * peer.share))
  const pairs: Pair[] = []
  for (let round = 0; round < (quick ? QUICK_ROUNDS : ROUNDS); round++) {
    const runOurs = () => drain(lab, source, { work: peer.work, delivery: 'at-least-once' })
    const runTheirs = () => runProgram(bench, peer, program, theirSource)
    const first = round % 2 === 0 ? await runTheirs() : null
    const ours = await runOurs()
    const theirs = first ?? (await runTheirs())
    say(
      `${peer.name}, ${peer.work}: ${rateOf(theirs).toFixed(0)} events/s, ${costOf(theirs).toFixed(2)} us of CPU; Tidemark ${rateOf(asCommitted(ours, peer)).toFixed(0)} and ${costOf(ours).toFixed(2)}`,
    )
    pairs.push({ ours, theirs })
  }
  return pairs
}

async function runProgram(bench: Bench, peer: Peer, program: Program, source: Source): Promise<PeerRun> {
  const name = `peer-${++applications}`
  const events = Math.ceil(bench.events * peer.share)
  const stateDir = await mkdtemp(join(tmpdir(), 'tidemark-bench-peer-'))
  try {
    // As Tidemark's: the topic of enriched events takes what the peer tells.
    const { topics } = (await bench.lab.pipeline(name, source.given)).settings
    const output = peer.tells ? topics.enriched : ''
    return await runPeer(program, [bench.lab.kafka.brokers, source.topic, String(events), name, output, stateDir])
  } finally {
    await rm(stateDir, { recursive: true, force: true })
  }
}

/** Who enriches is done when everything is acknowledged and committed: so it is measured on both sides. */
function asCommitted(ours: Drain, { work }: Peer): { readonly events: number; readonly seconds: number } {
  return work === 'enriching' ? { events: ours.events, seconds: ours.committedSeconds } : ours
}

function figuresOf(peer: Peer, pairs: readonly Pair[]): Figure[] {
  const { name, work, target } = peer
  const rates = pairs.map(({ ours, theirs }) => rateOf(asCommitted(ours, peer)) / rateOf(theirs))
  const cpu = pairs.map(({ ours, theirs }) => costOf(theirs) / costOf(ours))
  const theirs = pairs.map(pair => pair.theirs)
  const limit = (by: 'rate' | 'cpu') => (target?.by === by ? { least: target.least } : null)
  const events = theirs[0]?.events.toLocaleString('en-US')
  const row = (of: string, values: readonly number[], by: 'rate' | 'cpu', peerName: string, note: string): Figure => ({
    section: 'peers',
    name: `${work}, ${of}, against ${name}`,
    value: median(values),
    unit: 'times',
    target: limit(by),
    peer: { name: peerName, value: median(theirs.map(by === 'rate' ? rateOf : costOf)) },
    note: `median of ${values.length} pairs: ${listOf(values)}; ${note}`,
  })
  const memory = `${(median(theirs.map(({ peakBytes }) => peakBytes)) / 2 ** 20).toFixed(0)} MiB at its peak`
  return [
    {
      ...row(
        'events/s',
        rates,
        'rate',
        'its events/s',
        `it was given ${events} events${peer.tells ? '' : ' and writes nothing'}; ${memory}`,
      ),
      bars: [{ group: work, label: name, eventsPerSecond: median(theirs.map(rateOf)) }],
    },
    row('events a CPU second', cpu, 'cpu', 'its us/event', 'from its first event to its last'),
  ]
}

function absent({ name, work, install }: Peer, error: unknown): Figure {
  const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0]
  return {
    section: 'peers',
    name: `${work}, against ${name}: left out`,
    value: Number.NaN,
    unit: '',
    target: null,
    peer: null,
    note: `it needs ${install}: ${reason}`,
  }
}
