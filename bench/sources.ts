import { createKafka } from '../src/kafka/client.ts'
import { withAdmin } from '../src/kafka/topics.ts'
import type { Lab, Pipeline } from './lab.ts'
import type { LoadMessage, LoadShape, LoadTask } from './tools/load.ts'

/** A topic of logins to be read: what it holds, and how. */
export type SourceSpec = {
  readonly events: number
  readonly partitions: number
  readonly compression: 'none' | 'gzip' | 'lz4' | 'zstd'
} & LoadShape

export type Source = {
  readonly topic: string
  readonly spec: SourceSpec
  /** Settings that make a pipeline read it, and write to the shared topics. */
  readonly given: Readonly<Record<string, string>>
}

const USUAL_SHAPE: LoadShape = { users: 10_000, bytes: null, tracedShare: null }
const USUAL: Omit<SourceSpec, 'events'> = { partitions: 12, compression: 'none', ...USUAL_SHAPE }

/** A load of usual events without end. */
export function steadyLoad({ settings }: Pipeline, rate: number, tellRuns = false): LoadTask {
  return { settings, rate, events: null, tellRuns, shape: USUAL_SHAPE }
}

/**
 * Topics that all who read a source of so many partitions write to: nobody reads them here, and topics for each of a
 * hundred runs would be work for the broker that no user has. The partials' topics are each group's own: an aggregator
 * whose group has no commit refuses to write into one that holds partials.
 */
export function sharedOutputs(partitions: number): Record<string, string> {
  const prefix = `out-${partitions}`
  return {
    SOURCE_PARTITIONS: String(partitions),
    ENRICHED_TOPIC: `${prefix}-processed-user-login`,
    DLQ_TOPIC: `${prefix}-user-login-dlq`,
    RESULTS_TOPIC: `${prefix}-aggregated-usage`,
    DEVICE_STATS_TOPIC: `${prefix}-user-device-stats`,
  }
}

/** The topics of one run of the benchmarks. Each is filled at its first use and stays for whoever wants the same. */
export class Sources {
  readonly #lab: Lab
  readonly #say: (line: string) => void
  readonly #sources = new Map<string, Promise<Source>>()

  constructor(lab: Lab, say: (line: string) => void) {
    this.#lab = lab
    this.#say = say
  }

  of(events: number, other: Partial<SourceSpec> = {}): Promise<Source> {
    const spec: SourceSpec = { ...USUAL, ...other, events }
    const key = JSON.stringify(Object.entries(spec).sort())
    const source = this.#sources.get(key) ?? this.#fill(spec, this.#sources.size + 1)
    this.#sources.set(key, source)
    return source
  }

  async #fill(spec: SourceSpec, number: number): Promise<Source> {
    const pipeline = await this.#lab.pipeline(`source-${number}`, sharedOutputs(spec.partitions))
    const topic = pipeline.settings.topics.source
    if (spec.compression !== 'none') await compress(pipeline, spec.compression)
    const { users, bytes, tracedShare, events } = spec
    const seconds = await fill(this.#lab, pipeline, events, { users, bytes, tracedShare })
    this.#say(`${events} events written into ${topic} in ${seconds.toFixed(1)} s: ${specText(spec)}`)
    return { topic, spec, given: { ...sharedOutputs(spec.partitions), SOURCE_TOPIC: topic } }
  }
}

/** The broker packs each batch as it comes in: what a reader gets is what a producer with this codec would have sent. */
async function compress({ settings }: Pipeline, codec: string): Promise<void> {
  // 2: a topic, in Kafka's numbers of resource types.
  const resource = {
    type: 2,
    name: settings.topics.source,
    configEntries: [{ name: 'compression.type', value: codec }],
  }
  await withAdmin(
    createKafka(settings.kafka, () => {}),
    admin => admin.alterConfigs({ validateOnly: false, resources: [resource] }),
  )
}

/** @returns the seconds that it took */
async function fill(lab: Lab, { settings }: Pipeline, events: number, shape: LoadShape): Promise<number> {
  const task: LoadTask = { settings, rate: 0, events, tellRuns: false, shape }
  const load = lab.tool<LoadMessage>('load.ts', task)
  const done = await load.message(message => message.kind === 'done')
  await load.stop()
  if (done.acknowledged !== events) throw new Error(`${done.acknowledged} of ${events} events were written`)
  return done.seconds
}

function specText({ partitions, users, bytes, compression, tracedShare }: SourceSpec): string {
  return [
    `${partitions} partitions`,
    `${users} users`,
    bytes === null ? '' : `${bytes} bytes each`,
    compression === 'none' ? '' : compression,
    tracedShare === null ? '' : `each with a traceparent, ${100 * tracedShare} % sampled`,
  ]
    .filter(text => text !== '')
    .join(', ')
}
