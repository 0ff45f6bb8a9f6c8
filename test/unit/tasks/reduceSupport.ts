import { Aggregate } from '../../../src/aggregate/aggregate.ts'
import { createHourReader } from '../../../src/events/hours.ts'
import type { Result } from '../../../src/results/result.ts'
import { encodeMessage, type Message, type PartialMessage, type ProgressMessage } from '../../../src/tasks/messages.ts'
import type { ReduceTaskSettings } from '../../../src/tasks/reduceStart.ts'
import { createReduceTaskFactory, type ReduceTask } from '../../../src/tasks/reduceTask.ts'
import type { Commit, Notice, OutputRecord } from '../../../src/tasks/task.ts'
import { type Level, levelsOf } from '../../../src/windows/levels.ts'
import { ArrayBatch, login, recordsIn, type TestRecord } from '../support.ts'

export const [BASE] = levelsOf({ windowSizeMs: 1_000, rollupsMs: [], slidingWindows: [] }) as [Level]

/** Windows of a second, late after one more, corrected for five: window w is final at (w + 2) s, forgotten at (w + 7) s. */
export const reduceSettings: ReduceTaskSettings = {
  generation: 1,
  configHash: 'hash',
  level: BASE,
  above: [],
  allowedLatenessMs: 1_000,
  correctionHorizonMs: 5_000,
  maxWindows: 7,
  limits: { dimensionValues: 8, qualityFields: 5, userSample: 16, sessionGapMs: 1_800_000 },
  hourOf: createHourReader('UTC'),
  partialsTopic: 'login-partials',
  partialsPartitions: 2,
  deadLetterPartitions: 4,
  idleTimeoutMs: 5_000,
}

/** A partial of window `w` that counts an event at each of `offsets`, all of which lie in [from, through). */
export function partial(
  w: number,
  p: number,
  range: readonly [number, number],
  offsets: readonly number[],
  more: Partial<PartialMessage> = {},
): PartialMessage {
  const aggregate = new Aggregate(reduceSettings.limits)
  for (const offset of offsets)
    aggregate.add(login({ deviceType: offset % 2 === 0 ? 'ios' : 'web', timeMs: w * 1_000 }), '1', 'US', 'unknown')
  const [from, through] = range
  const last = Math.max(...offsets) + 1
  const counted = aggregate.toJSON()
  return {
    kind: 'partial',
    generation: 1,
    w,
    p,
    from,
    clockAtFrom: 0,
    through,
    last,
    aggregate: counted,
    coverage: null,
    ...more,
  }
}

/** Source `p` of `of` has told everything below `through`, at `clock`. */
export function progress(p: number, of: number, clock: number, more: Partial<ProgressMessage> = {}): ProgressMessage {
  const totals = { accepted: 0, late: 0, rejected: {} }
  return { kind: 'progress', generation: 1, p, of, through: 0, clock, idleAsOf: null, totals, gaps: [], ...more }
}

export type Told = {
  readonly results: readonly Result[]
  readonly records: readonly OutputRecord[]
  readonly letters: readonly OutputRecord[]
  readonly notices: readonly Notice[]
  readonly commit: Commit
}

/** A partials log in memory, and the owner that reads it. */
export class Reducing {
  readonly settings: ReduceTaskSettings
  readonly log: TestRecord[] = []
  /** First position that the log still holds. */
  start = 0
  lastCommit: Commit | null = null
  task: ReduceTask

  constructor(settings: Partial<ReduceTaskSettings> = {}) {
    this.settings = { ...reduceSettings, ...settings }
    this.task = this.restore()
  }

  /** A new owner, begun from the last commit. */
  restore(): ReduceTask {
    const log = { start: this.start, end: this.log.length }
    this.task = createReduceTaskFactory(this.settings).restore(0, this.lastCommit, log, 0)
    return this.task
  }

  /** Appends records and lets the owner read all there is. Times are the broker's, epoch milliseconds. */
  read(messages: readonly (Message | TestRecord['value'])[] = [], appendedAt = 1e12): this {
    for (const message of messages) {
      const ours = typeof message === 'object' && message !== null && 'kind' in message
      const value = ours ? encodeMessage(message as Message) : message
      this.log.push({ offset: this.log.length, timestamp: appendedAt, value })
    }
    const { position } = this.task
    this.task.process(new ArrayBatch(this.log.slice(position), { baseOffset: position }))
    return this
  }

  /** What the owner has to tell; null when there is nothing. */
  capture(now = 0): Told | null {
    const captured = this.task.capture({ now, sourcePartitions: 2, idleAsOf: null })
    if (captured === null) return null
    this.lastCommit = captured.commit
    const outputs = recordsIn(captured)
    const records = outputs.filter(output => output.topic === 'results')
    const results = records.map(record => JSON.parse(Buffer.from(record.value!).toString()) as Result)
    const letters = outputs.filter(output => output.topic === 'deadLetters')
    return { results, records, letters, notices: captured.notices, commit: captured.commit }
  }

  /** Results in short: `<window index> <status> <count> <revision>`. */
  tell(): string[] {
    return (this.capture()?.results ?? []).map(result => {
      const index = Date.parse(result.window.start) / this.settings.level.hopMs
      return `${index} ${result.status} ${result.batch_size} ${result.revision}`
    })
  }
}
