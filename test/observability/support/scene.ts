import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { createBatchSender, type KafkaBatchSender } from '../../../src/kafka/batchSender.ts'
import { createKafka, type KafkaClient } from '../../../src/kafka/client.ts'
import { groupName } from '../../../src/kafka/names.ts'
import { ensureTopics } from '../../../src/kafka/topics.ts'
import { Pipeline } from '../../kafka/scenarios/support/pipeline.ts'
import type { SupervisedRole } from '../../kafka/scenarios/support/supervisedRole.ts'
import type { Alert, Prometheus, Target } from './prometheus.ts'
import { until } from './until.ts'

type Stage = SupervisedRole['stage']

/** The labels that tell one alert of a rule from the others, as partition: '1'. */
export type Labels = Readonly<Record<string, string>>

export type SceneOptions = {
  /** The first part of its topics' and groups' names, and the `job` of its series: scenes share Kafka and Prometheus. */
  readonly name: string
  readonly brokers: string
  readonly prometheus: Prometheus
  readonly settings?: Labels
}

/** Small and quick: one window a second, one partition of partials, nothing that a test need not wait for. */
const SETTINGS: Labels = {
  SOURCE_PARTITIONS: '2',
  PARTIALS_PARTITIONS: '1',
  WINDOW_SIZE: '1s',
  ROLLUPS: 'none',
  ALLOWED_LATENESS: '1s',
  ENRICHED_ENABLED: 'false',
  FLUSH_INTERVAL: '500ms',
  EMIT_INTERVAL: '500ms',
}
const NAMESPACE = 'shop'
const STREAM_STEP_MS = 250

/** The targets of all scenes of a Prometheus: it is told of all of them each time. */
const targetsOf = new WeakMap<Prometheus, Target[]>()

/** Opens a scene, runs it, and ends its processes whatever happens. */
export async function withScene(options: SceneOptions, run: (scene: Scene) => Promise<void>): Promise<void> {
  const scene = await Scene.open(options)
  try {
    await run(scene)
    scene.pipeline.passed = true
  } finally {
    await scene.close()
  }
}

/** A small Tidemark whose roles a shared Prometheus scrapes, and what Prometheus says of it. */
export class Scene {
  readonly pipeline: Pipeline
  readonly kafka: KafkaClient
  readonly prometheus: Prometheus
  readonly #name: string
  readonly #sender: KafkaBatchSender
  /** A stage's port stays the same when it is started again, as a Pod's does. */
  readonly #ports: Readonly<Record<Stage, number>>
  readonly #streams = new Set<() => Promise<void>>()

  private constructor(
    options: SceneOptions,
    pipeline: Pipeline,
    kafka: KafkaClient,
    sender: KafkaBatchSender,
    ports: readonly number[],
  ) {
    this.pipeline = pipeline
    this.kafka = kafka
    this.prometheus = options.prometheus
    this.#name = options.name
    this.#sender = sender
    const [aggregate, reduce] = ports as [number, number]
    this.#ports = { aggregate, reduce }
  }

  /** Makes the topics and lets Prometheus know the ports at which roles will answer. */
  static async open(options: SceneOptions): Promise<Scene> {
    const { brokers, name, settings } = options
    const pipeline = new Pipeline(brokers, name, {
      aggregators: 0,
      reducers: 0,
      settings: { ...SETTINGS, ...settings },
    })
    const kafka = createKafka(pipeline.settings.kafka, () => {})
    await ensureTopics(kafka, pipeline.settings)
    const ports = await freePorts(2, '127.0.0.1')
    const sender = await createBatchSender(pipeline.settings.kafka)
    const scene = new Scene(options, pipeline, kafka, sender, ports)
    scene.#announce()
    return scene
  }

  /** Starts the one process of a stage, again if need be; resolves once it has its partitions. */
  async start(stage: Stage, env: Labels = {}): Promise<SupervisedRole> {
    const role = this.pipeline.add(stage, { HTTP_PORT: String(this.#ports[stage]), ...env })
    await role.line('assigned')
    return role
  }

  /** Sends one login of this time to a partition. */
  async login(partition: number, timeMs = Date.now()): Promise<void> {
    const value = JSON.stringify({ user_id: `user-${partition}`, timestamp: new Date(timeMs).toISOString() })
    await this.#sender.send(this.pipeline.topic('source'), partition, [{ key: null, value }])
  }

  /** Sends a login to each of these partitions, four times a second, until the end of the scene or the call of what it gives. */
  stream(...partitions: readonly number[]): () => Promise<void> {
    let ended = false
    const run = async () => {
      while (!ended) {
        await Promise.all(partitions.map(partition => this.login(partition)))
        await sleep(STREAM_STEP_MS)
      }
    }
    const running = run()
    // Told to whoever ends it.
    running.catch(() => {})
    const end = () => {
      ended = true
      this.#streams.delete(end)
      return running
    }
    this.#streams.add(end)
    return end
  }

  /** Waits until a stage has committed so much of a partition, and says how much. */
  committed(partition: number, offset: number): Promise<number> {
    const { reader, settings } = this.pipeline
    const group = groupName(settings, 'aggregate')
    return until(`a commit of partition ${partition} at ${offset}`, async () => {
      const commit = await reader.readCommit(group, this.pipeline.topic('source'), partition)
      return commit !== null && commit.offset >= offset ? commit.offset : undefined
    })
  }

  /** Waits until Prometheus finds that the query has a sample of this scene, and gives its value. `JOB` stands for its matcher. */
  sample(promql: string): Promise<number> {
    const query = promql.replaceAll('JOB', `job="${this.#name}"`)
    return until(query, async () => (await this.prometheus.query(query))[0]?.value)
  }

  /** Waits until the alert fires, with at least these labels. */
  firing(name: string, labels: Labels = {}): Promise<Alert> {
    return until(`${this.#name}: ${name} ${JSON.stringify(labels)} fires`, async () => await this.#find(name, labels))
  }

  /** Waits until it fires no more. */
  async resolved(name: string, labels: Labels = {}): Promise<void> {
    await until(`${this.#name}: ${name} ${JSON.stringify(labels)} is resolved`, async () =>
      (await this.#find(name, labels)) === undefined ? true : undefined,
    )
  }

  /** @throws Error when one of these alerts has fired of this scene, at any time so far */
  async neverFired(...names: readonly string[]): Promise<void> {
    const fired = await this.fired()
    const unwanted = names.filter(name => fired.has(name))
    if (unwanted.length > 0) throw new Error(`${this.#name}: ${unwanted.join(', ')} fired without a cause`)
  }

  /** The names of all alerts that have fired of this scene so far. */
  async fired(): Promise<ReadonlySet<string>> {
    const query = `count by (alertname) (last_over_time(ALERTS{alertstate="firing", job="${this.#name}"}[1h]))`
    return new Set((await this.prometheus.query(query)).map(({ labels }) => labels.alertname ?? ''))
  }

  async close(): Promise<void> {
    this.#retire()
    await Promise.allSettled([...this.#streams].map(end => end()))
    await Promise.all([this.#sender.close(), this.pipeline.end()])
  }

  async #find(name: string, wanted: Labels): Promise<Alert | undefined> {
    const own = Object.entries({ ...wanted, job: this.#name })
    return (await this.prometheus.alerts()).find(alert => {
      return alert.name === name && alert.state === 'firing' && own.every(([key, value]) => alert.labels[key] === value)
    })
  }

  #announce(): void {
    const labels = { job: this.#name, namespace: NAMESPACE }
    const own = Object.values(this.#ports).map(port => ({ address: `127.0.0.1:${port}`, labels }))
    this.#tell([...(targetsOf.get(this.prometheus) ?? []), ...own])
  }

  #retire(): void {
    this.#tell((targetsOf.get(this.prometheus) ?? []).filter(({ labels }) => labels.job !== this.#name))
  }

  #tell(targets: Target[]): void {
    targetsOf.set(this.prometheus, targets)
    this.prometheus.scrape(targets)
  }
}
