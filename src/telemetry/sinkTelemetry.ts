import type { Settings } from '../config/settings.ts'
import type { TidemarkError } from '../errors.ts'
import { watchKafka } from '../kafka/watch.ts'
import type { LogRange } from '../tasks/task.ts'
import { Health, type PartitionReading } from './health.ts'
import type { Pages } from './http.ts'
import type { Log } from './log.ts'
import { type MetricSource, ObservedServer, observedPages } from './observed.ts'
import { createSinkMetrics, type SinkMetrics } from './sinkMetrics.ts'
import { UnreadableBatches } from './unreadable.ts'

export type SinkTelemetryOptions = {
  readonly settings: Pick<Settings, 'httpPort' | 'health' | 'rejectedShare'>
  /** Tidemark's own. */
  readonly version: string
  readonly log: Pick<Log, 'write'>
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

/** A database that was never asked is neither up nor down. */
type DatabaseState = { readonly up: boolean | null; readonly sinceMs: number; readonly reason: string | null }

/**
 * Metrics and health of a sink, told over HTTP. A database that is away is said once in the log when that begins and once
 * when it ends, makes the sink not ready, and never makes it not live: restarting us would not bring it back.
 */
export class SinkTelemetry {
  readonly metrics: SinkMetrics
  readonly #options: SinkTelemetryOptions
  readonly #health: Health
  readonly #positions = new Map<number, number>()
  readonly #unreadable = new UnreadableBatches()
  #ranges: readonly LogRange[] = []
  #database: DatabaseState
  readonly #server: ObservedServer

  constructor(options: SinkTelemetryOptions) {
    this.#options = options
    this.#health = new Health(options.settings.health, options.settings.rejectedShare.limit)
    this.metrics = createSinkMetrics(options.version)
    this.#database = { up: null, sinceMs: this.#now(), reason: null }
    this.#server = new ObservedServer(this.pages(), () => this.#observe())
  }

  /** @throws TidemarkError `bad_setting` when HTTP_PORT cannot be opened */
  async open(): Promise<void> {
    watchKafka(this.metrics.kafka)
    await this.#server.open(this.#options.settings.httpPort)
  }

  async close(): Promise<void> {
    watchKafka(null)
    await this.#server.close()
  }

  assigned(partitions: readonly number[]): void {
    for (const partition of this.#positions.keys())
      if (!partitions.includes(partition)) this.#positions.delete(partition)
    this.metrics.assigned(partitions)
    this.#health.assigned(partitions, this.#now())
  }

  restored(partition: number, position: number, committed: number | null): void {
    this.#positions.set(partition, position)
    if (committed !== null) this.metrics.committed(partition, committed)
  }

  live(partition: number): void {
    this.metrics.live(partition, true)
    this.#health.live(partition, this.#now())
  }

  /** Rows are thrown away to be read again. */
  failed(partition: number, code: string): void {
    this.metrics.failed(code)
    this.metrics.live(partition, false)
    this.#health.restoring(partition, code, this.#now())
  }

  /** @param ms from the capture to the end of its commit */
  delivered(partition: number, offset: number, ms: number): void {
    this.#positions.set(partition, offset)
    this.metrics.committed(partition, offset)
    if (this.#unreadable.isPast(partition, offset)) {
      this.metrics.corrupt(partition, false)
      this.#health.corrupt(partition, false, this.#now())
    }
    this.#health.flushed(partition, ms / 1000, this.#now())
  }

  /** The ends of the logs, as the brokers have told them just now. */
  looked(ranges: readonly LogRange[]): void {
    this.#ranges = ranges
    this.#health.brokersSeen(this.#now())
  }

  /** A record batch that begins at `from` cannot be read; the partition waits there. */
  corrupt(partition: number, from: number): void {
    this.#unreadable.met(partition, from)
    this.metrics.corrupt(partition, true)
    this.#health.corrupt(partition, true, this.#now())
  }

  databaseUp(): void {
    const { up, sinceMs } = this.#database
    if (up === true) return
    this.#database = { up: true, sinceMs: this.#now(), reason: null }
    this.metrics.database(true)
    if (up === false) this.#options.log.write('info', 'database_up', { after_ms: Math.round(this.#now() - sinceMs) })
  }

  databaseDown({ message }: TidemarkError): void {
    this.metrics.databaseError()
    const before = this.#database
    const sinceMs = before.up === false ? before.sinceMs : this.#now()
    this.#database = { up: false, sinceMs, reason: message }
    if (before.up === false) return
    this.metrics.database(false)
    this.#options.log.write('error', 'database_down', { reason: message })
  }

  /** Whether the database is known to be away. */
  get isDatabaseDown(): boolean {
    return this.#database.up === false
  }

  /** Not ready from now on. */
  draining(): void {
    this.#health.draining()
  }

  /** Where metrics are read by those who are not served. */
  metricSource(): MetricSource {
    return { registry: this.metrics.registry, observe: () => this.#observe() }
  }

  /** What is served, by path. */
  pages(): Pages {
    return observedPages({
      health: this.#health,
      registry: this.metrics.registry,
      observe: () => this.#observe(),
      now: () => this.#now(),
      readyz: () => {
        const { ok, body } = this.#health.readyz([])
        const { up, reason } = this.#database
        const ready = ok && up === true
        return { ok: ready, body: { ...body, ready, database: { up: up === true, reason } } }
      },
    })
  }

  /** Also while the database is away and nothing runs: that is when the lag is asked for. */
  #observe(): void {
    const readings = [...this.#positions].map<PartitionReading>(([partition, position]) => {
      const end = this.#ranges[partition]?.end
      return { partition, position, lag: end === undefined ? null : Math.max(0, end - position), clockMs: null }
    })
    for (const { partition, position, lag } of readings) this.metrics.observed(partition, position, lag)
    this.#health.observe(readings, this.#now())
  }

  #now(): number {
    return (this.#options.now ?? performance.now.bind(performance))()
  }
}
