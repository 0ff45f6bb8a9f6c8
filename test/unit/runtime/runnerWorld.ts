import { PartitionRunner } from '../../../src/runtime/partitionRunner.ts'
import type { PartitionPorts } from '../../../src/runtime/ports.ts'
import type { RecordBatch } from '../../../src/tasks/recordBatch.ts'
import {
  type Capture,
  type Commit,
  type LogRange,
  type OutputRecord,
  recordsOf,
  type Task,
} from '../../../src/tasks/task.ts'

export type Step = 'fence' | 'readCommit' | 'readLogRange' | 'begin' | 'send' | 'commit'

/** A task that tells two stages for whatever it has read since its last capture. */
export class PlainTask implements Task {
  position: number
  pendingBytes = 0
  pendingEvents = 0
  live = true
  seekTo: number | null = null
  #told: number

  constructor(position: number) {
    this.position = position
    this.#told = position
  }

  process(batch: RecordBatch): void {
    this.position = batch.nextOffset
  }

  skipTo(offset: number): void {
    this.position = offset
  }

  capture(): Capture | null {
    if (this.position === this.#told) return null
    this.#told = this.position
    this.pendingBytes = 0
    return {
      stages: [[record('partial')], [], [record('progress')]],
      commit: { offset: this.position, metadata: 'm' },
      tally: null,
      notices: [],
    }
  }

  takeSeek(): number | null {
    const { seekTo } = this
    this.seekTo = null
    return seekTo
  }
}

const record = (key: string): OutputRecord => ({ topic: 'partials', partition: 0, key, value: null })

/** Everything around one runner, in memory. `calls` is what it did, in order; a port that is held waits for its release. */
export class RunnerWorld {
  readonly calls: string[] = []
  readonly fatal: unknown[] = []
  readonly failed: unknown[] = []
  /** Of each failure: the offset that a capture would have committed, null for a failure of none. */
  readonly undelivered: (number | null)[] = []
  readonly slept: number[] = []
  readonly tasks: PlainTask[] = []
  committed: Commit | null = null
  log: LogRange = { start: 0, end: 1000 }
  /** Called in place of the task factory's own answer, for refusals. */
  onRestore: () => void = () => {}
  readonly #failures = new Map<Step, unknown[]>()
  readonly #held = new Map<Step, Promise<void>>()
  readonly runner: PartitionRunner<PlainTask>

  constructor() {
    this.runner = new PartitionRunner<PlainTask>({
      partition: 0,
      factory: { restore: (_, commit) => this.#restore(commit) },
      ports: this.#ports(),
      idleTimeoutMs: 5000,
      flushMaxBytes: 2000,
      flushMaxEvents: 0,
      now: () => 0,
      sleep: async ms => {
        this.slept.push(ms)
      },
      sourcePartitions: () => 1,
      on: {
        fatal: error => this.fatal.push(error),
        failed: (error, capture) => {
          this.failed.push(error)
          this.undelivered.push(capture?.commit.offset ?? null)
        },
      },
    })
  }

  get task(): PlainTask {
    return this.tasks.at(-1) as PlainTask
  }

  /** The next calls of the step fail with these errors, one each. */
  failNext(step: Step, ...errors: unknown[]): void {
    this.#failures.set(step, errors)
  }

  /** Calls of the step wait until the function given back is called. */
  hold(step: Step): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#held.set(step, promise)
    return () => {
      this.#held.delete(step)
      resolve()
    }
  }

  /** What was done since the last call. */
  take(): string[] {
    return this.calls.splice(0)
  }

  #restore(commit: Commit | null): PlainTask {
    this.onRestore()
    this.tasks.push(new PlainTask(commit?.offset ?? this.log.start))
    return this.task
  }

  async #step(step: Step, name: string = step): Promise<void> {
    this.calls.push(name)
    await this.#held.get(step)
    const error = this.#failures.get(step)?.shift()
    if (error !== undefined) throw error
  }

  #ports(): PartitionPorts {
    return {
      fence: () => this.#step('fence'),
      readCommit: async () => {
        await this.#step('readCommit')
        return this.committed
      },
      readLogRange: async () => {
        await this.#step('readLogRange')
        return this.log
      },
      begin: () => this.#step('begin'),
      send: records => this.#step('send', `send ${recordsOf(records).map(({ key }) => key)}`),
      commit: async commit => {
        await this.#step('commit', `commit ${commit.offset}`)
        this.committed = commit
      },
      seek: offset => this.calls.push(`seek ${offset}`),
      pause: () => this.calls.push('pause'),
      resume: () => this.calls.push('resume'),
    }
  }
}

/** Lets everything that waits for nothing come to its end. */
export const settle = () => new Promise<void>(resolve => setImmediate(resolve))
