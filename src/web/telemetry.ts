import type { Settings } from '../config/settings.ts'
import type { FollowedPartition } from '../kafka/followTopic.ts'
import { Health } from '../telemetry/health.ts'
import { jsonPage, type Pages } from '../telemetry/http.ts'
import { memoryLimit } from '../telemetry/memory.ts'
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
  readonly #corruptAt = new Map<number, number>()
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
    this.#corruptAt.set(partition, from)
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
      const corruptAt = this.#corruptAt.get(partition)
      if (corruptAt === undefined || position <= corruptAt) continue
      this.#corruptAt.delete(partition)
      this.#health.corrupt(partition, false, now)
    }
    if (this.#ready || !this.#known || partitions.some(({ caughtUp }) => !caughtUp)) return
    this.#ready = true
    this.#options.onReady()
  }

  /** What is served, by path. */
  pages(): Pages {
    const { registry } = this.metrics
    return {
      '/livez': () => {
        this.observe()
        return jsonPage(this.#health.livez(performance.now()))
      },
      '/readyz': () => {
        this.observe()
        return jsonPage(this.#health.readyz([]))
      },
      '/healthz': () => {
        this.observe()
        const memory = { usedBytes: process.memoryUsage.rss(), limitBytes: memoryLimit() }
        return jsonPage(this.#health.healthz({ memory, rejectedShare: null }, performance.now()))
      },
      '/metrics': async () => {
        this.observe()
        this.metrics.observed(this.#options.store, this.#options.partitions(), this.#ready)
        return { status: 200, contentType: registry.contentType, body: await registry.metrics() }
      },
    }
  }
}
