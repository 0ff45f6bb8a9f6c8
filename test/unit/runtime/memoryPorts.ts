import { TidemarkError } from '../../../src/errors.ts'
import { PartitionRunner } from '../../../src/runtime/partitionRunner.ts'
import type { PartitionPorts } from '../../../src/runtime/ports.ts'
import type { RecordBatch } from '../../../src/tasks/recordBatch.ts'
import {
  type Capture,
  type CaptureInput,
  type Commit,
  type LogRange,
  type Notice,
  type Output,
  type OutputRecord,
  recordsOf,
  type Task,
  type TaskFactory,
} from '../../../src/tasks/task.ts'
import { ArrayBatch } from '../support.ts'

export type Step = 'fence' | 'readCommit' | 'readLogRange' | 'begin' | 'send' | 'commit'
export const STEPS: readonly Step[] = ['fence', 'readCommit', 'readLogRange', 'begin', 'send', 'commit']

/** Brokers in memory: each call is written down, may be held open, and may fail before or after it took effect. */
export class MemoryPorts implements PartitionPorts {
  readonly calls: string[] = []
  stored: Commit | null = null
  range: LogRange = { start: 0, end: 1_000 }
  readonly #failures = new Map<Step, unknown[]>()
  readonly #gates = new Map<Step, Promise<void>[]>()

  /** The next calls of `step` fail with these errors. */
  fail(step: Step, ...errors: unknown[]): void {
    this.#failures.set(step, [...(this.#failures.get(step) ?? []), ...errors])
  }

  /** The next call of `step` waits until the function that is returned is called. */
  hold(step: Step): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gates.set(step, [...(this.#gates.get(step) ?? []), promise])
    return resolve
  }

  /** The calls since the last time that this was asked. */
  taken(): string[] {
    return this.calls.splice(0)
  }

  fence(): Promise<void> {
    return this.#step('fence', 'fence')
  }

  async readCommit(): Promise<Commit | null> {
    await this.#step('readCommit', 'readCommit')
    return this.stored
  }

  async readLogRange(): Promise<LogRange> {
    await this.#step('readLogRange', 'readLogRange')
    return this.range
  }

  begin(): Promise<void> {
    return this.#step('begin', 'begin')
  }

  send(records: readonly Output[]): Promise<void> {
    return this.#step(
      'send',
      `send ${recordsOf(records)
        .map(record => record.key)
        .join()}`,
    )
  }

  async commit(commit: Commit): Promise<void> {
    await this.#step('commit', `commit ${commit.offset}`, () => {
      this.stored = commit
    })
  }

  seek(offset: number): void {
    this.calls.push(`seek ${offset}`)
  }

  pause(): void {
    this.calls.push('pause')
  }

  resume(): void {
    this.calls.push('resume')
  }

  /** A failing step takes effect all the same: that is the worse of the two unknown outcomes. */
  async #step(step: Step, call: string, effect?: () => void): Promise<void> {
    this.calls.push(call)
    await this.#gates.get(step)?.shift()
    effect?.()
    const failure = this.#failures.get(step)?.shift()
    if (failure !== undefined) throw failure
    this.calls.push(`${step} done`)
  }
}

/** A task that counts offsets and tells what the test has put into `next`. */
export class CountingTask implements Task {
  position: number
  pendingBytes = 0
  pendingEvents = 0
  readonly committed: number
  readonly inputs: CaptureInput[] = []
  /** The stages of the next capture; null when there is nothing to tell. */
  next: readonly (readonly string[])[] | null = [['partial'], ['progress']]
  notices: readonly Notice[] = []
  seekTo: number | null = null
  failure: Error | null = null

  constructor(commit: Commit | null, replayFrom: number) {
    this.committed = commit?.offset ?? replayFrom
    this.position = replayFrom
  }

  get live(): boolean {
    return this.position >= this.committed
  }

  process(batch: RecordBatch): void {
    if (this.failure !== null) throw this.failure
    this.position = batch.nextOffset
  }

  skipTo(offset: number): void {
    this.position = offset
  }

  capture(input: CaptureInput): Capture | null {
    if (this.failure !== null) throw this.failure
    this.inputs.push(input)
    this.pendingEvents = 0
    if (this.next === null) return null
    const stages = this.next.map(keys => {
      return keys.map((key): OutputRecord => ({ topic: 'partials', partition: 0, key, value: null }))
    })
    this.pendingBytes = 0
    return {
      stages,
      commit: { offset: this.position, metadata: `m${this.position}` },
      tally: null,
      notices: this.notices,
    }
  }

  takeSeek(): number | null {
    const { seekTo } = this
    this.seekTo = null
    return seekTo
  }
}

/** A runner on brokers in memory, and what it told its listener. */
export class World {
  readonly ports = new MemoryPorts()
  readonly tasks: CountingTask[] = []
  readonly heard: string[] = []
  readonly fatal: unknown[] = []
  readonly waits: number[] = []
  /** How far before the commit a restored task begins to read. */
  replay = 0
  refusals: unknown[] = []
  now = 1_000
  readonly runner: PartitionRunner<CountingTask>

  constructor(idleTimeoutMs = 5_000) {
    const factory: TaskFactory<CountingTask> = { restore: (_, commit, log) => this.#restore(commit, log) }
    this.runner = new PartitionRunner({
      partition: 3,
      factory,
      ports: this.ports,
      idleTimeoutMs,
      flushMaxBytes: 2_000,
      flushMaxEvents: 100,
      now: () => this.now,
      sleep: async ms => {
        this.waits.push(ms)
      },
      sourcePartitions: () => 6,
      on: {
        restored: (position, committed) => this.heard.push(`restored ${position} ${committed}`),
        live: position => this.heard.push(`live ${position}`),
        delivered: capture => this.heard.push(`delivered ${capture.commit.offset}`),
        notice: notice => this.heard.push(notice.kind),
        failed: error => this.heard.push(`failed ${(error as Error).message}`),
        fatal: error => this.fatal.push(error),
      },
    })
  }

  /** The task that runs now. */
  get task(): CountingTask {
    return this.tasks.at(-1)!
  }

  #restore(commit: Commit | null, log: LogRange): CountingTask {
    const refusal = this.refusals.shift()
    if (refusal !== undefined) throw refusal
    const task = new CountingTask(commit, Math.max(log.start, (commit?.offset ?? 0) - this.replay))
    this.tasks.push(task)
    return task
  }
}

/** Lets everything go on that waits for nothing but its turn. */
export function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** The call may have taken effect or not. */
export const unknownOutcome = () => new TidemarkError('delivery_failed', 'no answer', { retriable: true })

/** Offsets [from, to) without a readable record: the runner looks at the range alone. */
export const range = (from: number, to: number) => new ArrayBatch([], { baseOffset: from, nextOffset: to })

/** The calls of a restore, after the pause. */
export const RESTORE = ['fence', 'fence done', 'readCommit', 'readCommit done', 'readLogRange', 'readLogRange done']

/** A runner that has just been restored from a commit at `committed`, `replay` offsets before it. */
export async function running(replay = 0, committed: number | null = null): Promise<World> {
  const world = new World()
  world.replay = replay
  if (committed !== null) world.ports.stored = { offset: committed, metadata: `m${committed}` }
  await world.runner.start()
  world.ports.taken()
  world.heard.length = 0
  return world
}
