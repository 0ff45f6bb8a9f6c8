import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { historyOf, leastCounted, mostCounted, type Tiles, tilesOfHistory } from '../../../src/results/history.ts'
import type { ResultStatus } from '../../../src/results/result.ts'
import { SEED } from '../support.ts'
import { aResult, T0 } from './factory.ts'

const DAY_MS = 86_400_000

describe('results added up', () => {
  it('are nothing when there is none', () => {
    const none = historyOf([])
    expect(none).toMatchObject({ from: null, to: null, windows: {}, logins: 0, exact: true, device_stats: {} })
    expect(none.sessions).toEqual({ started: 0, avg_seconds: 0, events_per_session: 0 })
    expect(none.most_popular).toEqual({ device_type: null, locale: null, app_version: null })
  })

  it('give sums by dimension, the whole time, bounds of users and means of sessions', () => {
    const first = aResult('1d', T0)
    const second = aResult('1h', T0 + DAY_MS, {
      batch_size: 5,
      status: 'provisional',
      exact: false,
      device_stats: { ios: 4, web: 1 },
      quality: { missing: { device_type: 2 }, invalid: {} },
      users: { ...first.users, distinct: 3 },
      sessions: { started: 1, active: 1, avg_seconds: 20, events_per_session: 5 },
    })
    expect(historyOf([second, first])).toMatchObject({
      from: '2023-09-12T00:00:00.000Z',
      to: '2023-09-13T01:00:00.000Z',
      windows: { '1d': 1, '1h': 1 },
      provisional: 1,
      exact: false,
      logins: 15,
      device_stats: { android: 6, ios: 7, unknown: 1, web: 1 },
      location_stats: { NY: 10, RU: 6, WY: 4 },
      quality: { missing: { device_type: 3 }, invalid: { ip: 2 } },
      users: { at_least: 4, at_most: 7 },
      sessions: { started: 5, avg_seconds: 14, events_per_session: 3 },
      most_popular: { device_type: 'ios', locale: 'NY', app_version: '2.3.0' },
      least_popular: { device_type: 'web', locale: 'WY', app_version: '2.4.1' },
    })
  })

  it('tell the totals of the result that was written last, whichever window it is of', () => {
    const totals = { accepted: 1, late: 2, rejected: {} }
    const later = aResult('10s', T0, { current_time: '2023-09-13T00:00:00.000Z', stream_totals: totals })
    expect(historyOf([later, aResult('10s', T0 + 10_000)]).stream_totals).toEqual(totals)
  })

  it('keep values named like what every object has', () => {
    const named = JSON.parse('{"__proto__":3,"constructor":4}')
    const sum = historyOf([
      aResult('10s', T0, { device_stats: named }),
      aResult('10s', T0 + 1, { device_stats: named }),
    ])
    expect(Object.entries(sum.device_stats)).toEqual([
      ['__proto__', 6],
      ['constructor', 8],
    ])
  })
})

describe('most and least counted', () => {
  it.each([
    [{ b: 2, a: 2, c: 1, d: 1 }, 'a', 'c'],
    [{ unknown: 9, '(other)': 8, x: 1 }, 'x', 'x'],
    [{ unknown: 9 }, null, null],
    [{}, null, null],
  ])('of %j: %j and %j', (counts, most, least) => {
    expect([mostCounted(counts), leastCounted(counts)]).toEqual([most, least])
  })
})

/** A size of `sizeMs`; windows as [start in sizes, count, status]. */
function tiles(sizeMs: number, windows: readonly (readonly [number, number, ResultStatus?])[]): Tiles {
  return {
    sizeMs,
    windows: new Map(windows.map(([i, count, status = 'provisional']) => [i * sizeMs, { count, status }])),
  }
}

const chosen = (sizes: readonly Tiles[]) => tilesOfHistory(sizes).map(({ sizeMs, startMs }) => `${sizeMs}@${startMs}`)

describe('the windows of history', () => {
  it('are the longest, where they are settled', () => {
    const short = tiles(1, [
      [0, 1],
      [1, 1],
      [10, 1],
    ])
    expect(
      chosen([
        short,
        tiles(10, [
          [0, 2, 'final'],
          [1, 1, 'corrected'],
        ]),
      ]),
    ).toEqual(['10@0', '10@10'])
  })

  it('are shorter ones where a longer one is behind them or is not there', () => {
    const shorts = tiles(1, [
      [10, 3],
      [11, 1],
      [20, 5],
    ])
    const middle = tiles(10, [
      [0, 4, 'final'],
      [1, 3],
    ])
    expect(chosen([shorts, middle, tiles(100, [[0, 4]])])).toEqual(['10@0', '1@10', '1@11', '1@20'])
  })

  it('are longer ones where shorter ones are gone', () => {
    expect(chosen([tiles(1, [[12, 1]]), tiles(10, [[1, 7]])])).toEqual(['10@10'])
  })

  it('are none of none', () => {
    expect([chosen([]), chosen([tiles(1, []), tiles(10, [])])]).toEqual([[], []])
  })

  it('add no event twice, and miss none that a settled window or the shortest one counts', () => {
    const events = fc.array(fc.integer({ min: 0, max: 399 }), { maxLength: 60 })
    const lag = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 2, maxLength: 2 })
    fc.assert(
      fc.property(events, lag, fc.integer({ min: 0, max: 400 }), (times, lags, settledBefore) => {
        // A longer window that is provisional knows only the first events, as many as its lag leaves.
        const known = [times, times.slice(lags[0]), times.slice(lags[1])]
        const sizes = [1, 10, 100].map((sizeMs, level) => {
          const windows = new Map<number, { count: number; status: ResultStatus }>()
          for (const time of times) {
            const startMs = Math.floor(time / sizeMs) * sizeMs
            const isSettled = startMs + sizeMs <= settledBefore
            const counted = (isSettled ? times : (known[level] ?? [])).filter(
              t => Math.floor(t / sizeMs) * sizeMs === startMs,
            )
            if (counted.length > 0)
              windows.set(startMs, { count: counted.length, status: isSettled ? 'final' : 'provisional' })
          }
          return { sizeMs, windows }
        })
        const cover = tilesOfHistory(sizes)
        const total = cover.reduce((sum, tile) => {
          const size = sizes.find(({ sizeMs }) => sizeMs === tile.sizeMs)
          return sum + (size?.windows.get(tile.startMs)?.count ?? 0)
        }, 0)
        expect(total).toBe(times.length)
        for (const [i, tile] of cover.entries()) {
          expect(tile.startMs).toBeGreaterThanOrEqual(
            i === 0 ? 0 : (cover[i - 1]?.startMs ?? 0) + (cover[i - 1]?.sizeMs ?? 0),
          )
        }
      }),
      { seed: SEED, numRuns: 300 },
    )
  })
})
