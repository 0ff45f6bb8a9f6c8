import { describe, expect, it } from 'vitest'
import { partial, progress, Reducing, reduceSettings } from './reduceSupport.ts'

const count = (w: number, p = 0) => partial(w, p, [0, 4], [1, 2])

describe('a result', () => {
  it('is provisional, then final once, then corrected by each partial that reaches it', () => {
    const reducing = new Reducing().read([count(3)])
    expect(reducing.tell()).toEqual(['3 provisional 2 4'])
    reducing.read([progress(0, 1, 4_999, { through: 4 })])
    expect(reducing.tell()).toEqual([])
    reducing.read([progress(0, 1, 5_000, { through: 5 })])
    expect(reducing.tell()).toEqual(['3 final 2 4'])
    expect(reducing.capture()).toBeNull()
    reducing.read([partial(3, 0, [0, 7], [1, 2, 6])])
    expect(reducing.tell()).toEqual(['3 corrected 3 7'])
    reducing.read([partial(3, 0, [8, 10], [9])])
    expect(reducing.tell()).toEqual(['3 corrected 4 9'])
  })

  it('may be final at its first word', () => {
    const reducing = new Reducing().read([count(3), progress(0, 1, 5_000)])
    expect(reducing.tell()).toEqual(['3 final 2 4'])
  })

  it('holds what all sources counted, under the key of its window', () => {
    const reducing = new Reducing().read([
      partial(3, 0, [0, 4], [1, 2], { clockAtFrom: 500 }),
      partial(3, 1, [8, 9], [8]),
      progress(0, 2, 3_100, { through: 6, totals: { accepted: 5, late: 1, rejected: { not_json: 2, too_large: 1 } } }),
      progress(1, 2, 3_200, { through: 9, totals: { accepted: 1, late: 0, rejected: { not_json: 1 } } }),
    ])
    const told = reducing.capture(9_000)!
    expect(told.records).toMatchObject([{ topic: 'results', partition: null, key: '1s/1970-01-01T00:00:03.000Z' }])
    expect(told.results).toEqual([
      {
        v: 1,
        generation: 1,
        window: { size: '1s', start: '1970-01-01T00:00:03.000Z', end: '1970-01-01T00:00:04.000Z' },
        status: 'provisional',
        revision: 5,
        exact: true,
        current_time: '1970-01-01T00:00:09.000Z',
        time_window: '1970-01-01T00:00:03.000Z/1970-01-01T00:00:04.000Z',
        batch_size: 3,
        device_stats: { ios: 2, web: 1 },
        location_stats: { NY: 3 },
        app_version_stats: { 1: 3 },
        version_category_stats: { 1: 3 },
        country_stats: { US: 3 },
        region_stats: { unknown: 3 },
        hour_stats: { 0: 3 },
        day_part_stats: { night: 3 },
        users: {
          distinct: 1,
          exact: true,
          relative_error: 0,
          devices: 1,
          logins_per_user: { min: 3, avg: 3, max: 3 },
        },
        sessions: { started: 1, active: 1, avg_seconds: 0, events_per_session: 3 },
        most_popular: { device_type: 'ios', locale: 'NY', app_version: '1' },
        least_popular: { device_type: 'web', locale: 'NY', app_version: '1' },
        quality: { missing: {}, invalid: {} },
        stream_totals: { accepted: 6, late: 1, rejected: { not_json: 3, too_large: 1 } },
        coverage: {
          0: { from: 0, clock_at_from: '1970-01-01T00:00:00.500Z', through: 6 },
          1: { from: 8, clock_at_from: '1970-01-01T00:00:00.000Z', through: 9 },
        },
      },
    ])
  })

  it('names the fields whose quality was counted', () => {
    const counted = { ...count(3).aggregate, m: [0, 0, 0, 0, 2], i: [1, 0, 0, 0, 0] }
    const { quality } = new Reducing().read([{ ...count(3), aggregate: counted }]).capture()!.results[0]!
    expect(quality).toEqual({ missing: { ip: 2 }, invalid: { device_type: 1 } })
  })

  it('lists windows of equal count that grew elsewhere under another revision', () => {
    const reducing = new Reducing().read([count(3)])
    reducing.capture()
    reducing.read([partial(3, 0, [0, 9], [1, 2])])
    expect(reducing.tell()).toEqual(['3 provisional 2 9'])
  })

  it('covers a source that told nothing of the window', () => {
    const reducing = new Reducing().read([count(3), progress(1, 2, 700, { through: 30 })])
    const silent = { from: 30, clock_at_from: '1970-01-01T00:00:00.700Z', through: 30 }
    expect(reducing.capture()!.results[0]!.coverage[1]).toEqual(silent)
  })
})

describe('a result is not exact', () => {
  it('when a source may have lost events of it, and of those windows only', () => {
    const gaps = [{ p: 0, from: 10, to: 20, clockBefore: 4_500, untilMs: 4_999 }]
    const reducing = new Reducing().read([count(2), count(3), count(4), count(5), progress(0, 1, 0, { gaps })])
    const told = reducing.capture()!.results.map(result => [result.exact, result.coverage[0]!.gaps])
    // Window 2 was closed at 4,000, before the gap; window 5 begins after the last moment that was lost.
    expect(told).toEqual([
      [true, undefined],
      [false, [[10, 20]]],
      [false, [[10, 20]]],
      [true, undefined],
    ])
  })

  it('when the gap becomes known after it was told: it is told again, once', () => {
    const reducing = new Reducing().read([count(3), progress(0, 1, 5_000)])
    expect(reducing.capture()!.results).toMatchObject([{ status: 'final', exact: true }])
    const gaps = [{ p: 0, from: 10, to: 20, clockBefore: 4_000, untilMs: 9_000 }]
    reducing.read([progress(0, 1, 5_000, { through: 20, gaps })])
    expect(reducing.capture()!.results).toMatchObject([{ status: 'corrected', exact: false }])
    reducing.read([progress(0, 1, 5_000, { through: 21, gaps })])
    expect(reducing.tell()).toEqual([])
  })

  it('when the gap is told by an owner that stands behind what was told before it', () => {
    const gaps = [{ p: 0, from: 0, to: 2, clockBefore: 0, untilMs: 9_000 }]
    const reducing = new Reducing().read([count(3), progress(0, 1, 5_000, { through: 15 })])
    expect(reducing.capture()!.results).toMatchObject([{ exact: true }])
    reducing.read([progress(0, 1, 0, { through: 2, gaps })])
    expect(reducing.capture()!.results).toMatchObject([
      { exact: false, coverage: { 0: { through: 15, gaps: [[0, 2]] } } },
    ])
  })

  it('when an owner that knows nothing of a gap has spoken since, and the reducer begins anew', () => {
    const gaps = [{ p: 0, from: 0, to: 2, clockBefore: 0, untilMs: 9_000 }]
    const reducing = new Reducing().read([
      progress(0, 1, 900, { through: 15 }),
      progress(0, 1, 0, { through: 2, gaps }),
      progress(0, 1, 950, { through: 16 }),
    ])
    reducing.capture()
    reducing.restore()
    reducing.read([partial(3, 0, [8, 17], [16])])
    expect(reducing.capture()!.results).toMatchObject([{ exact: false, coverage: { 0: { gaps: [[0, 2]] } } }])
  })

  it('when a range was perhaps counted twice', () => {
    const twice = new Reducing().read([partial(3, 0, [0, 10], [1]), partial(3, 0, [5, 12], [6])])
    expect(twice.capture()!.results).toMatchObject([{ exact: false, coverage: { 0: { gaps: [[5, 10]] } } }])
  })

  it('when a dimension was cut, and then counts what it cut under another name', () => {
    const limits = { ...reduceSettings.limits, dimensionValues: 1 }
    const cut = new Reducing({ limits }).read([count(3)]).capture()!.results[0]!
    expect([cut.exact, cut.batch_size, cut.device_stats['(other)']]).toEqual([false, 2, 1])
  })
})
