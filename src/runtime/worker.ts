import { TidemarkError } from '../errors.ts'
import type { RecordBatch } from '../tasks/recordBatch.ts'
import type { Capture, Commit, LogRange, Notice, Task, TaskFactory } from '../tasks/task.ts'
import type { Traceparent } from '../tasks/traceContext.ts'
import { Pace } from './pace.ts'
import { PartitionRunner } from './partitionRunner.ts'
import type { CorruptBatch, Delivery, Group, GroupListener, PartitionPorts } from './ports.ts'

export type WorkerOptions<T extends Task> = {
  readonly factory: TaskFactory<T>
  readonly flushIntervalMs: number
  readonly idleTimeoutMs: number
  readonly flushMaxBytes: number
  /** Events waiting that are told at once; 0 leaves it to time and bytes. */
  readonly flushMaxEvents: number
  /** Records that are taken in a second, over all partitions; 0, the default, is no limit. */
  readonly maxRecordsPerSecond?: number
  /** What to do at a record batch that cannot be read, for a task that knows both. */
  readonly corruptBatches: 'wait' | 'skip'
  /** Joins the group with the given listener. */
  readonly join: (listener: GroupListener) => Group
  readonly readCommit: (partition: number) => Promise<Commit | null>
  /** The ranges of all partitions of the topic that is read, by partition number. */
  readonly readLogRanges: () => Promise<readonly LogRange[]>
  /** @param commitThroughGroup commits in the generation that owns the partition, for deliveries without transactions */
  readonly createDelivery: (partition: number, commitThroughGroup: (commit: Commit) => Promise<void>) => Delivery
  readonly now?: () => number
  readonly on: WorkerListener
}

export type WorkerListener = {
  readonly assigned?: (epoch: number, partitions: readonly number[]) => void
  readonly restored?: (partition: number, position: number, committed: number | null) => void
  readonly live?: (partition: number, position: number, sinceAssignedMs: number) => void
  /**
   * @param ms from the capture to the end of its commit
   * @param trace the context under which it was told; null when it belongs to no trace
   */
  readonly delivered?: (partition: number, capture: Capture, ms: number, trace: Traceparent | null) => void
  readonly notice?: (partition: number, notice: Notice, trace: Traceparent | null) => void
  /** The ends of the logs were read from the brokers. */
  readonly looked?: () => void
  /** A record batch cannot be read: it was skipped, or the partition stands still at it. */
  readonly corrupt?: (partition: number, batch: CorruptReport) => void
  /** @param trace the context under which was told what failed; null when it belongs to no trace */
  readonly failed?: (partition: number, error: unknown, trace: Traceparent | null) => void
  /** The process must end: see exitCodeOf. Called at most once. */
  readonly fatal: (error: unknown) => void
}

export type CorruptReport = {
  readonly from: number
  readonly to: number | null
  readonly reason: string
  readonly skipped: boolean
}

/** The state of one partition as a member sees it. */
export type PartitionView<T> = { readonly partition: number; readonly task: T; readonly lag: number | null }

type Owned<T extends Task> = { readonly runner: PartitionRunner<T>; readonly delivery: Delivery }

/** How often the ends of the logs are looked at, for idleness and lag. */
const LOOK_INTERVAL_MS = 1_000
/** A drain that takes longer is given up: what was not told is told by the next owner. */
const DRAIN_LIMIT_MS = 15_000
/** A batch that waits for its turn looks about this often whether it still may come. */
const PACE_STEP_MS = 100

/** One process's part of one stage: a runner for each partition that the group assigns to it. */
export class Worker<T extends Task> {
  readonly #options: WorkerOptions<T>
  readonly #group: Group
  readonly #owned = new Map<number, Owned<T>>()
  readonly #pace: Pace
  #epoch: number | null = null
  #assignedAt = 0
  #ranges: readonly LogRange[] = []
  #timers: NodeJS.Timeout[] = []
  #looking = false
  #ended = false

  constructor(options: WorkerOptions<T>) {
    this.#options = options
    this.#pace = new Pace(options.maxRecordsPerSecond ?? 0)
    this.#group = options.join({
      onAssigned: (epoch, partitions) => this.#onAssigned(epoch, partitions),
      onRevoked: () => {
        this.#epoch = null
      },
      onBatch: (epoch, partition, batch, heartbeat) => this.#onBatch(epoch, partition, batch, heartbeat),
      onAdvance: (partition, nextOffset) => {
        const runner = this.#owned.get(partition)?.runner
        if (runner?.task) runner.advance(runner.task.position, nextOffset)
      },
      onOutOfRange: partition => {
        const reason = new TidemarkError('delivery_failed', 'the log no longer holds the position', { retriable: true })
        void this.#owned.get(partition)?.runner.startOver(reason)
      },
      onCorrupt: (epoch, partition, corrupt) => this.#onCorrupt(epoch, partition, corrupt),
      beforeRejoin: () => this.#flushAll(),
      onCrash: error => this.#fatal(error),
    })
  }

  /** Resolves after the group's first assignment. */
  async start(): Promise<void> {
    this.#ranges = await this.#options.readLogRanges()
    this.#timers.push(setInterval(() => void this.#flushAll(), this.#options.flushIntervalMs))
    this.#timers.push(setInterval(() => void this.#look(), Math.min(LOOK_INTERVAL_MS, this.#options.idleTimeoutMs)))
    await this.#group.start()
  }

  /** Tells and commits what is processed, leaves the group, and closes all connections. */
  async drain(): Promise<void> {
    this.#end()
    for (const partition of this.#owned.keys()) this.#group.pause(partition)
    const drained = Promise.all([...this.#owned.values()].map(({ runner }) => runner.drain()))
    await Promise.race([drained, sleep(DRAIN_LIMIT_MS)])
    await this.leave()
  }

  /** Leaves the group without telling anything more, so that the others need not wait for our session to end. */
  async leave(): Promise<void> {
    this.#end()
    for (const { runner } of this.#owned.values()) runner.stop()
    await this.#group.stop()
    await Promise.allSettled([...this.#owned.values()].map(({ delivery }) => delivery.close()))
  }

  /** The partitions that are running here, for statistics and health. */
  views(): PartitionView<T>[] {
    const views: PartitionView<T>[] = []
    for (const [partition, { runner }] of this.#owned) {
      const end = this.#ranges[partition]?.end
      if (runner.task === null) continue
      views.push({
        partition,
        task: runner.task,
        lag: end === undefined ? null : Math.max(0, end - runner.task.position),
      })
    }
    return views.sort((a, b) => a.partition - b.partition)
  }

  #onAssigned(epoch: number, partitions: readonly number[]): void {
    this.#epoch = epoch
    this.#assignedAt = this.#now()
    this.#options.on.assigned?.(epoch, partitions)
    for (const [partition, { runner, delivery }] of this.#owned) {
      if (partitions.includes(partition)) continue
      runner.stop()
      void delivery.close()
      this.#owned.delete(partition)
    }
    for (const partition of partitions) {
      const owned = this.#owned.get(partition)
      if (owned === undefined) void this.#own(partition).start()
      else void owned.runner.resume()
    }
  }

  #own(partition: number): PartitionRunner<T> {
    const { on, factory, idleTimeoutMs, flushMaxBytes, flushMaxEvents } = this.#options
    const delivery = this.#options.createDelivery(partition, async commit => {
      if (this.#epoch === null) throw new TidemarkError('fenced', 'the assignment is over')
      await this.#group.commit(this.#epoch, partition, commit)
    })
    const runner = new PartitionRunner<T>({
      partition,
      factory,
      ports: this.#ports(partition, delivery),
      idleTimeoutMs,
      flushMaxBytes,
      flushMaxEvents,
      now: () => this.#now(),
      sleep,
      sourcePartitions: () => this.#ranges.length,
      on: {
        restored: (position, committed) => on.restored?.(partition, position, committed),
        live: position => on.live?.(partition, position, this.#now() - this.#assignedAt),
        delivered: (capture, ms) => on.delivered?.(partition, capture, ms, delivery.traceparent ?? null),
        notice: notice => on.notice?.(partition, notice, delivery.traceparent ?? null),
        failed: (error, capture) =>
          on.failed?.(partition, error, capture === null ? null : (delivery.traceparent ?? null)),
        fatal: error => this.#fatal(error),
      },
    })
    this.#owned.set(partition, { runner, delivery })
    return runner
  }

  #ports(partition: number, delivery: Delivery): PartitionPorts {
    const group = this.#group
    return {
      fence: async () => {
        // A zombie must not fence the owner that came after it: only a member in good standing may.
        await group.heartbeat()
        await delivery.fence()
      },
      readCommit: () => this.#options.readCommit(partition),
      readLogRange: async () => {
        const ranges = await this.#options.readLogRanges()
        const range = ranges[partition]
        if (range !== undefined) return range
        throw new TidemarkError('delivery_failed', `the topic has no partition ${partition}`, { retriable: true })
      },
      begin: trace => delivery.begin(trace),
      send: records => delivery.send(records),
      commit: commit => delivery.commit(commit),
      seek: offset => group.seek(partition, offset),
      pause: () => group.pause(partition),
      resume: () => group.resume(partition),
    }
  }

  async #onBatch(epoch: number, partition: number, batch: RecordBatch, heartbeat: () => Promise<void>): Promise<void> {
    // What a new owner only reads again was paid for by the owner before it.
    const isPaid = () => this.#owned.get(partition)?.runner.live !== true
    for (let ms = this.#pace.waitMs(); ms > 0 && !isPaid() && !this.#ended; ms = this.#pace.waitMs()) {
      await sleep(Math.min(ms, PACE_STEP_MS))
      await heartbeat()
    }
    if (epoch === this.#epoch) {
      if (!isPaid()) this.#pace.take(batch.count)
      this.#owned.get(partition)?.runner.deliver(batch)
    }
    // Flushes and heartbeats of other partitions get their turn between two batches.
    await new Promise<void>(resolve => setImmediate(resolve))
    await heartbeat()
  }

  #onCorrupt(epoch: number, partition: number, { from, to, reason, bytes }: CorruptBatch): void {
    if (epoch !== this.#epoch) return
    const skips = this.#options.corruptBatches === 'skip' && to !== null
    const skipped = skips && (this.#owned.get(partition)?.runner.skipCorrupt({ from, to, bytes }) ?? false)
    this.#options.on.corrupt?.(partition, { from, to, reason, skipped })
  }

  /** Between two assignments nothing can be committed; the state is kept for the case that the partition stays here. */
  async #flushAll(): Promise<void> {
    if (this.#epoch === null) return
    await Promise.all([...this.#owned.values()].map(({ runner }) => runner.flush()))
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const asOf = this.#now()
    const positions = this.views().map(({ partition, task }) => [partition, task.position] as const)
    try {
      this.#ranges = await this.#options.readLogRanges()
      this.#options.on.looked?.()
      for (const [partition, position] of positions) {
        const range = this.#ranges[partition]
        if (range !== undefined) this.#owned.get(partition)?.runner.observe(position, range, asOf)
      }
    } catch {
      // Not seeing the end proves nothing: partitions are simply not idle until the next look.
    } finally {
      this.#looking = false
    }
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #end(): void {
    this.#ended = true
    for (const timer of this.#timers) clearInterval(timer)
    this.#timers = []
  }

  #fatal(error: unknown): void {
    if (this.#ended) return
    this.#end()
    for (const { runner } of this.#owned.values()) runner.stop()
    this.#options.on.fatal(error)
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
