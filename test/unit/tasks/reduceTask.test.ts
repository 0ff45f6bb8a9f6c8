import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Aggregate } from '../../../src/aggregate/aggregate.ts'
import { TidemarkError } from '../../../src/errors.ts'
import { createHourReader } from '../../../src/events/hours.ts'
import type { Result } from '../../../src/results/result.ts'
import type { Message, PartialMessage, ProgressMessage } from '../../../src/tasks/messages.ts'
import { decodeReduceCommit, encodeReduceCommit } from '../../../src/tasks/reduceCommit.ts'
import { createReduceTaskFactory, type ReduceTask } from '../../../src/tasks/reduceTask.ts'
import type { Capture, Commit, LogRange } from '../../../src/tasks/task.ts'
import { ArrayBatch, headersOf, jsonOf, login, messageRecords, recordsIn, SEED, type TestRecord } from '../support.ts'
import { BASE } from './reduceSupport.ts'

/** Windows of 1 s, 1 s of lateness, 2 s for corrections. */
const settings = {
  generation: 1,
  configHash: 'abc',
  level: BASE,
  above: [],
  allowedLatenessMs: 1000,
  correctionHorizonMs: 2000,
  maxWindows: 4,
  limits: { dimensionValues: 10, qualityFields: 5, userSample: 16, sessionGapMs: 1_800_000 },
  hourOf: createHourReader('UTC'),
  partialsPartitions: 2,
  idleTimeoutMs: 5_000,
  partialsTopic: 'login-partials',
  deadLetterPartitions: 4,
}

function restore(commit: Commit | null = null, log: LogRange = { start: 0, end: 1_000_000 }, changed = {}): ReduceTask {
  return createReduceTaskFactory({ ...settings, ...changed }).restore(0, commit, log, 0)
}

function partial(w: number, n: number, changed: Partial<PartialMessage> = {}): PartialMessage {
  const aggregate = new Aggregate(settings.limits)
  for (let i = 0; i < n; i++) aggregate.add(login(), '1', 'US', 'unknown')
  const json = aggregate.toJSON()
  return {
    kind: 'partial',
    generation: 1,
    w,
    p: 0,
    from: 0,
    clockAtFrom: 0,
    through: n,
    last: n,
    aggregate: json,
    coverage: null,
    ...changed,
  }
}

function progress(clock: number, changed: Partial<ProgressMessage> = {}): ProgressMessage {
  const totals = { accepted: 1, late: 0, rejected: {} }
  return {
    kind: 'progress',
    generation: 1,
    p: 0,
    of: 1,
    through: 100,
    clock,
    idleAsOf: null,
    totals,
    gaps: [],
    ...changed,
  }
}

/** Gives the task messages at its position, appended at `appendedAt`. */
function feed(task: ReduceTask, messages: readonly Message[], appendedAt = 0): void {
  task.process(new ArrayBatch(messageRecords(messages, task.position, appendedAt), { baseOffset: task.position }))
}

const capture = (task: ReduceTask) => task.capture({ now: 5000, sourcePartitions: 1, idleAsOf: null })

const resultsOf = (captured: Capture | null) =>
  recordsIn(captured)
    .filter(({ topic }) => topic === 'results')
    .map(record => jsonOf<Result>(record))

const lettersOf = (captured: Capture | null) => recordsIn(captured).filter(({ topic }) => topic === 'deadLetters')

const told = (task: ReduceTask, messages: readonly Message[], appendedAt = 0) => {
  feed(task, messages, appendedAt)
  return resultsOf(capture(task)).map(({ window, status, batch_size }) => [
    Date.parse(window.start) / 1000,
    status,
    batch_size,
  ])
}

describe('a window', () => {
  test('is what its partials add up to, the greatest through of each (p, from)', () => {
    const task = restore()
    const parts = [
      partial(5, 2),
      partial(5, 4),
      partial(5, 3),
      partial(5, 1, { from: 16, through: 20 }),
      partial(5, 7, { p: 1 }),
    ]
    expect(told(task, parts)).toEqual([[5, 'provisional', 12]])
    expect(told(task, [partial(5, 4), partial(5, 1)])).toEqual([])
  })

  test('turns final once, when the clocks of all sources have passed its end and the lateness', () => {
    const task = restore()
    expect(told(task, [partial(5, 2), progress(6999, { of: 2 }), progress(9000, { of: 2, p: 1 })])).toEqual([
      [5, 'provisional', 2],
    ])
    expect(told(task, [progress(7000, { of: 2, through: 101 })])).toEqual([[5, 'final', 2]])
    expect(told(task, [progress(7500, { of: 2, through: 102 })])).toEqual([])
  })

  test('waits for a source that has not told yet, also after a restart', () => {
    const task = restore()
    expect(told(task, [partial(5, 2), progress(99_000, { of: 2 })])).toEqual([[5, 'provisional', 2]])
    feed(task, [progress(99_000, { of: 1, through: 101 })])
    // What the commit leaves to be read again no longer names the second source.
    const { commit } = capture(task)!
    expect(decodeReduceCommit(commit).sourcePartitions).toBe(2)
    const next = restore(commit)
    next.skipTo(commit.offset - 1)
    expect(told(next, [progress(99_000, { through: 101 }), partial(5, 2)])).toEqual([[5, 'provisional', 2]])
    expect(told(next, [progress(99_000, { p: 1, through: 5 })])).toEqual([[5, 'final', 2]])
  })

  test('is corrected by a partial that reaches it when it is final', () => {
    const task = restore()
    told(task, [partial(5, 2), progress(7000)])
    expect(told(task, [partial(5, 2)])).toEqual([])
    expect(told(task, [partial(5, 3)])).toEqual([[5, 'corrected', 3]])
  })

  test('is closed by silence: by the least of the proof and the append time, only when that is ahead of the clock', () => {
    const idle = (idleAsOf: number, through: number) => progress(100, { idleAsOf, through })
    const task = restore()
    expect(told(task, [partial(5, 2), idle(6999, 100)], 9000)).toEqual([[5, 'provisional', 2]])
    expect(told(task, [idle(9000, 101)], 6999)).toEqual([])
    expect(told(task, [idle(7000, 102)], 7000)).toEqual([[5, 'final', 2]])
  })

  test('stays final when a source that was silent speaks again', () => {
    const task = restore()
    told(task, [partial(5, 2), progress(100, { idleAsOf: 7000 })], 7000)
    expect(told(task, [progress(200, { through: 101 }), partial(5, 3)])).toEqual([[5, 'corrected', 3]])
  })
})

describe('a forgotten window', () => {
  test('takes repeats in silence, and reports a claim that came too late once', () => {
    const task = restore()
    told(task, [partial(5, 2), progress(9000, { through: 10 })])
    feed(task, [partial(5, 2)])
    expect(capture(task)).toMatchObject({ stages: [[], []], notices: [] })
    feed(task, [
      partial(5, 3, { through: 11, last: 11 }),
      partial(5, 4, { through: 12, last: 12 }),
      partial(5, 3, { through: 11, last: 11 }),
    ])
    const captured = capture(task)
    const letters = lettersOf(captured)
    expect(letters).toHaveLength(1)
    expect(letters[0]).toMatchObject({
      key: '5/0/0',
      partition: 0,
    })
    expect(headersOf(letters[0])).toMatchObject({
      'error.code': 'partial_too_late',
      'source.topic': 'login-partials',
    })
    expect(jsonOf<PartialMessage>(letters[0]).through).toBe(12)
    expect(captured?.notices[0]).toMatchObject({ kind: 'partial_too_late', window: 5, partition: 0, from: 0 })
    expect(resultsOf(captured)).toEqual([])
  })
})

describe('coverage', () => {
  test('names what is counted, and vouches for silent sources', () => {
    const task = restore()
    feed(task, [
      partial(5, 2, { from: 16, through: 20, clockAtFrom: 1000 }),
      progress(3000, { of: 2, through: 30 }),
      progress(2000, { p: 1, of: 2, through: 7 }),
    ])
    expect(resultsOf(capture(task))[0]?.coverage).toEqual({
      '0': { from: 16, clock_at_from: '1970-01-01T00:00:01.000Z', through: 30 },
      '1': { from: 7, clock_at_from: '1970-01-01T00:00:02.000Z', through: 7 },
    })
  })

  const gap = { p: 0, from: 3, to: 9, clockBefore: 4000, untilMs: 5500 }

  test('with a gap that may have held events of the window is not exact', () => {
    const task = restore()
    feed(task, [partial(2, 1), partial(4, 1), partial(6, 1), progress(4000, { gaps: [gap] })])
    const results = resultsOf(capture(task))
    expect(results.map(({ window, exact }) => [Date.parse(window.start) / 1000, exact])).toEqual([
      [2, true],
      [4, false],
      [6, true],
    ])
    expect(results[1]?.coverage['0']?.gaps).toEqual([[3, 9]])
  })

  test('is told again when a gap becomes known, also to a final window', () => {
    const task = restore()
    expect(told(task, [partial(5, 2), progress(4000, { idleAsOf: 7000 })], 7000)).toEqual([[5, 'final', 2]])
    feed(task, [progress(4000, { through: 101, gaps: [gap] })], 7000)
    expect(resultsOf(capture(task))).toMatchObject([{ status: 'corrected', exact: false, batch_size: 2 }])
    expect(told(task, [progress(4000, { through: 102, gaps: [gap] })], 7000)).toEqual([])
  })

  test('with a range that is perhaps counted twice is not exact; a part inside another adds nothing', () => {
    const task = restore()
    feed(task, [partial(5, 6, { through: 10 }), partial(5, 2, { from: 4, through: 8 })])
    expect(resultsOf(capture(task))[0]).toMatchObject({ batch_size: 6, exact: true })
    feed(task, [partial(5, 3, { from: 8, through: 12 })])
    expect(resultsOf(capture(task))[0]).toMatchObject({
      exact: false,
      coverage: { '0': { gaps: [[8, 10]], through: 12 } },
    })
  })
})

describe('records that are not ours', () => {
  test('of another generation are left alone, foreign ones are reported, a few by capture', () => {
    const task = restore()
    expect(told(task, [partial(5, 2, { generation: 2 }), progress(99_000, { generation: 2 })])).toEqual([])
    const strange: TestRecord[] = Array.from({ length: 50 }, (_, i) => ({
      offset: 2 + i,
      timestamp: 0,
      value: i % 2 ? '{}' : null,
    }))
    task.process(new ArrayBatch(strange))
    const notices = capture(task)?.notices
    expect(notices?.[0]).toEqual({ kind: 'foreign_record', offset: 2 })
    expect(notices!.length).toBeLessThanOrEqual(5)
  })

  // They end a process again and again when they are let through: the record stays in the log.
  test.each<[string, object]>([
    [
      'a partial without counts',
      { v: 2, kind: 'partial', g: 1, w: 5, p: 0, from: 0, clockAtFrom: 0, through: 1, last: 1, aggregate: {} },
    ],
    ['progress without totals', { v: 2, kind: 'progress', g: 1, p: 0, of: 1, through: 1, clock: 1, gaps: [] }],
  ])('%s is foreign, not fatal', (_, value) => {
    const task = restore()
    task.process(new ArrayBatch([{ offset: 0, timestamp: 0, value }]))
    expect(capture(task)?.notices).toEqual([{ kind: 'foreign_record', offset: 0 }])
  })
})

describe('more windows than there is room for', () => {
  test('are parked, never final before they are read again, and told whole in the end', () => {
    const task = restore()
    const log: Message[] = [1, 2, 3, 9, 10, 4, 11].map(w => partial(w, w))
    log.push(progress(20_000, { through: 50 }))
    feed(task, log)
    expect(task.windows).toBe(4)
    const first = capture(task)
    // Window 9 had to make room for window 4: it is not told, and nothing from it on is final.
    expect(resultsOf(first).map(({ window, status }) => [Date.parse(window.start) / 1000, status])).toEqual([
      [1, 'final'],
      [2, 'final'],
      [3, 'final'],
      [4, 'final'],
    ])
    expect(first?.notices).toContainEqual({ kind: 'parked', fromWindow: 10 })
    expect(decodeReduceCommit(first!.commit)).toMatchObject({ finalThrough: 8, replayFrom: 3, offset: 8 })
    expect([task.takeSeek(), task.takeSeek(), task.live, task.position]).toEqual([3, null, false, 3])
    task.process(new ArrayBatch(messageRecords(log).slice(3)))
    expect(resultsOf(capture(task)).map(({ batch_size, status }) => [batch_size, status])).toEqual([
      [9, 'final'],
      [10, 'final'],
      [11, 'final'],
    ])
  })

  test('must leave room for all that may be corrected', () => {
    expect(() => restore(null, { start: 0, end: 0 }, { maxWindows: 3 })).toThrow('MAX_WINDOWS')
  })
})

describe('a commit', () => {
  const commit = {
    offset: 9,
    replayFrom: 4,
    finalThrough: 3,
    droppedThrough: 1,
    sourcePartitions: 2,
    configHash: 'abc',
  }

  test('is read back as it was written', () => {
    expect(decodeReduceCommit(encodeReduceCommit(commit))).toEqual(commit)
    expect(restore(encodeReduceCommit(commit)).position).toBe(4)
  })

  test.each<[string, () => unknown, string]>([
    ['without our metadata', () => restore({ offset: 5, metadata: 'x' }), 'refused_no_metadata'],
    ['of other settings', () => restore(encodeReduceCommit({ ...commit, configHash: 'x' })), 'refused_config_hash'],
    ['beyond the log', () => restore(encodeReduceCommit(commit), { start: 0, end: 8 }), 'refused_beyond_log'],
    [
      'whose windows cannot be rebuilt',
      () => restore(encodeReduceCommit(commit), { start: 5, end: 9 }),
      'refused_replay_lost',
    ],
    ['that was never made, of a log already cut', () => restore(null, { start: 1, end: 9 }), 'refused_replay_lost'],
  ])('%s is refused, with the way out', (_, run, code) => {
    expect(run).toThrow(TidemarkError)
    expect(run).toThrow(expect.objectContaining({ code, message: expect.stringContaining('tidemark topics rewind') }))
  })
})

/** With room for few windows the same is told in the end, as with room for all. */
test('parking-changes-nothing', () => {
  const length = fc.integer({ min: 1, max: 9 })
  const part = fc.tuple(fc.nat(30), fc.nat(1), length).map(([w, p, n]) => partial(w, n, { p }))
  const finals = (messages: readonly Message[], maxWindows: number) => {
    const log = messageRecords(messages)
    const task = restore(null, undefined, { maxWindows })
    const told = new Map<string, number>()
    for (let look = 0; look < 200; look++) {
      const from = task.position
      task.process(new ArrayBatch(log.slice(from, from + 7), { baseOffset: from }))
      expect(task.windows).toBeLessThanOrEqual(maxWindows)
      if (!task.live) continue
      for (const { window, status, batch_size } of resultsOf(capture(task))) {
        if (status !== 'provisional') told.set(window.start, batch_size)
      }
      task.takeSeek()
    }
    return Object.fromEntries([...told].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 80 }), parts => {
      const end = [0, 1].map(p => progress(90_000, { p, of: 2, through: 99 }))
      expect(finals([...parts, ...end], 4)).toEqual(finals([...parts, ...end], 100))
    }),
    { seed: SEED, numRuns: 200 },
  )
})

/** The newest result of every window is the same whether a reducer lived through the log or died on the way. */
test('a-restart-changes-nothing', () => {
  const message = fc.oneof(
    fc
      .tuple(fc.nat(12), fc.nat(1), fc.nat(2), fc.integer({ min: 1, max: 9 }))
      .map(([w, p, chunk, n]) => partial(w, n, { p, from: chunk * 16, through: chunk * 16 + n, last: chunk * 16 + n })),
    fc
      .tuple(fc.nat(14_000), fc.nat(1), fc.nat(60))
      .map(([clock, p, through]) => progress(clock, { p, of: 2, through })),
  )
  const log = fc.array(message, { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(
      log,
      fc.array(fc.tuple(fc.integer({ min: 1, max: 15 }), fc.boolean()), { maxLength: 20 }),
      (messages, plan) => {
        const records = messageRecords(messages)
        const steady = live(
          records,
          plan.map(([count]) => [count, false]),
        )
        const shaken = live(records, plan)
        expect(shaken).toEqual(steady)
      },
    ),
    { seed: SEED, numRuns: 300 },
  )
})

function live(records: readonly TestRecord[], plan: readonly (readonly [number, boolean])[]): Map<string, unknown> {
  const latest = new Map<string, unknown>()
  // Room for all windows: parking may put off what is told, so that more of it is told as one.
  const changed = { maxWindows: 20 }
  let commit: Commit | null = null
  let task = restore(commit, undefined, changed)
  let read = 0
  for (const [count, crash] of [...plan, [records.length, false] as const]) {
    read = Math.min(records.length, read + count)
    if (crash) task = restore(commit, undefined, changed)
    task.process(new ArrayBatch(records.slice(task.position, read), { baseOffset: task.position }))
    const captured = capture(task)
    for (const { window, status, revision, batch_size, exact } of resultsOf(captured))
      latest.set(window.start, { status, revision, batch_size, exact })
    commit = captured?.commit ?? commit
  }
  return latest
}
