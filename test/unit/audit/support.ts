import type { RecountRecord } from '../../../src/audit/event.ts'
import type { PlaceLookup } from '../../../src/audit/login.ts'
import type { Recounted } from '../../../src/audit/tally.ts'
import type { AuditRules } from '../../../src/audit/windowsRecount.ts'
import type { ReadAllOptions, ReadMessage } from '../../../src/kafka/readAll.ts'
import type { DeviceStats, Result } from '../../../src/results/result.ts'

/** A round moment: a day, an hour and a minute begin. */
export const START = Date.parse('2026-01-31T00:00:00.000Z')

export const RULES: AuditRules = {
  windowSizeMs: 10_000,
  allowedLatenessMs: 30_000,
  maxFutureSkewMs: 300_000,
  maxEventBytes: 1_000,
  validationRequired: ['user_id', 'timestamp'],
  enriched: { timeZone: 'UTC' },
  sessionGapMs: 60_000,
  userSampleSize: 16,
  maxDimensionValues: 100,
}

export const placeOf: PlaceLookup = ip =>
  ip.startsWith('1.') ? { country: 'NZ', region: 'NZ-AUK' } : { country: 'unknown', region: 'unknown' }

/** A login record `seconds` after START, written at that time. */
export function login(
  partition: number,
  offset: number,
  seconds: number,
  fields: object = {},
  writtenAt = seconds,
): RecountRecord {
  const value = Buffer.from(JSON.stringify({ user_id: 'u', timestamp: START + seconds * 1000, ...fields }))
  return { partition, offset, timestamp: START + writtenAt * 1000, value }
}

export type StoredOptions = {
  readonly start?: number
  readonly seconds?: number
  readonly size?: string
  readonly status?: Result['status']
  readonly revision?: number
  readonly exact?: boolean
  readonly coverage?: Readonly<Record<string, readonly [from: number, clockSeconds: number | null, through: number]>>
}

/** A result that says what was recounted, as a reducer would write it: rounded. */
export function storedResult(recounted: Recounted, options: StoredOptions = {}): Result {
  const { start = 0, seconds = 10, size = '10s', status = 'final', revision = 1, exact = true } = options
  const iso = (at: number) => new Date(START + at * 1000).toISOString()
  const window = { size, start: iso(start), end: iso(start + seconds) }
  const { complete: _, ...counts } = recounted
  const { users, sessions } = counts
  const three = (value: number) => Math.round(value * 1000) / 1000
  const perUser = users.logins_per_user
  return {
    v: 1,
    generation: 1,
    window,
    status,
    revision,
    exact,
    current_time: iso(start),
    time_window: `${window.start}/${window.end}`,
    ...counts,
    users: {
      ...users,
      devices: Math.round(users.devices),
      logins_per_user: { ...perUser, avg: three(perUser.avg) },
    },
    sessions: {
      started: Math.round(sessions.started),
      active: Math.round(sessions.active),
      avg_seconds: three(sessions.avg_seconds),
      events_per_session: three(sessions.events_per_session),
    },
    stream_totals: { accepted: 0, late: 0, rejected: {} },
    coverage: Object.fromEntries(
      Object.entries(options.coverage ?? {}).map(([p, [from, clock, through]]) => [
        p,
        { from, clock_at_from: clock === null ? new Date(0).toISOString() : iso(clock), through },
      ]),
    ),
  }
}

export function storedDeviceStats(result: Result): DeviceStats {
  const { v, generation, window, status, revision, users, device_stats, location_stats } = result
  const known = (counts: object) => Object.keys(counts).filter(value => value !== 'unknown').length
  return {
    v,
    generation,
    window,
    status,
    revision,
    logins_per_user: users.logins_per_user,
    users: users.distinct,
    device_types: known(device_stats),
    locations: known(location_stats),
    logins_at_night: result.day_part_stats.night ?? 0,
    logins_in_the_morning: result.day_part_stats.morning ?? 0,
    logins_by_hour: result.hour_stats,
  }
}

/** A source topic in memory. `reads` tells how often each record was handed out, as `<partition>/<offset>`. */
export function memoryLog(records: readonly RecountRecord[]) {
  const reads = new Map<string, number>()
  return {
    reads,
    async readAll({ fromOffsets, toOffsets, onMessage }: ReadAllOptions): Promise<void> {
      for (const record of records) {
        const { partition, offset } = record
        if (toOffsets !== undefined && offset >= (toOffsets.get(partition) ?? 0)) continue
        if (offset < (fromOffsets?.get(partition) ?? 0)) continue
        const id = `${partition}/${offset}`
        reads.set(id, (reads.get(id) ?? 0) + 1)
        await onMessage({ ...record, key: null, headers: [] } as unknown as ReadMessage)
      }
    },
  }
}
