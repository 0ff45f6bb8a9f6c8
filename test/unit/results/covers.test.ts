import { expect, test } from 'vitest'
import { covers } from '../../../src/results/covers.ts'

const clock_at_from = '2026-01-01T00:00:00.000Z'
const coverage = { '3': { from: 100, clock_at_from, through: 200, gaps: [[120, 130] as const] } }

test.each([
  ['the first of its range', 3, 100, true],
  ['the last of its range', 3, 199, true],
  ['before the range', 3, 99, false],
  ['where the range has ended', 3, 200, false],
  ['the first of a gap', 3, 120, false],
  ['the first after a gap', 3, 130, true],
  ['a partition that has said nothing', 4, 150, false],
])('a record at %s', (_, partition, offset, expected) => {
  expect(covers({ coverage }, partition, offset)).toBe(expected)
})
