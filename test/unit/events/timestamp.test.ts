import { expect, test } from 'vitest'
import { parseTimestamp } from '../../../src/events/timestamp.ts'

test.each<[unknown, string]>([
  ['1694479551', '2023-09-12T00:45:51.000Z'],
  ['1694479551.5', '2023-09-12T00:45:51.500Z'],
  [1694479551123.9, '2023-09-12T00:45:51.123Z'],
  ['2023-09-12', '2023-09-12T00:00:00.000Z'],
  ['2023-09-12T00:12:30.5+02:00', '2023-09-11T22:12:30.500Z'],
])('%j is %s', (value, moment) => expect(new Date(parseTimestamp(value)).toISOString()).toBe(moment))

test('the zero below zero is the zero', () => expect(Object.is(parseTimestamp(-0), 0)).toBe(true))

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 253402300800000, '1e9', '2023-02-29', '0070-01-01', null, [], {}])(
  '%j is none',
  value => expect(parseTimestamp(value)).toBe(-1),
)
