import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  closedThrough,
  isoTime,
  windowEndMs,
  windowIndexOf,
  windowKey,
  windowSizeText,
} from '../../../src/windows/windows.ts'
import { SEED } from '../support.ts'

test('an event lies in its window', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253402300799999 }), fc.integer({ min: 1, max: 86_400_000 }), (time, size) => {
      const index = windowIndexOf(time, size)
      expect(index * size <= time && time < windowEndMs(index, size)).toBe(true)
    }),
    { seed: SEED },
  )
})

test('a window is closed exactly when its end and the lateness are reached', () => {
  const args = [
    fc.integer({ min: 0, max: 100_000 }),
    fc.integer({ min: 1, max: 1000 }),
    fc.integer({ min: 0, max: 5000 }),
  ] as const
  fc.assert(
    fc.property(...args, fc.integer({ min: 0, max: 200 }), (clock, size, lateness, index) => {
      expect(index <= closedThrough(clock, size, lateness)).toBe(windowEndMs(index, size) + lateness <= clock)
    }),
    { seed: SEED, numRuns: 1000 },
  )
})

test('with no clock nothing is closed', () => {
  expect(closedThrough(0, 10_000, 30_000)).toBeLessThan(0)
  expect(closedThrough(Number.NEGATIVE_INFINITY, 10_000, 0)).toBe(Number.NEGATIVE_INFINITY)
})

test('names of windows', () => {
  expect([500, 1000, 10_000, 60_000, 90_000, 3_600_000, 86_400_000].map(windowSizeText)).toEqual([
    '500ms',
    '1s',
    '10s',
    '1m',
    '90s',
    '1h',
    '1d',
  ])
  expect(windowKey(windowIndexOf(Date.UTC(2023, 8, 12, 0, 12, 39), 10_000), 10_000)).toBe(
    '10s/2023-09-12T00:12:30.000Z',
  )
  expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z')
})
