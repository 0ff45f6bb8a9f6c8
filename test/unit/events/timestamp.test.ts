import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTimestamp } from '../../../src/events/timestamp.ts'
import { SEED } from '../support.ts'

const END_OF_TIME = Date.parse('9999-12-31T23:59:59.999Z')

describe('an event time', () => {
  it.each<[unknown, number]>([
    [0, 0],
    ['0', 0],
    ['0.0009', 0],
    [1, 1_000],
    ['000000000000001', 1_000],
    [1.0009, 1_000],
    ['1.9999', 1_999],
    [1_694_477_555, 1_694_477_555_000],
    ['1694477555', 1_694_477_555_000],
    [1_694_477_555.123, 1_694_477_555_123],
    ['1694477555.123', 1_694_477_555_123],
    // The last second of seconds, and the first millisecond of milliseconds.
    [99_999_999_999, 99_999_999_999_000],
    [100_000_000_000, 100_000_000_000],
    [99_999_999_999.999, 99_999_999_999_999],
    [1_694_477_555_123.9, 1_694_477_555_123],
    ['1694477555123', 1_694_477_555_123],
    [END_OF_TIME, END_OF_TIME],
    [END_OF_TIME + 0.5, END_OF_TIME],
    ['1970-01-01', 0],
    ['2023-09-12', Date.UTC(2023, 8, 12)],
    ['2023-09-12T00:12', Date.UTC(2023, 8, 12, 0, 12)],
    ['2023-09-12 00:12', Date.UTC(2023, 8, 12, 0, 12)],
    ['2023-09-12T00:12:35', Date.UTC(2023, 8, 12, 0, 12, 35)],
    ['2023-09-12T00:12:35Z', Date.UTC(2023, 8, 12, 0, 12, 35)],
    ['2023-09-12t00:12:35z', Date.UTC(2023, 8, 12, 0, 12, 35)],
    ['2023-09-12T00:12:35.1', Date.UTC(2023, 8, 12, 0, 12, 35, 100)],
    ['2023-09-12T00:12:35,123Z', Date.UTC(2023, 8, 12, 0, 12, 35, 123)],
    ['2023-09-12T00:12:35.999999999Z', Date.UTC(2023, 8, 12, 0, 12, 35, 999)],
    ['2023-09-12T00:12+02:00', Date.UTC(2023, 8, 11, 22, 12)],
    ['2023-09-12T00:12:35-0530', Date.UTC(2023, 8, 12, 5, 42, 35)],
    ['2023-09-12T00:12:35+23:59', Date.UTC(2023, 8, 11, 0, 13, 35)],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['2000-02-29', Date.UTC(2000, 1, 29)],
    ['9999-12-31T23:59:59.999999999', END_OF_TIME],
    // A zone may carry a date of 1969 into 1970, and one of the year 10000 back.
    ['1969-12-31T23:00:00-01:00', 0],
  ])('%j is %d', (value, timeMs) => {
    expect(parseTimestamp(value)).toBe(timeMs)
  })

  it.each<[unknown]>([
    [-1],
    [-0.001],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [END_OF_TIME + 1],
    [String(END_OF_TIME + 1)],
    ['9'.repeat(400)],
    [true],
    [[]],
    [[1]],
    [{}],
    [null],
    [undefined],
    [''],
    [' '],
    [' 1'],
    ['1 '],
    ['1\n'],
    ['+1'],
    ['-1'],
    ['1.'],
    ['.5'],
    ['1e9'],
    ['0x10'],
    ['1_000'],
    ['1,5'],
    ['١٢٣'],
    ['2023-09'],
    ['2023-9-12'],
    ['2023-00-12'],
    ['2023-13-01'],
    ['2023-09-00'],
    ['2023-09-31'],
    ['2023-02-29'],
    ['1900-02-29'],
    ['2100-02-29'],
    ['2023-09-12T'],
    ['2023-09-12T00'],
    ['2023-09-12  00:12'],
    ['2023-09-12T24:00'],
    ['2023-09-12T00:60'],
    ['2023-09-12T00:12:60'],
    ['2023-09-12T00:12:35.'],
    ['2023-09-12T00:12:35.1234567890'],
    ['2023-09-12T00:12.5'],
    ['2023-09-12Z'],
    ['2023-09-12+02:00'],
    ['2023-09-12T00:12+02'],
    ['2023-09-12T00:12+24:00'],
    ['2023-09-12T00:12+02:60'],
    ['2023-09-12T00:12 Z'],
    ['2023-09-12T00:12Z\n'],
    ['+002023-09-12'],
    ['1969-12-31T23:59:59.999'],
    ['1970-01-01T00:00+00:01'],
    ['0070-01-01'],
    ['9999-12-31T23:59:59-00:01'],
    ['2023-09-12T00:12:35 GMT'],
    ['Tue, 12 Sep 2023 00:12:35 GMT'],
  ])('%j is none', value => {
    expect(parseTimestamp(value)).toBe(-1)
  })
})

it('below zero there is no zero of its own', () => {
  expect(Object.is(parseTimestamp(-0), 0)).toBe(true)
})

it('every whole millisecond of ISO 8601 comes back, in every zone', () => {
  const moments = fc.date({ min: new Date(86_400_000), max: new Date(END_OF_TIME - 86_400_000), noInvalidDate: true })
  fc.assert(
    fc.property(moments, fc.integer({ min: -1_439, max: 1_439 }), (moment, minutesAhead) => {
      const local = new Date(moment.getTime() + minutesAhead * 60_000).toISOString().slice(0, -1)
      const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
      const ahead = Math.abs(minutesAhead)
      const zone = `${minutesAhead < 0 ? '-' : '+'}${two(ahead / 60)}:${two(ahead % 60)}`
      expect(parseTimestamp(local + zone)).toBe(moment.getTime())
      expect(parseTimestamp(local + zone.replace(':', ''))).toBe(moment.getTime())
      expect(parseTimestamp(moment.toISOString())).toBe(moment.getTime())
    }),
    { seed: SEED },
  )
})

it('whatever it is given, it answers with a moment from 1970 to 9999 or with -1', () => {
  const values = fc.oneof(fc.anything(), fc.string(), fc.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?Z?$/))
  fc.assert(
    fc.property(values, value => {
      const timeMs = parseTimestamp(value)
      expect(Number.isSafeInteger(timeMs) && timeMs >= -1 && timeMs <= END_OF_TIME).toBe(true)
    }),
    { seed: SEED, numRuns: 500 },
  )
})
