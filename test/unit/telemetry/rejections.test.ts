import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tally } from '../../../src/tasks/task.ts'
import { type RejectionAlarm, RejectionGuard } from '../../../src/telemetry/rejections.ts'
import { SEED } from '../support.ts'

const WINDOW_MS = 60_000

function guard(limit = 0.1): RejectionGuard {
  return new RejectionGuard({ limit, windowMs: WINDOW_MS })
}

function tally(accepted: number, rejected: Record<string, number> = {}, late = 0): Tally {
  return { accepted, late, rejected }
}

describe('the alarm', () => {
  it('is raised once when the share passes the limit, with the codes, largest first', () => {
    const watching = guard()
    expect(watching.add(3, tally(900, { not_json: 100 }), 0)).toBeNull()
    expect(watching.add(3, tally(0, { not_json: 1, too_large: 40, empty_value: 40 }), 1)).toEqual({
      kind: 'raised',
      partition: 3,
      records: 1081,
      rejected: 181,
      share: 181 / 1081,
      codes: [
        ['not_json', 101],
        ['empty_value', 40],
        ['too_large', 40],
      ],
    })
    expect(watching.add(3, tally(0, { not_json: 50 }), 2)).toBeNull()
    expect([2, 3].map(partition => watching.raised(partition))).toEqual([false, true])
  })

  it('waits for a hundred records', () => {
    const watching = guard()
    expect(watching.add(0, tally(0, { not_json: 99 }), 0)).toBeNull()
    expect(watching.add(0, tally(1), 1)).toMatchObject({ kind: 'raised', records: 100 })
  })

  it('does not take late records for rejected ones, but for records', () => {
    const watching = guard()
    expect(watching.add(0, tally(10, {}, 990), 0)).toBeNull()
    expect(watching.add(0, tally(0, { not_json: 111 }), 1)).toBeNull()
    expect(watching.add(0, tally(0, { not_json: 1 }), 2)).toMatchObject({ kind: 'raised', records: 1_112 })
  })

  it('ends only well below the limit', () => {
    const watching = guard()
    watching.add(0, tally(0, { not_json: 100 }), 0)
    expect(watching.add(0, tally(1_000), 1)).toBeNull()
    expect(watching.add(0, tally(149), 2)).toBeNull()
    expect(watching.add(0, tally(1), 3)).toMatchObject({ kind: 'cleared', records: 1_250, share: 0.08 })
    expect(watching.add(0, tally(0), 4)).toBeNull()
    expect(watching.raised(0)).toBe(false)
  })

  it('ends when nothing comes any more, and not before the window has passed', () => {
    const watching = guard()
    watching.add(0, tally(0, { not_json: 100 }), 5_000)
    expect(watching.expire(59_999)).toEqual([])
    expect(watching.expire(5_000 + WINDOW_MS)).toMatchObject([{ kind: 'cleared', partition: 0, records: 0, share: 0 }])
    expect(watching.expire(5_001 + WINDOW_MS)).toEqual([])
  })

  it('belongs to one partition', () => {
    const watching = guard()
    watching.add(1, tally(0, { not_json: 100 }), 0)
    expect(watching.add(2, tally(1_000), 0)).toBeNull()
    expect(watching.raised(1)).toBe(true)
    watching.forget(1)
    expect(watching.raised(1)).toBe(false)
    expect(watching.shares(0).map(({ partition }) => partition)).toEqual([2])
  })

  it('is never raised with a limit of 1, and by the first rejection with a limit of 0', () => {
    expect(guard(1).add(0, tally(0, { not_json: 1_000 }), 0)).toBeNull()
    expect(guard(0).add(0, tally(1_000), 0)).toBeNull()
    expect(guard(0).add(0, tally(999, { not_json: 1 }), 0)).toMatchObject({ kind: 'raised' })
  })

  it('has a worst share of those partitions that have enough records', () => {
    const watching = guard()
    expect(watching.worst(0)).toBeNull()
    watching.add(0, tally(0, { not_json: 99 }), 0)
    expect(watching.worst(0)).toBeNull()
    watching.add(1, tally(80, { not_json: 20 }), 0)
    watching.add(2, tally(95, { not_json: 5 }), 0)
    expect(watching.worst(0)).toBe(0.2)
    expect(watching.worst(WINDOW_MS)).toBeNull()
  })

  it('stays calm when the clock goes back', () => {
    const watching = guard()
    watching.add(0, tally(200), 1_000_000)
    watching.add(0, tally(0, { not_json: 10 }), 0)
    expect(watching.shares(1_000_000)).toMatchObject([{ records: 210, rejected: 10 }])
  })
})

describe('against a sum over everything that was ever added', () => {
  const codes = ['not_json', 'too_large', 'future_timestamp']
  const step = fc.record({
    partition: fc.integer({ min: 0, max: 2 }),
    afterMs: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 90_000 })),
    accepted: fc.nat(300),
    late: fc.nat(50),
    rejected: fc.dictionary(fc.constantFrom(...codes), fc.nat(60), { maxKeys: 3 }),
    forget: fc.integer({ min: 0, max: 20 }).map(n => n === 0),
  })

  it('shares and alarms are the same', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 0.05, 0.1, 0.5, 1), (steps, limit) => {
        const watching = guard(limit)
        let log: { partition: number; at: number; tally: Tally }[] = []
        const raised = new Set<number>()
        let now = 0
        for (const { partition, afterMs, forget, ...counts } of steps) {
          now += afterMs
          if (forget) {
            watching.forget(partition)
            log = log.filter(entry => entry.partition !== partition)
            raised.delete(partition)
          }
          log.push({ partition, at: now, tally: counts })
          const told = watching.add(partition, counts, now)
          const { records, rejected } = naiveSum(log, partition, now)
          expect(watching.shares(now)).toContainEqual(expect.objectContaining({ partition, records, rejected }))
          expect(told?.kind ?? null).toBe(naiveAlarm(raised, partition, records, rejected, limit))
          if (told !== null) expectOrdered(told)
          expect([0, 1, 2].filter(each => watching.raised(each))).toEqual([...raised].sort())
        }
      }),
      { seed: SEED },
    )
  })

  function naiveSum(log: { partition: number; at: number; tally: Tally }[], partition: number, now: number) {
    const tenth = WINDOW_MS / 10
    let records = 0
    let rejected = 0
    for (const entry of log) {
      if (entry.partition !== partition) continue
      // The tenths that began less than a window before the present one's end.
      const beginsAt = entry.at - (entry.at % tenth)
      const presentEnd = now - (now % tenth) + tenth
      if (beginsAt < presentEnd - WINDOW_MS) continue
      const bad = Object.values(entry.tally.rejected).reduce((sum, count) => sum + count, 0)
      records += entry.tally.accepted + entry.tally.late + bad
      rejected += bad
    }
    return { records, rejected }
  }

  function naiveAlarm(raised: Set<number>, partition: number, records: number, rejected: number, limit: number) {
    if (raised.has(partition) && rejected <= limit * 0.8 * records) {
      raised.delete(partition)
      return 'cleared'
    }
    if (!raised.has(partition) && records >= 100 && rejected > limit * records) {
      raised.add(partition)
      return 'raised'
    }
    return null
  }

  function expectOrdered(alarm: RejectionAlarm): void {
    const counts = alarm.codes.map(([, count]) => count)
    expect(counts).toEqual([...counts].sort((a, b) => b - a))
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(alarm.rejected)
  }
})
