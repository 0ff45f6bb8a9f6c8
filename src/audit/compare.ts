import type { DeviceStats, Result } from '../results/result.ts'
import { DIMENSIONS } from './login.ts'
import type { Recounted } from './tally.ts'

/** One number or text that is not what the log says; undefined where one side has nothing. Nothing in it names a person. */
export type Difference = { readonly field: string; readonly stored: unknown; readonly recounted: unknown }

/** Averages are stored with 3 decimals: so far may one be from what it was before. */
const OF_3_DECIMALS = 0.0005
const OF_WHOLE = 0.5
/** What floating point adds to either. */
const NOISE = 1e-6

const AVERAGES: readonly string[] = [
  'users.logins_per_user.avg',
  'logins_per_user.avg',
  'sessions.avg_seconds',
  'sessions.events_per_session',
]
/** Whole numbers that are scaled up when the users are a sample. */
const SCALED: readonly string[] = ['users.devices', 'sessions.started', 'sessions.active']

/** Holds every number of a result against the recount of its window. */
export function compareResult(result: Result, recounted: Recounted): Difference[] {
  const { complete, ...counts } = recounted
  const vouched = Object.values(result.coverage).every(({ gaps }) => gaps === undefined)
  const names = ['batch_size', ...DIMENSIONS, 'users', 'sessions', 'most_popular', 'least_popular', 'quality'] as const
  const stored = Object.fromEntries(names.map(name => [name, result[name]]))
  return differencesOf({ ...stored, exact: result.exact }, { ...counts, exact: vouched && complete })
}

/** Holds the statistics of users and devices against the recount of their window. */
export function compareDeviceStats(stats: DeviceStats, recounted: Recounted): Difference[] {
  const { users, device_stats, location_stats, day_part_stats, hour_stats } = recounted
  const known = (counts: Readonly<Record<string, number>>) =>
    Object.keys(counts).filter(value => value !== 'unknown' && value !== '(other)').length
  const { v: _, generation: __, window: ___, status: ____, revision: _____, ...stored } = stats
  return differencesOf(stored, {
    logins_per_user: users.logins_per_user,
    users: users.distinct,
    device_types: known(device_stats),
    locations: known(location_stats),
    logins_at_night: day_part_stats.night ?? 0,
    logins_in_the_morning: day_part_stats.morning ?? 0,
    logins_by_hour: hour_stats,
  })
}

/** Field by field, as `device_stats.android`; a count that one side lacks is a difference. */
export function differencesOf(stored: unknown, recounted: unknown, field = ''): Difference[] {
  if (isObject(stored) && isObject(recounted)) {
    const names = [...new Set([...Object.keys(recounted), ...Object.keys(stored)])]
    return names.flatMap(name => {
      const inner = field === '' ? name : `${field}.${name}`
      return differencesOf(own(stored, name), own(recounted, name), inner)
    })
  }
  if (typeof stored === 'number' && typeof recounted === 'number') {
    if (Math.abs(stored - recounted) <= toleranceOf(field, recounted)) return []
  } else if (stored === recounted) return []
  return [{ field, stored, recounted }]
}

function toleranceOf(field: string, recounted: number): number {
  if (AVERAGES.includes(field)) return OF_3_DECIMALS + NOISE
  if (field === 'users.relative_error') return OF_3_DECIMALS + NOISE
  return SCALED.includes(field) && !Number.isInteger(recounted) ? OF_WHOLE + NOISE : 0
}

/** Values may be named like what every object has. */
const own = (object: object, name: string): unknown =>
  Object.hasOwn(object, name) ? (object as Readonly<Record<string, unknown>>)[name] : undefined

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** `device_stats.android is 5, the log has 6`. */
export function differenceText({ field, stored, recounted }: Difference): string {
  const text = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(rounded(value)))
  return `${field} is ${text(stored)}, the log has ${text(recounted)}`
}

const rounded = (value: unknown) => (typeof value === 'number' ? Math.round(value * 1000) / 1000 : value)
