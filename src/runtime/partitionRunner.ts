import { type ErrorCode, invariant, TidemarkError } from '../errors.ts'
import type { CorruptRange, RecordBatch } from '../tasks/recordBatch.ts'
import type { Capture, Commit, LogRange, Notice, Task, TaskFactory } from '../tasks/task.ts'
import { Idleness } from './idleness.ts'
import type { PartitionPorts } from './ports.ts'

/**
 * restoring: the owner's state is being built from the commit; records are not taken.
 * running: records are processed; below the committed offset with outputs muted, from there on live.
 * stopped: this owner is done. What it still has under way may end, and changes nothing.
 */
export type RunnerState = 'restoring' | 'running' | 'stopped'

const TRANSITIONS: Readonly<Record<RunnerState, readonly RunnerState[]>> = {
  restoring: ['running', 'restoring', 'stopped'],
  running: ['restoring', 'stopped'],
  stopped: [],
}

export type RunnerOptions<T extends Task> = {
  readonly partition: number
  readonly factory: TaskFactory<T>
  readonly ports: PartitionPorts
  readonly idleTimeoutMs: number
  /** Outputs that come to more than this are told at once. */
  readonly flushMaxBytes: number
  /** Events waiting that are told at once; 0 leaves it to time and bytes. */
  readonly flushMaxEvents: number
  /** Wall clock, epoch milliseconds. */
  readonly now: () => number
  /** Waits between tries of a restore. */
  readonly sleep: (ms: number) => Promise<void>
  /** Number of partitions of the task's source topic, as last known. */
  readonly sourcePartitions: () => number
  readonly on: RunnerListener
}

/** What the process wants to hear of one partition's life. */
export type RunnerListener = {
  readonly restored?: (position: number, committed: number | null) => void
  readonly live?: (position: number) => void
  /** @param ms from the capture to the end of its commit */
  readonly delivered?: (capture: Capture, ms: number) => void
  readonly notice?: (notice: Notice) => void
  /**
   * A step failed; the state is thrown away and restored.
   * @param capture what could not be delivered; null when it was not about a delivery
   */
  readonly failed?: (error: unknown, capture: Capture | null) => void
  /** Going on would lose or repeat events, or is a programmer's error: the process must end. */
  readonly fatal: (error: unknown) => void
}

/** Tries before a log that ends below the commit is believed: a new leader's high watermark lags for a moment. */
const BEYOND_LOG_TRIES = 5
const WORTH_ANOTHER_TRY: ReadonlySet<ErrorCode> = new Set(['fenced', 'unassigned', 'delivery_failed', 'unreachable'])
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 5_000
/** So many times FLUSH_MAX_BYTES may wait while a flush is under way; then records are held back until it ends. */
const HOLD_BACK_FACTOR = 2

/** One owner's life with one partition: restore, process, capture, send, commit; on any doubt, begin again. */
export class PartitionRunner<T extends Task> {
  readonly #options: RunnerOptions<T>
  readonly #ports: PartitionPorts
  readonly #idleness = new Idleness()
  #state: RunnerState = 'restoring'
  #task: T | null = null
  #flushing: Promise<void> | null = null
  #restoring: Promise<void> | null = null
  #lastCommit: Commit | null = null
  #wasLive = false
  #heldBack = false
  /** Rebalances that are being gone through. */
  #resuming = 0
  #resumed = Promise.resolve()
  /** Deliveries that failed since the last that did not. */
  #failures = 0

  constructor(options: RunnerOptions<T>) {
    this.#options = options
    this.#ports = options.ports
  }

  get partition(): number {
    return this.#options.partition
  }

  get state(): RunnerState {
    return this.#state
  }

  /** The task while it is running, for statistics and health. */
  get task(): T | null {
    return this.#task
  }

  /** Whether the committed offset is reached and outputs flow. */
  get live(): boolean {
    return this.#task?.live ?? false
  }

  /** Begins the partition's life; resolves once records may flow. Never rejects: see `fatal`. */
  start(): Promise<void> {
    return this.#restore()
  }

  /**
   * Goes on after a rebalance that left the partition with us. The state is kept only when the broker's commit is still
   * the one that we wrote; else somebody else has owned it meanwhile.
   */
  async resume(): Promise<void> {
    // Set before anything is awaited: a flush after the fence would write the old state over what others have committed.
    this.#resuming++
    // One after the other: two fences at once would fence each other.
    this.#resumed = this.#resumed.then(() => this.#resumeOnce())
    await this.#resumed
    this.#resuming--
  }

  /** Gives the partition records. Ignored when they begin past the task's position, which is then asked for again. */
  deliver(batch: RecordBatch): void {
    const task = this.#task
    if (this.#state !== 'running' || task === null) return
    if (batch.baseOffset > task.position) {
      // Records before it were not seen. What lies below the position is known, and skipped by the task.
      this.#ports.seek(task.position)
      return
    }
    this.#guarded(() => task.process(batch, this.#options.now()))
  }

  /** The log holds nothing readable between `from` and `to`. */
  advance(from: number, to: number): void {
    const task = this.#task
    if (this.#state !== 'running' || task === null || from !== task.position) return
    this.#guarded(() => task.skipTo(to))
  }

  /**
   * Goes on behind a record batch that cannot be read, if the task can say what is lost by it.
   * @returns false when it has to be waited for
   */
  skipCorrupt(range: CorruptRange): boolean {
    const task = this.#task
    if (this.#state !== 'running' || task?.skipCorrupt === undefined || range.from < task.position) return false
    this.#guarded(() => task.skipCorrupt?.(range, this.#options.now()))
    if (this.#task !== task) return false
    this.#ports.seek(task.position)
    this.#ports.resume()
    return true
  }

  /** Takes a look at the log's range, begun at `asOf` when the task stood at `position`. */
  observe(position: number, log: LogRange, asOf: number): void {
    this.#idleness.observe(position, log, asOf)
  }

  /**
   * Tells and commits what there is to tell. One flush at a time; a call during one joins it. On any failure the owner's
   * state is thrown away and restored, because the outcome is unknown.
   */
  flush(): Promise<void> {
    if (this.#flushing !== null) return this.#flushing
    if (this.#resuming > 0 || this.#state !== 'running' || !this.#task?.live) return Promise.resolve()
    this.#flushing = this.#flush(this.#task).finally(() => {
      this.#flushing = null
      this.#flushIfFull()
    })
    return this.#flushing
  }

  /** A last flush, then the end: what the drain of a leaving owner does. */
  async drain(): Promise<void> {
    await this.#flushing
    await this.flush()
    this.stop()
  }

  /** The end of this owner. Nothing of it is told any more but what is already on its way. */
  stop(): void {
    if (this.#state !== 'stopped') this.#become('stopped')
    this.#task = null
  }

  /** Throws the state away and restores it from the commit, for example after the log's start moved past our position. */
  async startOver(reason: unknown): Promise<void> {
    if (this.#state === 'running') await this.#startOver(reason)
  }

  async #resumeOnce(): Promise<void> {
    await this.#restoring
    await this.#flushing
    const task = this.#task
    if (this.#state !== 'running' || task === null) return
    try {
      // Our last transaction may be acknowledged and not yet visible in the group's offsets: the fence waits for it.
      await this.#ports.fence()
      const commit = await this.#ports.readCommit()
      if (this.#task !== task) return
      if (!sameCommit(commit, this.#lastCommit)) throw new TidemarkError('unassigned', 'another owner has committed')
      this.#ports.seek(task.position)
      this.#ports.resume()
    } catch (error) {
      if (this.#task === task) await this.#startOver(error)
    }
  }

  async #flush(task: T): Promise<void> {
    let capture: Capture | null
    try {
      capture = task.capture({
        now: this.#options.now(),
        sourcePartitions: this.#options.sourcePartitions(),
        idleAsOf: this.#idleness.asOf(task.position, this.#options.idleTimeoutMs),
      })
    } catch (error) {
      this.#fatal(error)
      return
    }
    if (this.#heldBack) {
      this.#heldBack = false
      this.#ports.resume()
    }
    // In the same synchronous step as the capture: no record of the old position may come in between.
    const seekTo = task.takeSeek()
    if (seekTo !== null) this.#ports.seek(seekTo)
    if (capture === null) return
    try {
      await this.#deliverCapture(task, capture)
    } catch (error) {
      if (this.#task === task) await this.#startOver(error, capture)
    }
  }

  /** Each step waits for the one before: a commit never passes an unacknowledged partial. */
  async #deliverCapture(task: T, capture: Capture): Promise<void> {
    const capturedAt = this.#options.now()
    await this.#ports.begin(capture.trace)
    for (const stage of capture.stages) {
      if (this.#task !== task) return
      if (stage.length > 0) await this.#ports.send(stage)
    }
    if (this.#task !== task) return
    await this.#ports.commit(capture.commit)
    if (this.#task !== task) return
    this.#lastCommit = capture.commit
    this.#failures = 0
    this.#options.on.delivered?.(capture, this.#options.now() - capturedAt)
    for (const notice of capture.notices) this.#options.on.notice?.(notice)
  }

  async #startOver(error: unknown, capture: Capture | null = null): Promise<void> {
    this.#options.on.failed?.(error, capture)
    this.#failures++
    await this.#restore()
  }

  #restore(): Promise<void> {
    if (this.#state === 'stopped') return Promise.resolve()
    if (this.#restoring !== null) return this.#restoring
    this.#become('restoring')
    this.#task = null
    this.#wasLive = false
    this.#heldBack = false
    this.#ports.pause()
    this.#restoring = this.#restoreUntilDone().finally(() => {
      this.#restoring = null
    })
    return this.#restoring
  }

  async #restoreUntilDone(): Promise<void> {
    let tries = 0
    let beyondLog = 0
    // A delivery that fails for a reason that lasts must not be repeated at full speed.
    if (this.#failures > 1) await this.#options.sleep(waitAfter(this.#failures - 1))
    while (this.#state === 'restoring') {
      try {
        await this.#restoreOnce()
        return
      } catch (error) {
        const lagging = codeOf(error) === 'refused_beyond_log' && ++beyondLog < BEYOND_LOG_TRIES
        if (!lagging && isFatal(error)) {
          this.#fatal(error)
          return
        }
        this.#options.on.failed?.(error, null)
        await this.#options.sleep(waitAfter(++tries))
      }
    }
  }

  async #restoreOnce(): Promise<void> {
    const { factory, partition, now, on } = this.#options
    await this.#ports.fence()
    if (this.#state !== 'restoring') return
    // After the fence: no earlier owner's transaction can still change the commit.
    const commit = await this.#ports.readCommit()
    if (this.#state !== 'restoring') return
    const log = await this.#ports.readLogRange()
    if (this.#state !== 'restoring') return
    const task = factory.restore(partition, commit, log, now())
    this.#task = task
    this.#lastCommit = commit
    this.#become('running')
    this.#ports.seek(task.position)
    this.#ports.resume()
    on.restored?.(task.position, commit?.offset ?? null)
    this.#noticeLive(task)
  }

  #guarded(step: () => void): void {
    const task = this.#task as T
    try {
      step()
    } catch (error) {
      this.#fatal(error)
      return
    }
    this.#noticeLive(task)
    this.#flushIfFull()
  }

  /** Bounds what waits: one flush's worth under way, and at most HOLD_BACK_FACTOR times that behind it. */
  #flushIfFull(): void {
    const task = this.#task
    const { flushMaxBytes, flushMaxEvents } = this.#options
    if (!task?.live) return
    const isMany = flushMaxEvents > 0 && task.pendingEvents >= flushMaxEvents
    if (task.pendingBytes <= flushMaxBytes && !isMany) return
    if (this.#flushing === null) void this.flush()
    else if (!this.#heldBack && task.pendingBytes > HOLD_BACK_FACTOR * flushMaxBytes) {
      this.#heldBack = true
      this.#ports.pause()
    }
  }

  #noticeLive(task: T): void {
    if (this.#wasLive || !task.live) return
    this.#wasLive = true
    this.#options.on.live?.(task.position)
  }

  #fatal(error: unknown): void {
    this.stop()
    this.#options.on.fatal(error)
  }

  #become(state: RunnerState): void {
    invariant(TRANSITIONS[this.#state].includes(state), `a runner goes from ${this.#state} to ${state}`)
    this.#state = state
  }
}

/** Milliseconds to wait after so many failures in a row. */
function waitAfter(failures: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS)
}

/** Fatal: refusals, and errors that are not ours (a programmer's). All else is the outside's, and worth another try. */
function isFatal(error: unknown): boolean {
  const code = codeOf(error)
  return code === null || !WORTH_ANOTHER_TRY.has(code)
}

function codeOf(error: unknown): ErrorCode | null {
  return error instanceof TidemarkError ? error.code : null
}

function sameCommit(a: Commit | null, b: Commit | null): boolean {
  return a?.offset === b?.offset && a?.metadata === b?.metadata
}
