import type { Result } from '../../../src/results/result.ts'

const HOUR_MS = 3_600_000
const SIZES: Readonly<Record<string, number>> = { '10s': 10_000, '1m': 60_000, '1h': HOUR_MS, '1d': 24 * HOUR_MS }

/** The start of the windows that tests make unless they name another; midnight of a day. */
export const T0 = Date.parse('2023-09-12T00:00:00.000Z')

/** A whole result, of 10 logins by 4 users, in which all numbers go together; `over` replaces fields. */
export function aResult(size = '10s', startMs = T0, over: Partial<Result> = {}): Result {
  const start = new Date(startMs).toISOString()
  const end = new Date(startMs + (SIZES[size] as number)).toISOString()
  return {
    v: 1,
    generation: 1,
    window: { size, start, end },
    status: 'final',
    revision: 10,
    exact: true,
    current_time: '2023-09-12T00:30:00.000Z',
    time_window: `${start}/${end}`,
    batch_size: 10,
    device_stats: { android: 6, ios: 3, unknown: 1 },
    location_stats: { NY: 5, RU: 3, WY: 2 },
    app_version_stats: { '2.3.0': 7, '2.4.1': 3 },
    version_category_stats: { '2.3': 7, '2.4': 3 },
    country_stats: { US: 8, unknown: 2 },
    region_stats: { unknown: 10 },
    hour_stats: { '0': 10 },
    day_part_stats: { night: 10 },
    users: {
      distinct: 4,
      exact: true,
      relative_error: 0,
      devices: 5,
      logins_per_user: { min: 1, avg: 2.5, max: 4 },
    },
    sessions: { started: 4, active: 1, avg_seconds: 12.5, events_per_session: 2.5 },
    most_popular: { device_type: 'android', locale: 'NY', app_version: '2.3.0' },
    least_popular: { device_type: 'ios', locale: 'WY', app_version: '2.4.1' },
    quality: { missing: { device_type: 1 }, invalid: { ip: 2 } },
    stream_totals: { accepted: 90, late: 4, rejected: { not_json: 6 } },
    coverage: {
      '0': { from: 0, clock_at_from: '1970-01-01T00:00:00.000Z', through: 7 },
      '1': { from: 0, clock_at_from: '1970-01-01T00:00:00.000Z', through: 9, gaps: [[2, 3]] },
    },
    ...over,
  }
}

export function bytesOfResult(result: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(result))
}
