import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeResult, isResult, resultKey } from '../../../src/results/decode.ts'
import { bytesOf, SEED } from '../support.ts'
import { partial, progress, Reducing } from '../tasks/reduceSupport.ts'
import { aResult, bytesOfResult, T0 } from './factory.ts'

type Json = Record<string, unknown>

/** Where every value of a JSON tree stands, the inner ones too. */
function placesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, each]) => placesOf(each, [...path, name]))]
}

/** A copy with the value at the path replaced, or taken away when `change` gives undefined. */
function changed(value: unknown, path: readonly string[], change: (old: unknown) => unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return change(value)
  const copy = structuredClone(value) as Json
  const next = changed(copy[name], rest, change)
  if (next === undefined) delete copy[name]
  else copy[name] = next
  return copy
}

const PLACES = placesOf(aResult()).filter(path => path.length > 0)
/** Whether the place may be empty: names of counted values, codes and partitions may be any, and gaps be none. */
function isOpen(path: readonly string[]): boolean {
  const [first = '', second] = path
  if (path.length === 2) return first.endsWith('_stats') || first === 'coverage'
  return (path.length === 3 && (first === 'quality' || second === 'rejected')) || path.includes('gaps')
}

describe('a result is read back as it was written', () => {
  it.each(['10s', '1m', '1h', '1d'])('of %s', size => {
    const result = aResult(size, T0)
    expect(decodeResult(bytesOfResult(result))).toEqual(result)
    expect(resultKey(result)).toBe(`${size}/2023-09-12T00:00:00.000Z`)
  })

  it('by the reducer, under its key', () => {
    const reducing = new Reducing().read([partial(3, 0, [0, 4], [1, 2]), progress(0, 1, 5_000, { through: 6 })])
    const [record] = reducing.capture(9_000)?.records ?? []
    const result = decodeResult(bytesOf(record?.value ?? null) as Uint8Array)
    expect(result).toMatchObject({ status: 'final', batch_size: 2 })
    expect(result && resultKey(result)).toBe(record?.key)
  })

  it('with no events, nobody and nothing popular', () => {
    const nobody = {
      distinct: 0,
      exact: true,
      relative_error: 0,
      devices: 0,
      logins_per_user: { min: 0, avg: 0, max: 0 },
    }
    const popular = { device_type: null, locale: null, app_version: null }
    const empty = aResult('1m', T0, {
      ...{ batch_size: 0, users: nobody, most_popular: popular, least_popular: popular },
      ...{ device_stats: {}, hour_stats: {}, coverage: {} },
    })
    expect(decodeResult(bytesOfResult(empty))).toEqual(empty)
  })

  it('of the last window that there is, whose end has a year of six digits', () => {
    const last = aResult('1d', Date.parse('9999-12-31T00:00:00.000Z'))
    expect(last.window.end).toBe('+010000-01-01T00:00:00.000Z')
    expect(decodeResult(bytesOfResult(last))).toEqual(last)
  })

  it('with values named like what every object has', () => {
    const text = JSON.stringify(aResult()).replace('"2.3.0":7', '"__proto__":5,"constructor":2')
    const result = decodeResult(new TextEncoder().encode(text))
    expect(Object.entries(result?.app_version_stats ?? {})).toEqual([
      ['__proto__', 5],
      ['constructor', 2],
      ['2.4.1', 3],
    ])
  })
})

describe('what is no result is null', () => {
  it.each(['', 'null', '1', '[]', '"x"', '{}', '{"v":1}', '{"v":2}', 'not json', '\ufeff{}'])('%j', text => {
    expect(decodeResult(new TextEncoder().encode(text))).toBeNull()
  })

  it('bytes that are not UTF-8', () => {
    const bytes = bytesOfResult(aResult())
    bytes[bytes.indexOf('android'.charCodeAt(0))] = 0xff
    expect(decodeResult(bytes)).toBeNull()
  })

  it.each<[string, Json]>([
    ['another version', { v: 2 }],
    ['a generation of 0', { generation: 0 }],
    ['an unknown status', { status: 'closed' }],
    ['a revision below 0', { revision: -1 }],
    ['half a revision', { revision: 1.5 }],
    ['a count past what is safe', { batch_size: 2 ** 53 }],
    ['a count of 0', { device_stats: { android: 0 } }],
    ['a list of counts', { device_stats: [] }],
    ['an hour of 24', { hour_stats: { '24': 1 } }],
    ['a part of the day that is none', { day_part_stats: { noon: 1 } }],
    ['half a surrogate pair', { location_stats: { '\ud800': 1 } }],
    ['an endless name', { location_stats: { ['x'.repeat(2_000)]: 1 } }],
    ['a time of another form', { current_time: '2023-09-12T00:30:00Z' }],
    ['a day that is none', { current_time: '2023-02-30T00:30:00.000Z' }],
    ['a span that is not the window', { time_window: 'x/y' }],
    [
      'a partition that is none',
      { coverage: { a: { from: 0, through: 1, clock_at_from: '1970-01-01T00:00:00.000Z' } } },
    ],
    ['a range backwards', { coverage: { '0': { from: 2, through: 1, clock_at_from: '1970-01-01T00:00:00.000Z' } } }],
  ])('%s', (_what, over) => {
    expect(isResult({ ...aResult(), ...over })).toBe(false)
  })

  it.each<[string, Json]>([
    ['a size that is not its length', { size: '1m' }],
    ['a size in other words', { size: '10000ms' }],
    ['no length', { end: '2023-09-12T00:00:00.000Z' }],
    ['a start before 1970', { start: '1969-12-31T23:59:50.000Z', end: '1970-01-01T00:00:00.000Z' }],
  ])('a window of %s', (_what, over) => {
    const window = { ...aResult().window, ...over }
    expect(isResult({ ...aResult(), window, time_window: `${window.start}/${window.end}` })).toBe(false)
  })
})

describe('a damaged record is never taken for another result', () => {
  it('without any one of its fields', () => {
    for (const path of PLACES) {
      if (!isOpen(path)) expect([path, isResult(changed(aResult(), path, () => undefined))]).toEqual([path, false])
    }
  })

  it('with any value replaced by one of another type', () => {
    const strange = fc.oneof(
      fc.constant(null),
      fc.constant({ a: {} }),
      fc.constant([[]]),
      fc.constant(-1),
      fc.constant('?'),
    )
    fc.assert(
      fc.property(fc.constantFrom(...PLACES), strange, (path, value) => {
        const old = path.reduce<unknown>((at, name) => (at as Json)[name], aResult())
        // A name is a text, whichever.
        fc.pre(!(path[0]?.endsWith('_popular') && path.length === 2 && (value === null || value === '?')))
        fc.pre(JSON.stringify(old) !== JSON.stringify(value))
        expect(isResult(changed(aResult(), path, () => value))).toBe(false)
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })

  it('cut off anywhere', () => {
    const bytes = bytesOfResult(aResult())
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), length => {
        expect(decodeResult(bytes.subarray(0, length))).toBeNull()
      }),
      { seed: SEED },
    )
  })

  it('with any bytes changed: null, or what is a whole result again', () => {
    const bytes = bytesOfResult(aResult())
    const change = fc.tuple(fc.integer({ min: 0, max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 }))
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), changes => {
        const damaged = Uint8Array.from(bytes)
        for (const [at, byte] of changes) damaged[at] = byte
        const found = decodeResult(damaged)
        if (found === null) return
        expect(isResult(JSON.parse(JSON.stringify(found)))).toBe(true)
        expect(Date.parse(found.window.end)).toBeGreaterThan(Date.parse(found.window.start))
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })
})
