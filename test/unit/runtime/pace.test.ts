import { expect, test } from 'vitest'
import { Pace } from '../../../src/runtime/pace.ts'

function paced(perSecond: number) {
  const clock = { nowMs: 5_000 }
  return { clock, pace: new Pace(perSecond, () => clock.nowMs) }
}

test('records are paid for by the time until the next ones', () => {
  const { clock, pace } = paced(100)
  expect(pace.waitMs()).toBe(0)
  pace.take(50)
  expect(pace.waitMs()).toBe(500)
  clock.nowMs += 200
  expect(pace.waitMs()).toBe(300)
  clock.nowMs += 300
  expect(pace.waitMs()).toBe(0)
})

test('time in which nothing was taken is not saved up', () => {
  const { clock, pace } = paced(100)
  pace.take(100)
  clock.nowMs += 60_000
  pace.take(100)
  expect(pace.waitMs()).toBe(1_000)
})

test('over a long time it comes to the set rate, whatever the batches are', () => {
  const { clock, pace } = paced(800)
  const startedAt = clock.nowMs
  let taken = 0
  for (let batch = 1; taken < 80_000; batch++) {
    clock.nowMs += pace.waitMs()
    const records = (batch * 37) % 500
    pace.take(records)
    taken += records
  }
  clock.nowMs += pace.waitMs()
  expect(taken / ((clock.nowMs - startedAt) / 1_000)).toBeCloseTo(800, 6)
})

test('0 is no limit', () => {
  const { pace } = paced(0)
  pace.take(1_000_000)
  expect(pace.waitMs()).toBe(0)
})
