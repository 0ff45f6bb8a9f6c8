import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Aggregate } from '../../../src/aggregate/aggregate.ts'
import { summarize } from '../../../src/aggregate/userSummary.ts'
import { createRecount } from '../../../src/dev/recount.ts'
import {
  decodeAggregateCommit,
  encodeAggregateCommit,
  initialAggregateCommit,
} from '../../../src/tasks/aggregateCommit.ts'
import { HeldWindow } from '../../../src/tasks/heldWindow.ts'
import { type Commit, recordsOf } from '../../../src/tasks/task.ts'
import { windowKey } from '../../../src/windows/windows.ts'
import { bytesOf, SEED, type TestRecord } from '../support.ts'
import {
  BASE,
  capture,
  event,
  FIRST_WINDOW,
  feed,
  partialsOf,
  progressOf,
  restore,
  settings,
  started,
} from './aggregateSupport.ts'

describe('a partial', () => {
  test('says what a prefix adds up to', () => {
    const task = started()
    feed(task, event(0, 100), event(2, 1500), event(3, 200))
    expect(partialsOf(capture(task))).toMatchObject([
      { w: FIRST_WINDOW, p: 3, from: 0, through: 4, last: 4, aggregate: { n: 2 } },
      { w: FIRST_WINDOW + 1, p: 3, from: 0, through: 4, last: 3, aggregate: { n: 1 } },
    ])
    expect(capture(task)).toBeNull()
  })

  test('holds all that is counted of an event', () => {
    const task = started()
    const value = { user_id: 7, timestamp: BASE, device_type: 'iPhone', locale: 'NY', app_version: '2.3.0' }
    const logins = [
      { ...value, device_id: 'a', ip: '192.0.2.1' },
      { ...value, timestamp: BASE + 9, ip: '::ffff:192.0.2.1' },
      { ...value, user_id: 'v', timestamp: BASE + 5, device_id: 'unknown' },
    ]
    feed(task, ...logins.map((login, offset) => ({ offset, timestamp: BASE, value: login })))
    const [{ aggregate } = { aggregate: null }] = partialsOf(capture(task))
    const { d, l, v, g, c, m, h } = aggregate!
    expect([d, l, v, g].map(counts => counts.c)).toEqual([{ ios: 3 }, { NY: 3 }, { '2.3.0': 3 }, { '2.3': 3 }])
    // The address as it came: the one who looks up reads it.
    expect([c.c, m, h]).toEqual([{ US: 1, unknown: 2 }, [0, 1, 0, 0, 1], undefined])
    const { users } = Aggregate.fromJSON(aggregate!, settings.limits)
    expect(summarize(users, BASE + 1000)).toEqual({
      users: { distinct: 2, exact: true, relative_error: 0, devices: 1, logins_per_user: { min: 1, avg: 1.5, max: 2 } },
      sessions: { started: 2, active: 2, avg_seconds: 0.005, events_per_session: 1.5 },
    })
  })

  test('goes before the progress that covers it, to the partition of its window; progress goes to all', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 1100))
    const stages = capture(task)?.stages
    expect(stages?.map(stage => recordsOf(stage).map(({ topic, partition }) => [topic, partition]))).toEqual([
      [
        ['partials', 0],
        ['partials', 1],
      ],
      [
        ['partials', 0],
        ['partials', 1],
      ],
    ])
  })

  test('is told again only when its window has grown, and is cumulative in its chunk', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 1100))
    capture(task)
    feed(task, event(2, 150))
    expect(partialsOf(capture(task))).toMatchObject([{ w: FIRST_WINDOW, through: 3, aggregate: { n: 2 } }])
  })

  test('of a finished chunk is sealed at its end, and the next chunk counts from nothing', () => {
    const task = started()
    feed(task, event(3, 100), event(20, 200))
    const captured = capture(task)
    expect(partialsOf(captured)).toMatchObject([
      { from: 0, through: 16, last: 4, aggregate: { n: 1 }, clockAtFrom: 0 },
      { from: 16, through: 21, last: 21, aggregate: { n: 1 }, clockAtFrom: BASE + 100 },
    ])
    expect(decodeAggregateCommit(captured!.commit)).toMatchObject({ offset: 21, from: 16, replayFrom: 20 })
  })

  test('of a chunk that ends exactly at the position leaves nothing to replay', () => {
    const task = started()
    feed(task, event(15, 100))
    const captured = capture(task)
    expect(partialsOf(captured)).toMatchObject([{ from: 0, through: 16 }])
    expect(decodeAggregateCommit(captured!.commit)).toMatchObject({
      offset: 16,
      from: 16,
      replayFrom: 16,
      clockAtReplayFrom: BASE + 100,
    })
  })
})

describe('late, rejected and future records', () => {
  test('enter no window and are counted; the clock is decided by the prefix', () => {
    const task = started()
    // 2,000 closes window 0 (end 1,000 + lateness 1,000); the late record does not move the clock back.
    feed(task, event(0, 100), event(1, 1999), event(2, 900), event(3, 2000), event(4, 950), event(5, 9000, 2000))
    feed(task, { offset: 6, timestamp: BASE, value: null })
    const captured = capture(task)
    expect(partialsOf(captured).map(({ w, aggregate }) => [w - FIRST_WINDOW, aggregate.n])).toEqual([
      [0, 2],
      [1, 1],
      [2, 1],
    ])
    expect(decodeAggregateCommit(captured!.commit)).toMatchObject({
      clock: BASE + 2000,
      totals: { accepted: 4, late: 1, rejected: { future_timestamp: 1, empty_value: 1 } },
    })
  })

  test('a record stamped ahead moves the clock no further than its record timestamp', () => {
    const task = started()
    feed(task, event(0, 900, 100))
    expect(decodeAggregateCommit(capture(task)!.commit).clock).toBe(BASE + 100)
  })

  test('rejections are named up to a bound, and all counted', () => {
    const task = started()
    feed(task, ...Array.from({ length: 100 }, (_, offset) => ({ offset, timestamp: BASE, value: '?' })))
    const captured = capture(task)
    expect(captured?.notices.length).toBeLessThanOrEqual(5)
    expect(captured?.notices[0]).toEqual({ kind: 'rejected', offset: 0, code: 'not_json' })
    expect(decodeAggregateCommit(captured!.commit).totals.rejected).toEqual({ not_json: 100 })
  })
})

describe('a new owner', () => {
  test('commits a chunk that no commit names before its first partial', () => {
    const task = restore()
    feed(task, event(0, 100))
    const first = capture(task)
    expect(partialsOf(first)).toEqual([])
    expect(decodeAggregateCommit(first!.commit)).toMatchObject({ offset: 0, from: 0, replayFrom: 0, clock: 0 })
    expect(partialsOf(capture(task))).toHaveLength(1)
  })

  test('without a commit begins at the start of the log', () => {
    const task = restore(null, { start: 40, end: 90 })
    expect(task.position).toBe(40)
    expect(decodeAggregateCommit(capture(task)!.commit)).toMatchObject({ offset: 40, from: 40, gaps: [] })
  })

  test('replays with its outputs muted up to the commit, then goes on where the last one was', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 200), { offset: 2, timestamp: BASE, value: '?' })
    const { commit } = capture(task)!
    const next = restore(commit)
    expect([next.position, next.live]).toEqual([0, false])
    feed(next, event(0, 100))
    expect(next.live).toBe(false)
    feed(next, event(1, 200), { offset: 2, timestamp: BASE, value: '?' })
    expect([next.live, next.pendingBytes]).toEqual([true, 0])
    const silent = capture(next)
    expect([partialsOf(silent), silent?.commit, silent?.notices]).toEqual([[], commit, []])
    feed(next, event(3, 300))
    expect(partialsOf(capture(next))).toMatchObject([{ from: 0, through: 4, aggregate: { n: 3 } }])
  })

  test('replays no more than the windows that are still open', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 2500), event(2, 2600))
    expect(decodeAggregateCommit(capture(task)!.commit)).toMatchObject({
      offset: 3,
      replayFrom: 1,
      clockAtReplayFrom: BASE + 100,
    })
  })

  test('refuses a log that does not lead to the committed clock', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 200))
    const next = restore(capture(task)!.commit)
    expect(() => feed(next, event(0, 100), event(2, 300))).toThrow(
      expect.objectContaining({ code: 'refused_replay_lost' }),
    )
  })

  test('begins a sub-chunk at the commit when only the records to rebuild from are gone', () => {
    const task = started()
    feed(task, event(1, 100), event(2, 200))
    const next = restore(capture(task)!.commit, { start: 2, end: 100 })
    const first = capture(next)!
    expect(decodeAggregateCommit(first.commit)).toMatchObject({ offset: 3, from: 3, replayFrom: 3, gaps: [] })
    feed(next, event(3, 300))
    expect(partialsOf(capture(next))).toMatchObject([
      { from: 3, through: 4, clockAtFrom: BASE + 200, aggregate: { n: 1 } },
    ])
  })
})

describe('a gap', () => {
  const lost = () => {
    const task = started()
    feed(task, event(1, 100), event(2, 200))
    return capture(task)!.commit
  }

  test('is told, committed and noticed before anything behind it', () => {
    const task = restore(lost(), { start: 9, end: 100 })
    const first = capture(task)!
    const gap = { from: 3, to: 9, clockBefore: BASE + 200 }
    expect(first.notices).toEqual([{ kind: 'gap', from: 3, to: 9 }])
    expect(decodeAggregateCommit(first.commit)).toMatchObject({
      offset: 9,
      from: 9,
      gaps: [gap],
      totals: { accepted: 2 },
    })
    expect(progressOf(first)).toMatchObject([{ gaps: [gap] }, { gaps: [gap] }])
    expect(partialsOf(first)).toEqual([])
  })

  // One record that a mirror or a slow client stamped long ago says nothing of how late the lost ones were.
  test('is not made small by one old record behind it', () => {
    const task = restore(lost(), { start: 9, end: 100 }, {}, BASE + 60_000)
    capture(task)
    feed(task, event(9, -3_600_000))
    const { gaps } = decodeAggregateCommit(capture(task)!.commit)
    expect(gaps[0]?.untilMs).toBeGreaterThanOrEqual(BASE + 60_000)
  })
})

describe('what waits for the next capture', () => {
  const of = (offset: number, user: string, ms: number) => {
    return { offset, timestamp: BASE + ms, value: { user_id: user, timestamp: BASE + ms } }
  }

  test('is measured by partials and the users in them, and in events', () => {
    const task = started()
    expect([task.pendingBytes, task.pendingEvents]).toEqual([0, 0])
    feed(task, of(0, 'a', 0), of(1, 'a', 1), of(2, 'b', 2), of(3, 'a', 1000))
    expect([task.pendingBytes, task.pendingEvents]).toEqual([2 * 1_024 + 3 * 24, 4])
    capture(task)
    expect([task.pendingBytes, task.pendingEvents]).toEqual([0, 0])
    // Partials are cumulative: users of before are told again.
    feed(task, of(4, 'c', 3))
    expect([task.pendingBytes, task.pendingEvents]).toEqual([1_024 + 3 * 24, 1])
  })

  test('is nothing of a replay, and holds what finished chunks have still to tell', () => {
    const task = started()
    feed(task, of(0, 'a', 0), of(1, 'b', 1))
    const next = restore(capture(task)!.commit)
    feed(next, of(0, 'a', 0))
    expect([next.pendingBytes, next.pendingEvents]).toEqual([0, 0])
    feed(next, of(1, 'b', 1), of(2, 'b', 2), of(16, 'c', 3))
    expect([next.pendingBytes, next.pendingEvents]).toEqual([2 * 1_024 + 3 * 24, 2])
  })

  test('holds no events that were rejected or late', () => {
    const task = started()
    feed(task, of(0, 'a', 9000), of(1, 'b', 0), { offset: 2, timestamp: BASE, value: '?' })
    expect(task.pendingEvents).toBe(1)
  })
})

describe('progress', () => {
  const quiet = { now: BASE, sourcePartitions: 1, idleAsOf: null }
  const ready = () => {
    const task = started()
    feed(task, event(0, 100))
    capture(task)
    return task
  }

  test('is told when a boundary is crossed, when idleness or the number of sources changes, and every idle timeout', () => {
    const task = ready()
    expect(capture(task, { ...quiet, now: BASE + 4999 })).toBeNull()
    expect(progressOf(capture(task, { ...quiet, now: BASE + 5000 }))).toHaveLength(2)
    expect(capture(task, { ...quiet, now: BASE + 5001 })).toBeNull()
    const idle = { ...quiet, now: BASE + 5002, idleAsOf: BASE + 5001 }
    expect(progressOf(capture(task, idle))[0]).toMatchObject({
      idleAsOf: BASE + 5001,
      through: 1,
      clock: BASE + 100,
      of: 1,
    })
    expect(capture(task, idle)).toBeNull()
    expect(progressOf(capture(task, { ...idle, sourcePartitions: 2 }))[0]).toMatchObject({ of: 2 })
    feed(task, event(1, 2000))
    expect(progressOf(capture(task, { ...idle, sourcePartitions: 2 }))[0]).toMatchObject({
      through: 2,
      clock: BASE + 2000,
    })
  })

  test('rests while the clock stays between two boundaries', () => {
    const task = ready()
    feed(task, event(1, 150))
    expect(progressOf(capture(task))).toEqual([])
  })
})

describe('a commit', () => {
  test('is read back as it was written and fits into 4,096 bytes at its largest', () => {
    const big = Number.MAX_SAFE_INTEGER
    const time = 253402300799999
    const fields = ['user_id', 'timestamp', 'device_type', 'device_id', 'locale', 'app_version', 'ip']
    const codes = ['empty_value', 'too_large', 'not_utf8', 'not_json', 'not_an_object', 'future_timestamp']
    for (const field of fields) codes.push(`missing_${field}`, `invalid_${field}`)
    const commit = {
      offset: big,
      replayFrom: big,
      clockAtReplayFrom: time,
      clock: time,
      from: big,
      clockAtFrom: time,
      totals: { accepted: big, late: big, rejected: Object.fromEntries(codes.map(code => [code, big])) },
      gaps: Array.from({ length: 8 }, () => ({ from: big, to: big, clockBefore: time, untilMs: time })),
      configHash: 'x'.repeat(12),
      partialsPartitions: 10_000,
    }
    const encoded = encodeAggregateCommit(commit)
    expect(bytesOf(encoded.metadata)!.length).toBeLessThan(4096)
    expect(decodeAggregateCommit(encoded)).toEqual(commit)
  })

  test.each<[string, () => unknown, string]>([
    ['without our metadata', () => restore({ offset: 5, metadata: '' }), 'refused_no_metadata'],
    ['of another version', () => restore({ offset: 5, metadata: '{"v":99}' }), 'refused_no_metadata'],
    ['of other settings', () => restore(initialAggregateCommit('other', 2, 5)), 'refused_config_hash'],
    ['of another partition count', () => restore(initialAggregateCommit('abc', 3, 5)), 'refused_partition_count'],
    ['beyond the log', () => restore(initialAggregateCommit('abc', 2, 5), { start: 0, end: 4 }), 'refused_beyond_log'],
  ])('%s is refused, with the way out', (_, run, code) => {
    expect(run).toThrow(expect.objectContaining({ code, message: expect.stringContaining('tidemark topics rewind') }))
  })

  test('with which a rewound generation begins is a start like any other', () => {
    const task = restore(initialAggregateCommit('abc', 2, 37))
    expect([task.position, task.live]).toEqual([37, true])
    expect(capture(task, { idleAsOf: BASE })).not.toBeNull()
  })
})

type Step = { readonly kind: 'read' | 'flush' | 'lose' | 'crash'; readonly count: number }

/** Crashes at any moment, partials that are told but never committed, chunks that are sealed late: nothing changes the sums. */
test('a-crash-changes-nothing', () => {
  const record = fc.record({ skip: fc.nat(3), ms: fc.nat(6000), lag: fc.nat(1500), bad: fc.nat(9) })
  const kind = fc.constantFrom<Step['kind']>('read', 'read', 'flush', 'lose', 'crash')
  const steps = fc.array(fc.record({ kind, count: fc.integer({ min: 1, max: 12 }) }), { maxLength: 60 })
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 90 }), steps, (list, plan) => {
      let offset = 0
      const log = list.map(({ skip, ms, lag, bad }, i): TestRecord => {
        offset += 1 + skip
        const drift = i * 40 + ms
        return bad === 0 ? { offset, timestamp: BASE + drift, value: '?' } : event(offset, drift, drift - 500 + lag)
      })
      const windows = new Map<number, HeldWindow>()
      const commit = follow(
        log,
        [...plan, { kind: 'read', count: 100 }, { kind: 'flush', count: 1 }, { kind: 'flush', count: 1 }],
        windows,
      )
      expectEqualsRecount(log, windows, commit)
    }),
    { seed: SEED, numRuns: 300 },
  )
})

function follow(log: readonly TestRecord[], plan: readonly Step[], windows: Map<number, HeldWindow>): Commit {
  let commit: Commit | null = null
  let task = restore(commit)
  for (const { kind, count } of plan) {
    if (kind === 'read' || !task.live)
      feed(task, ...log.filter(({ offset }) => offset >= task.position).slice(0, count))
    if (kind === 'crash') task = restore(commit)
    if ((kind !== 'flush' && kind !== 'lose') || !task.live) continue
    const captured = capture(task)
    for (const partial of partialsOf(captured)) {
      const window = windows.get(partial.w) ?? new HeldWindow(partial.w, 0)
      windows.set(partial.w, window)
      window.offer(partial)
    }
    if (kind === 'lose') task = restore(commit)
    else commit = captured?.commit ?? commit
  }
  return commit as Commit
}

function expectEqualsRecount(
  log: readonly TestRecord[],
  windows: ReadonlyMap<number, HeldWindow>,
  commit: Commit,
): void {
  const recount = createRecount(settings)
  for (const { offset, timestamp, value } of log)
    recount.add({ partition: 3, offset, timestamp, value: bytesOf(value) })
  const truth = recount.result()
  const counted = [...windows.values()].map(window => [
    windowKey(window.index, 1000),
    window.total(settings.limits).count,
  ])
  expect(Object.fromEntries(counted)).toEqual(
    Object.fromEntries(Object.entries(truth.windows).map(([key, { count }]) => [key, count])),
  )
  const { accepted, late, rejected, clock } = truth.partitions[3]!
  expect(decodeAggregateCommit(commit)).toMatchObject({ clock, totals: { accepted, late, rejected } })
  expect(commit.offset).toBe(log.at(-1)!.offset + 1)
}

describe('what it tells of itself', () => {
  test('is how many windows are open, and how many chunks it has begun', () => {
    const task = started()
    expect([task.windows, task.chunks]).toEqual([0, 1])
    feed(task, event(0, 100), event(1, 1_100))
    expect([task.windows, task.chunks]).toEqual([2, 1])
    feed(task, event(15, 1_200), event(16, 1_300))
    expect([task.windows, task.chunks]).toEqual([1, 2])
    feed(task, event(160, 1_400))
    expect([task.windows, task.chunks]).toEqual([1, 3])
  })
})
