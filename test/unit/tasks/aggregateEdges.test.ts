import { describe, expect, it } from 'vitest'
import { decodeAggregateCommit } from '../../../src/tasks/aggregateCommit.ts'
import {
  BASE,
  capture,
  event,
  FIRST_WINDOW,
  feed,
  partialsOf,
  progressOf,
  restore,
  started,
} from './aggregateSupport.ts'

const YEAR = 365 * 86_400_000

describe('lateness', () => {
  it('is decided by the prefix alone: neither the wall clock nor the record timestamp makes a record late', () => {
    const task = started()
    feed(task, event(0, 100))
    capture(task, { now: BASE + YEAR, idleAsOf: BASE + YEAR })
    feed(task, event(1, 200, YEAR), event(2, 900, YEAR))
    const { totals, clock } = decodeAggregateCommit(capture(task)!.commit)
    expect([totals.accepted, totals.late, clock]).toEqual([3, 0, BASE + 900])
  })

  it('begins exactly where the clock reaches the end of the window and the lateness', () => {
    const task = started()
    feed(task, event(0, 1_999), event(1, 999), event(2, 2_000), event(3, 999))
    expect(decodeAggregateCommit(capture(task)!.commit).totals).toMatchObject({ accepted: 3, late: 1 })
  })

  it('is not brought about by a phone set to next year, however much skew is allowed', () => {
    const task = restore(null, undefined, { maxFutureSkewMs: 2 * YEAR })
    capture(task)
    feed(task, event(0, 100), event(1, YEAR, 150), event(2, 120))
    const captured = capture(task)!
    expect(decodeAggregateCommit(captured.commit)).toMatchObject({
      clock: BASE + 150,
      totals: { accepted: 3, late: 0 },
    })
    expect(partialsOf(captured).map(({ w }) => w - FIRST_WINDOW)).toEqual([0, YEAR / 1_000])
  })

  it('of the first event is none: a clock begins at zero', () => {
    const task = started()
    feed(task, { offset: 0, timestamp: 5, value: { user_id: 'u', timestamp: 0 } })
    expect(partialsOf(capture(task))).toMatchObject([{ w: 0, aggregate: { n: 1 } }])
  })
})

describe('a rejected record', () => {
  it('leaves the clock alone, and takes its place in the prefix', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 5_000, 500), { offset: 2, timestamp: BASE + 9_000, value: '{}' })
    expect(decodeAggregateCommit(capture(task)!.commit)).toMatchObject({
      offset: 3,
      clock: BASE + 100,
      totals: { accepted: 1, rejected: { future_timestamp: 1, missing_user_id: 1 } },
    })
  })

  it('is one only from the first millisecond past the skew on', () => {
    const task = started()
    feed(task, event(0, 1_100, 100), event(1, 1_101, 100))
    const { totals } = decodeAggregateCommit(capture(task)!.commit)
    expect(totals).toEqual({ accepted: 1, late: 0, rejected: { future_timestamp: 1 } })
  })
})

describe('records', () => {
  it('below the position are not counted again', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 200))
    const again = event(0, 100)
    feed(task, again, event(1, 200), event(2, 300))
    expect(partialsOf(capture(task))).toMatchObject([{ through: 3, aggregate: { n: 3 } }])
  })

  it('that were skipped count as processed, over the borders of chunks too', () => {
    const task = started()
    feed(task, event(3, 100))
    task.skipTo(40)
    const captured = capture(task)!
    expect(partialsOf(captured)).toMatchObject([{ from: 0, through: 16, last: 4 }])
    expect(decodeAggregateCommit(captured.commit)).toMatchObject({ offset: 40, from: 32, replayFrom: 40 })
    feed(task, event(40, 200))
    expect(partialsOf(capture(task))).toMatchObject([{ from: 32, through: 41, aggregate: { n: 1 } }])
  })

  it('of several chunks in one flush are told oldest first, each chunk at its end', () => {
    const task = started()
    feed(task, event(0, 100), event(16, 200), event(32, 300))
    const told = partialsOf(capture(task)).map(({ from, through }) => [from, through])
    expect(told).toEqual([
      [0, 16],
      [16, 32],
      [32, 33],
    ])
  })

  it('processed after a capture are not in it', () => {
    const task = started()
    feed(task, event(0, 100))
    const captured = capture(task)!
    feed(task, event(1, 200))
    expect(partialsOf(captured)).toMatchObject([{ through: 1, aggregate: { n: 1 } }])
    expect(captured.commit.offset).toBe(1)
  })
})

describe('a task', () => {
  it('may not be captured while it replays', () => {
    const task = started()
    feed(task, event(0, 100), event(1, 200))
    expect(() => capture(restore(capture(task)!.commit))).toThrow('invariant')
  })

  it('reads nothing again of its own accord', () => {
    expect(started().takeSeek()).toBeNull()
  })

  it('tells every window of thousands that are open at once', () => {
    const task = restore(null, undefined, { chunkSize: 4_096, allowedLatenessMs: YEAR })
    capture(task)
    feed(task, ...Array.from({ length: 3_000 }, (_, offset) => event(offset, offset * 1_000)))
    expect(task.pendingBytes).toBe(3_000 * (1_024 + 24))
    expect(partialsOf(capture(task))).toHaveLength(3_000)
    expect([task.pendingBytes, decodeAggregateCommit(capture(task, { now: BASE + 9_000 })!.commit).replayFrom]).toEqual(
      [0, 0],
    )
  })

  it('loses no event when it lets go of thousands of windows that are closed', () => {
    const task = restore(null, undefined, { chunkSize: 8_192 })
    capture(task)
    feed(task, ...Array.from({ length: 5_000 }, (_, offset) => event(offset, offset * 1_000)))
    const counts = partialsOf(capture(task)).map(({ aggregate }) => aggregate.n)
    expect([counts.length, counts.every(n => n === 1)]).toEqual([5_000, true])
  })
})

describe('progress', () => {
  it('carries the totals as of its position, not those to come', () => {
    const task = started()
    feed(task, event(0, 100), { offset: 1, timestamp: BASE, value: '?' })
    const [told] = progressOf(capture(task, { now: BASE + 60_000 }))
    feed(task, event(2, 200), { offset: 3, timestamp: BASE, value: '?' })
    expect(told).toMatchObject({ through: 2, totals: { accepted: 1, late: 0, rejected: { not_json: 1 } } })
  })

  it('is told by the first commit, before which nothing was counted', () => {
    const task = restore()
    feed(task, event(0, 100))
    expect(progressOf(capture(task, { sourcePartitions: 4 }))).toMatchObject([
      { through: 0, of: 4, clock: 0, idleAsOf: null },
      { through: 0, of: 4, clock: 0, idleAsOf: null },
    ])
  })

  it('of an empty partition that is idle says so with its first word of its own', () => {
    const task = started()
    const [told] = progressOf(capture(task, { idleAsOf: BASE + 1 }))
    expect(told).toMatchObject({ through: 0, clock: 0, idleAsOf: BASE + 1 })
  })
})

describe('a binary CloudEvent', () => {
  it('takes its time from the header when the event has none; without the header it is rejected', () => {
    const task = started()
    const value = { user_id: 'u' }
    const headers = { ce_specversion: '1.0', ce_time: new Date(BASE + 100).toISOString() }
    feed(task, { offset: 0, timestamp: BASE + 200, value, headers }, { offset: 1, timestamp: BASE + 200, value })
    const { totals, clock } = decodeAggregateCommit(capture(task)!.commit)
    expect([totals.accepted, totals.rejected, clock]).toEqual([1, { missing_timestamp: 1 }, BASE + 100])
  })
})
