import { describe, expect, test } from 'vitest'
import { Aggregate } from '../../../src/aggregate/aggregate.ts'
import type { Result } from '../../../src/results/result.ts'
import { encodeMessage, type Message, type PartialMessage, type ProgressMessage } from '../../../src/tasks/messages.ts'
import type { ReduceTaskSettings } from '../../../src/tasks/reduceStart.ts'
import { createReduceTaskFactory, type ReduceTask } from '../../../src/tasks/reduceTask.ts'
import type { Commit, OutputRecord } from '../../../src/tasks/task.ts'
import { type Level, levelsOf } from '../../../src/windows/levels.ts'
import { ArrayBatch, login, recordsIn, type TestRecord } from '../support.ts'
import { reduceSettings } from './reduceSupport.ts'

/** Windows of 1 s, merged into 3 s, those into 6 s; and of 2 s that slide by 1 s. Two partitions each. */
const LEVELS = levelsOf({
  windowSizeMs: 1_000,
  rollupsMs: [3_000, 6_000],
  slidingWindows: [{ sizeMs: 2_000, hopMs: 1_000 }],
})
const PARTITIONS = 2

type Place = { readonly settings: ReduceTaskSettings; readonly partition: number; readonly log: TestRecord[] } & {
  task: ReduceTask
  commit: Commit | null
}

/** All reducers of all levels, and what they have told. */
class Reducers {
  readonly places: Place[]
  readonly told: Result[] = []
  readonly sent: OutputRecord[] = []

  constructor() {
    this.places = LEVELS.flatMap(level =>
      Array.from({ length: PARTITIONS }, (_, partition) => {
        const above = LEVELS.filter(({ number }) => level.above.includes(number))
        const settings = { ...reduceSettings, level, above, maxWindows: 100, partialsPartitions: PARTITIONS }
        const task = createReduceTaskFactory(settings).restore(partition, null, { start: 0, end: 0 }, 0)
        return { settings, partition, log: [], task, commit: null }
      }),
    )
  }

  at(level: number, partition: number): Place {
    return this.places[level * PARTITIONS + partition] as Place
  }

  /** Sends a partial to the partition of its window, progress to both. */
  say(...messages: readonly Message[]): void {
    for (const message of messages) {
      const to = message.kind === 'partial' ? [message.w % PARTITIONS] : [0, 1]
      for (const partition of to) this.#append(this.at(0, partition), encodeMessage(message))
    }
  }

  /** Lets all read and tell until nobody has anything left to tell. */
  run(now = 0): void {
    for (let quiet = 0; quiet < this.places.length; ) {
      for (const place of this.places) quiet = this.#step(place, now) ? 0 : quiet + 1
    }
  }

  restart(): void {
    for (const place of this.places) {
      const log = { start: 0, end: place.log.length }
      place.task = createReduceTaskFactory(place.settings).restore(place.partition, place.commit, log, 0)
    }
  }

  /** The last results of a level in short: `<start in seconds> <status> <count> <revision>`. */
  last(level: Level): string[] {
    const results = new Map<string, Result>()
    for (const result of this.told) if (result.window.size === level.size) results.set(result.window.start, result)
    return [...results.values()]
      .map(({ window, status, batch_size, revision }) => {
        return `${Date.parse(window.start) / 1000} ${status} ${batch_size} ${revision}`
      })
      .sort()
  }

  result(level: Level, startMs: number): Result {
    const start = new Date(startMs).toISOString()
    return this.told.findLast(({ window }) => window.size === level.size && window.start === start) as Result
  }

  #step(place: Place, now: number): boolean {
    const { position } = place.task
    if (place.log.length > position)
      place.task.process(new ArrayBatch(place.log.slice(position), { baseOffset: position }))
    if (!place.task.live) return false
    const capture = place.task.capture({ now, sourcePartitions: 99, idleAsOf: null })
    if (capture === null) return false
    for (const record of recordsIn(capture)) this.#deliver(record)
    place.commit = capture.commit
    return true
  }

  #deliver(record: OutputRecord): void {
    this.sent.push(record)
    const value = record.value as Uint8Array
    if (record.topic === 'partials') this.#append(this.at(record.level as number, record.partition as number), value)
    else if (record.topic === 'results') this.told.push(JSON.parse(Buffer.from(value).toString()))
  }

  #append(place: Place, value: Uint8Array): void {
    place.log.push({ offset: place.log.length, timestamp: 1e12, value })
  }
}

const [, THREE, SIX, SLIDING] = LEVELS as [Level, Level, Level, Level]

/** Logins of window `w` at `offsets` of source 0, all in the chunk from 0. */
function partial(w: number, offsets: readonly number[], over: Partial<PartialMessage> = {}): PartialMessage {
  const aggregate = new Aggregate(reduceSettings.limits)
  for (const offset of offsets) {
    aggregate.add(login({ userId: `u${offset % 3}`, timeMs: w * 1_000 + offset }), '1', 'US', 'unknown')
  }
  const through = Math.max(...offsets) + 1
  const range = { p: 0, from: 0, clockAtFrom: 0, through, last: through }
  return { kind: 'partial', generation: 1, w, ...range, aggregate: aggregate.toJSON(), coverage: null, ...over }
}

function progress(clock: number, through: number, over: Partial<ProgressMessage> = {}): ProgressMessage {
  const totals = { accepted: through, late: 0, rejected: {} }
  return { kind: 'progress', generation: 1, p: 0, of: 1, through, clock, idleAsOf: null, totals, gaps: [], ...over }
}

describe('results are merged into those of longer windows', () => {
  test('level by level, each final when its parts are', () => {
    const reducers = new Reducers()
    reducers.say(partial(0, [0, 1]), partial(1, [2]), partial(2, [3, 4, 5]), partial(4, [6]), progress(4_500, 7))
    reducers.run()
    // The clock has passed the end of windows 0 to 2 and their second of lateness.
    expect(reducers.last(THREE)).toEqual(['0 final 6 11', '3 provisional 1 7'])
    expect(reducers.last(SIX)).toEqual(['0 provisional 7 18'])
    expect(reducers.last(SLIDING)).toEqual([
      '0 final 3 5',
      '1 final 4 9',
      '2 provisional 3 6',
      '3 provisional 1 7',
      '4 provisional 1 7',
    ])
    reducers.say(progress(7_000, 8))
    reducers.run()
    expect(reducers.last(SIX)).toEqual(['0 final 7 18'])
    const { coverage, stream_totals, users, sessions, hour_stats } = reducers.result(SIX, 0)
    expect(coverage).toEqual({ 0: { from: 0, clock_at_from: '1970-01-01T00:00:00.000Z', through: 7 } })
    expect(stream_totals).toEqual({ accepted: 8, late: 0, rejected: {} })
    expect(users).toMatchObject({ distinct: 3, exact: true, devices: 3, logins_per_user: { min: 2, max: 3 } })
    // Nobody was away for half an hour: a session for each user, though they went through many windows.
    expect(sessions).toMatchObject({ started: 3, active: 3 })
    expect(hour_stats).toEqual({ 0: 7 })
  })

  test('a correction moves up', () => {
    const reducers = new Reducers()
    reducers.say(partial(1, [0, 1]), partial(4, [2]), progress(7_000, 3))
    reducers.run()
    expect(reducers.last(SIX)).toEqual(['0 final 3 5'])
    reducers.say(partial(1, [0, 1, 3], { p: 1 }))
    reducers.run()
    expect(reducers.last(THREE)).toEqual(['0 corrected 5 6', '3 final 1 3'])
    expect(reducers.last(SIX)).toEqual(['0 corrected 6 9'])
    expect(reducers.last(SLIDING)).toContain('0 corrected 5 6')
  })

  test('a restart of all changes nothing, and what was told is not told differently', () => {
    const whole = new Reducers()
    const restarted = new Reducers()
    const words = [
      [partial(0, [0, 1]), partial(1, [2])],
      [partial(2, [3]), progress(3_500, 4)],
      [partial(3, [4, 5]), partial(5, [6])],
      [progress(7_000, 7)],
      [partial(5, [6, 7]), progress(9_000, 8)],
    ]
    for (const said of words) {
      for (const reducers of [whole, restarted]) reducers.say(...said)
      whole.run()
      restarted.run()
      restarted.restart()
    }
    restarted.run()
    for (const level of LEVELS) expect(restarted.last(level)).toEqual(whole.last(level))
    expect(whole.last(SIX)).toEqual(['0 corrected 8 23'])
  })

  test('what a final window has handed up is not handed up again; a provisional one only from time to time', () => {
    const reducers = new Reducers()
    const handUps = () =>
      reducers.sent.filter(({ topic, key }) => topic === 'partials' && !key?.toString().startsWith('p'))
    reducers.say(partial(0, [0]))
    reducers.run(1_000)
    const before = handUps().length
    reducers.say(partial(0, [0, 1]))
    // A sixtieth of the window of 3 s has not passed; of the one of 2 s that slides it has.
    reducers.run(1_040)
    expect(
      handUps()
        .slice(before)
        .map(({ level }) => level),
    ).toEqual([SLIDING.number])
    reducers.run(1_050)
    expect(
      handUps()
        .slice(before + 1)
        .map(({ level }) => level),
    ).toEqual([THREE.number])
    reducers.say(progress(4_000, 2))
    const told = handUps().length
    reducers.run(1_050)
    expect(
      handUps()
        .slice(told)
        .map(({ level }) => level),
    ).toEqual([SIX.number])
  })

  test('a gap in the log is admitted by the longer windows that it touches', () => {
    const reducers = new Reducers()
    const gap = { p: 0, from: 1, to: 3, clockBefore: 500, untilMs: 2_500 }
    reducers.say(partial(0, [0]), partial(5, [6]), progress(7_000, 7, { gaps: [gap] }))
    reducers.run()
    expect(reducers.result(SIX, 0)).toMatchObject({ exact: false, coverage: { 0: { gaps: [[1, 3]] } } })
    expect(reducers.result(THREE, 3_000)).toMatchObject({ exact: true })
  })
})
