import type { Settings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import { watchKafka } from '../kafka/watch.ts'
import type { Capture, Notice } from '../tasks/task.ts'
import type { Traceparent } from '../tasks/traceContext.ts'
import { type LevelSettings, levelsOf } from '../windows/levels.ts'
import { Health, type PartitionReading } from './health.ts'
import type { Pages } from './http.ts'
import { type Log, traceFields } from './log.ts'
import { createMetrics, type Metrics, type Stage } from './metrics.ts'
import { type MetricSource, ObservedServer, observedPages } from './observed.ts'
import { type RejectionAlarm, RejectionGuard } from './rejections.ts'
import { UnreadableBatches } from './unreadable.ts'

export type RoleTelemetryOptions = {
  readonly settings: Pick<Settings, 'httpPort' | 'health' | 'rejectedShare'> & LevelSettings
  readonly role: Stage
  /** Tidemark's own. */
  readonly version: string
  /** What a partition is called in metrics; its number by default. */
  readonly nameOf?: (partition: number) => string
  readonly log: Pick<Log, 'write'>
  /** Told of each alarm of the rate guard beside the log. */
  readonly onAlarm?: (alarm: RejectionAlarm) => void
  /** Where the running partitions stand at this moment; not called before `open`. */
  readonly readings: () => readonly PartitionReading[]
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

/** What a worker tells, under the names and with the arguments of its listener. */
export type RoleListener = {
  assigned(epoch: number, partitions: readonly number[]): void
  restored(partition: number, position: number, committed: number | null): void
  live(partition: number): void
  /**
   * @param ms from the capture to the end of its commit
   * @param trace the context under which it was told; null, the default, when it belongs to no trace
   */
  delivered(partition: number, capture: Capture, ms: number, trace?: Traceparent | null): void
  notice(partition: number, notice: Notice): void
  failed(partition: number, error: unknown): void
  /** The ends of the logs were read from the brokers. */
  looked(): void
  /** A record batch that begins at `from` cannot be read; may be told at each try. */
  corrupt(partition: number, batch: { readonly from: number; readonly skipped: boolean }): void
}

/** Metrics, health and the rate guard of one role's process, fed by its worker and told over HTTP. */
export class RoleTelemetry {
  readonly on: RoleListener
  readonly #options: RoleTelemetryOptions
  readonly #metrics: Metrics
  readonly #health: Health
  readonly #guard: RejectionGuard
  /** When the restores that are under way began. */
  readonly #restoringSince = new Map<number, number>()
  readonly #unreadable = new UnreadableBatches()
  #owned: readonly number[] = []
  readonly #server: ObservedServer

  constructor(options: RoleTelemetryOptions) {
    const { health, rejectedShare } = options.settings
    this.#options = options
    const sizes = levelsOf(options.settings).map(({ name }) => name)
    this.#metrics = createMetrics(options.role, options.version, options.nameOf, sizes)
    this.#health = new Health(health, rejectedShare.limit)
    this.#guard = new RejectionGuard(rejectedShare)
    this.on = this.#listener()
    this.#server = new ObservedServer(this.pages(), () => this.#observe())
  }

  /**
   * Opens HTTP_PORT where there is one, and begins to observe. To be called before the group is joined, so that probes
   * are answered from the start.
   * @throws TidemarkError `bad_setting` when the port cannot be opened
   */
  async open(): Promise<void> {
    watchKafka(this.#metrics.kafka)
    await this.#server.open(this.#options.settings.httpPort)
  }

  /** Not ready from now on. */
  draining(): void {
    this.#health.draining()
  }

  /** The last thing to be closed: until then a draining role still answers. */
  async close(): Promise<void> {
    watchKafka(null)
    await this.#server.close()
  }

  /** Where metrics are read by those who are not served. */
  metricSource(): MetricSource {
    return { registry: this.#metrics.registry, observe: () => this.#observe() }
  }

  /** What is served, by path. */
  pages(): Pages {
    return observedPages({
      health: this.#health,
      registry: this.#metrics.registry,
      observe: () => this.#observe(),
      now: () => this.#now(),
      readyz: () => {
        const alarms = this.#guard.shares(this.#now()).filter(({ partition }) => this.#guard.raised(partition))
        return this.#health.readyz(alarms)
      },
      rejectedShare: () => this.#guard.worst(this.#now()),
    })
  }

  #listener(): RoleListener {
    const [metrics, health] = [this.#metrics, this.#health]
    return {
      assigned: (_epoch, partitions) => this.#assigned(partitions),
      restored: (partition, position, committed) => {
        metrics.restored(partition, position, committed)
        health.restoring(partition, null, this.#now())
      },
      live: partition => {
        const now = this.#now()
        metrics.live(partition, (now - (this.#restoringSince.get(partition) ?? now)) / 1000)
        health.live(partition, now)
        this.#restoringSince.delete(partition)
      },
      delivered: (partition, capture, ms, trace = null) => {
        metrics.delivered(partition, capture, ms / 1000, trace)
        health.flushed(partition, ms / 1000, this.#now())
        if (capture.tally !== null && this.#owned.includes(partition)) {
          this.#tell(this.#guard.add(partition, capture.tally, this.#now()), trace)
        }
      },
      notice: (_partition, notice) => metrics.noticed(notice),
      failed: (partition, error) => this.#failed(partition, error),
      looked: () => health.brokersSeen(this.#now()),
      corrupt: (partition, { from, skipped }) => {
        if (skipped) this.#unreadable.forget(partition)
        else this.#unreadable.met(partition, from)
        metrics.corruptBatch(partition, skipped ? 'skipped' : 'waiting')
        health.corrupt(partition, !skipped, this.#now())
      },
    }
  }

  #assigned(partitions: readonly number[]): void {
    const now = this.#now()
    for (const partition of this.#owned) {
      if (partitions.includes(partition)) continue
      this.#guard.forget(partition)
      this.#restoringSince.delete(partition)
      this.#unreadable.forget(partition)
    }
    for (const partition of partitions) if (!this.#owned.includes(partition)) this.#restoringSince.set(partition, now)
    this.#owned = [...partitions]
    this.#metrics.assigned(partitions)
    this.#health.assigned(partitions, now)
  }

  #failed(partition: number, error: unknown): void {
    const code = error instanceof TidemarkError ? error.code : 'unknown'
    const now = this.#now()
    if (this.#owned.includes(partition) && !this.#restoringSince.has(partition))
      this.#restoringSince.set(partition, now)
    this.#metrics.failed(partition, code)
    this.#health.restoring(partition, code, now)
  }

  #observe(): void {
    const now = this.#now()
    const readings = this.#options.readings()
    this.#metrics.observed(readings)
    this.#health.observe(readings, now)
    for (const { partition, position } of readings) {
      if (!this.#unreadable.isPast(partition, position)) continue
      this.#metrics.corruptBatch(partition, 'over')
      this.#health.corrupt(partition, false, now)
    }
    for (const alarm of this.#guard.expire(now)) this.#tell(alarm)
    for (const { partition, share } of this.#guard.shares(now)) {
      this.#metrics.rejectedShare(partition, share, this.#guard.raised(partition))
    }
  }

  /** @param trace the context of the events that made it pass, or go back below, the limit */
  #tell(alarm: RejectionAlarm | null, trace: Traceparent | null = null): void {
    if (alarm === null) return
    const { kind, codes, ...fields } = alarm
    const [level, event] =
      kind === 'raised' ? (['error', 'rejected_share'] as const) : (['info', 'rejected_share_ended'] as const)
    const { limit, windowMs } = this.#options.settings.rejectedShare
    const byCode = { codes: Object.fromEntries(codes), limit, window_ms: windowMs }
    this.#options.log.write(level, event, { ...fields, ...byCode, ...traceFields(trace) })
    this.#options.onAlarm?.(alarm)
  }

  #now(): number {
    return (this.#options.now ?? performance.now.bind(performance))()
  }
}
