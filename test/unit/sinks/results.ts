import type { Counts, Result, ResultStatus } from '../../../src/results/result.ts'
import { windowSizeText } from '../../../src/windows/windows.ts'

/** 2023-09-12T00:00:00Z. */
export const DAY_MS = Date.UTC(2023, 8, 12)

export type ResultOver = {
  readonly sizeMs?: number
  readonly startMs?: number
  readonly generation?: number
  readonly revision?: number
  readonly status?: ResultStatus
  readonly devices?: Counts
  readonly locales?: Counts
  readonly versions?: Counts
  readonly missing?: Counts
  readonly users?: number
}

/** A result as the reducer writes it; its counts add up to those of its devices. */
export function resultOf(over: ResultOver = {}): Result {
  const { sizeMs = 10_000, startMs = DAY_MS, generation = 1, revision = 1, status = 'provisional' } = over
  const devices = over.devices ?? { android: 2, ios: 1 }
  const count = Object.values(devices).reduce((sum, each) => sum + each, 0)
  const versions = over.versions ?? { '2.3.0': count }
  const [start, end] = [new Date(startMs).toISOString(), new Date(startMs + sizeMs).toISOString()]
  return {
    v: 1,
    generation,
    window: { size: windowSizeText(sizeMs), start, end },
    status,
    revision,
    exact: true,
    current_time: new Date(startMs + sizeMs + 1_000).toISOString(),
    time_window: `${start}/${end}`,
    batch_size: count,
    device_stats: devices,
    location_stats: over.locales ?? { NY: count },
    app_version_stats: versions,
    version_category_stats: { '2.3': count },
    country_stats: { US: count },
    region_stats: { unknown: count },
    hour_stats: { '0': count },
    day_part_stats: { night: count },
    users: {
      distinct: over.users ?? count,
      exact: true,
      relative_error: 0,
      devices: count,
      logins_per_user: { min: 1, avg: 1.5, max: 3 },
    },
    sessions: { started: count, active: 1, avg_seconds: 61.5, events_per_session: 1.25 },
    most_popular: { device_type: 'android', locale: 'NY', app_version: '2.3.0' },
    least_popular: { device_type: 'ios', locale: 'NY', app_version: null },
    quality: { missing: over.missing ?? {}, invalid: {} },
    stream_totals: { accepted: 10, late: 0, rejected: {} },
    coverage: { '0': { from: 0, clock_at_from: start, through: 10 } },
  }
}

export function keyOf({ window }: Result): string {
  return `${window.size}/${window.start}`
}

/** Rows for ResultDatabase.write. */
export function rowsOf(...results: readonly Result[]): { key: string; json: string }[] {
  return results.map(result => ({ key: keyOf(result), json: JSON.stringify(result) }))
}
