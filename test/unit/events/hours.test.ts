import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createHourReader, dayPartOf, isTimeZone } from '../../../src/events/hours.ts'
import { SEED } from '../support.ts'

const at = (text: string) => Date.parse(text)

test.each([
  ['UTC', '2023-09-12T00:59:59.999Z', 0],
  ['UTC', '2023-09-12T23:00:00Z', 23],
  ['Asia/Kolkata', '2023-09-12T18:29:59.999Z', 23],
  ['Asia/Kolkata', '2023-09-12T18:30:00Z', 0],
  ['Asia/Kathmandu', '2023-09-12T00:14:59Z', 5],
  ['Asia/Kathmandu', '2023-09-12T00:15:00Z', 6],
  // The clock goes from 2:00 to 3:00, and back from 3:00 to 2:00.
  ['Europe/Berlin', '2024-03-31T00:59:59.999Z', 1],
  ['Europe/Berlin', '2024-03-31T01:00:00Z', 3],
  ['Europe/Berlin', '2024-10-27T00:59:59.999Z', 2],
  ['Europe/Berlin', '2024-10-27T01:00:00Z', 2],
  ['Europe/Berlin', '2024-10-27T02:00:00Z', 3],
  // Transitions a minute past midnight, which no quarter of an hour begins with.
  ['America/St_Johns', '2009-11-01T02:30:59Z', 0],
  ['America/St_Johns', '2009-11-01T02:31:00Z', 23],
  ['America/St_Johns', '2009-03-08T03:31:00Z', 1],
  // An offset with seconds: 44 minutes and 30 seconds behind.
  ['Africa/Monrovia', '1970-06-01T00:44:29Z', 23],
  ['Africa/Monrovia', '1970-06-01T00:44:30Z', 0],
])('in %s the hour of %s is %d', (zone, moment, hour) => {
  const read = createHourReader(zone)
  expect(read(at(moment))).toBe(hour)
  expect(read(at(moment))).toBe(hour)
})

test('the cached hour is what Intl says, in every zone and around every transition', () => {
  const zones = [...Intl.supportedValuesOf('timeZone'), 'UTC']
  const readers = new Map<string, (timeMs: number) => number>()
  const near = fc.integer({ min: -30, max: 30 })
  const moment = fc.oneof(
    fc.integer({ min: 0, max: at('2040-01-01T00:00:00Z') }),
    fc
      .tuple(fc.integer({ min: 0, max: 613_000 }), near)
      .map(([hour, seconds]) => Math.max(0, hour * 3_600_000 + seconds * 1000)),
    fc
      .tuple(fc.constantFrom(at('2009-11-01T02:31:00Z'), at('2024-03-31T01:00:00Z')), near)
      .map(([ms, d]) => ms + d * 20_000),
  )
  fc.assert(
    fc.property(fc.constantFrom(...zones), moment, (zone, timeMs) => {
      const read = readers.get(zone) ?? createHourReader(zone)
      readers.set(zone, read)
      const said = new Date(timeMs).toLocaleString('en-GB', { timeZone: zone, hour: '2-digit', hourCycle: 'h23' })
      expect(read(timeMs)).toBe(Number(said))
    }),
    { seed: SEED, numRuns: 1_000 },
  )
})

test('parts of the day are six hours each', () => {
  const parts = Array.from({ length: 24 }, (_, hour) => dayPartOf(hour)[0]).join('')
  expect(parts).toBe('nnnnnnmmmmmmaaaaaaeeeeee')
})

test('a time zone is one that Intl knows', () => {
  expect(['UTC', 'Europe/Berlin', 'America/St_Johns'].every(isTimeZone)).toBe(true)
  expect(['', 'Mars/Olympus', 'Europe/berlin2'].some(isTimeZone)).toBe(false)
  expect(() => createHourReader('Mars/Olympus')).toThrow(RangeError)
})
