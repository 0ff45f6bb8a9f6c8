import type { Settings } from '../config/settings.ts'
import type { FollowedPartition } from '../kafka/followTopic.ts'
import { Health } from '../telemetry/health.ts'
import type { Pages } from '../telemetry/http.ts'
import { type MetricSource, observedPages } from '../telemetry/observed.ts'
import { UnreadableBatches } from '../telemetry/unreadable.ts'
import { createServeMetrics, type ServeMetrics } from './metrics.ts'
import type { ResultStore } from './resultStore.ts'

export type ServeTelemetryOptions = {
  readonly settings: Pick<Settings, 'health' | 'rejectedShare'>
  readonly version: string
  readonly store: ResultStore
  /** Where the results topic is read at this moment. */
  readonly partitions: () => readonly FollowedPartition[]
  /** All that there was at the start has been read; told once. */
  readonly onReady: () => void
}

/** Health and metrics of a `serve` process, under the same paths as those of the other roles. */
export class ServeTelemetry {
  readonly metrics: ServeMetrics
  readonly #options: ServeTelemetryOptions
  readonly #health: Health
  readonly #unreadable = new UnreadableBatches()
  #known = false
  #ready = false

  constructor(options: ServeTelemetryOptions) {
    this.#options = options
    this.metrics = createServeMetrics(options.version)
    // No event is judged here, so that there is no share of rejected ones.
    this.#health = new Health(options.settings.health, options.settings.rejectedShare.limit)
  }

  /** Whether all results that there were at the start have been read. It stays so. */
  get ready(): boolean {
    return this.#ready
  }

  /** The results topic has these partitions. */
  partitionsFound(partitions: readonly number[]): void {
    this.#known = true
    this.#health.assigned(partitions, performance.now())
    // What a partition holds that is added later cannot have been missed before.
    if (this.#ready) for (const partition of partitions) this.#health.live(partition, performance.now())
  }

  looked(): void {
    this.#health.brokersSeen(performance.now())
  }

  corrupt(partition: number, from: number): void {
    this.#unreadable.met(partition, from)
    this.metrics.corruptBatch()
    this.#health.corrupt(partition, true, performance.now())
  }

  /** Not ready from now on, for those who send requests our way. */
  draining(): void {
    this.#health.draining()
  }

  /** Takes in where we stand; to be called about once a second, and whenever someone asks. */
  observe(): void {
    const now = performance.now()
    const partitions = this.#options.partitions()
    this.#health.observe(
      partitions.map(({ partition, position, lag }) => ({ partition, position, lag, clockMs: null })),
      now,
    )
    for (const { partition, position, caughtUp } of partitions) {
      if (caughtUp && !this.#ready) this.#health.live(partition, now)
      if (this.#unreadable.isPast(partition, position)) this.#health.corrupt(partition, false, now)
    }
    this.#noticeReady(partitions)
    this.metrics.observed(this.#options.store, partitions, this.#ready)
  }

  #noticeReady(partitions: readonly FollowedPartition[]): void {
    if (this.#ready || !this.#known || partitions.some(({ caughtUp }) => !caughtUp)) return
    this.#ready = true
    this.#options.onReady()
  }

  /** Where metrics are read by those who are not served. */
  metricSource(): MetricSource {
    return { registry: this.metrics.registry, observe: () => this.observe() }
  }

  /** What is served, by path. */
  pages(): Pages {
    return observedPages({
      health: this.#health,
      registry: this.metrics.registry,
      observe: () => this.observe(),
      now: () => performance.now(),
    })
  }
}
