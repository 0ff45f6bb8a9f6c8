import type { UserSample } from './userSample.ts'

/** What a sample tells of users and sessions, by the names of the results. */
export type UserSummary = {
  readonly users: {
    readonly distinct: number
    readonly exact: boolean
    /** Standard error of `distinct` as a share of it; 0 when it is exact. */
    readonly relative_error: number
    /** Pairs of a user and a known device. */
    readonly devices: number
    readonly logins_per_user: { readonly min: number; readonly avg: number; readonly max: number }
  }
  readonly sessions: {
    readonly started: number
    /** Those whose last login lies less than the gap before the end. */
    readonly active: number
    readonly avg_seconds: number
    readonly events_per_session: number
  }
}

/** Hashes are whole numbers below this. */
const HASH_RANGE = 2 ** 53

/**
 * Exact up to the sample's limit. Beyond, counts of users are estimated from how densely the k users kept lie: their greatest
 * hash, as a share of all hashes, is that of k among `distinct` random ones. Other counts are scaled by the same; means,
 * the minimum and the maximum are those of the users kept.
 * @param endMs end of the window, epoch milliseconds
 */
export function summarize(sample: UserSample, endMs: number): UserSummary {
  let kept = 0
  let greatest = 0
  let logins = 0
  let min = Number.POSITIVE_INFINITY
  let max = 0
  let devices = 0
  let moreDevices = false
  let sessions = 0
  let active = 0
  let lengthMs = 0
  for (const user of sample.users()) {
    kept++
    greatest = Math.max(greatest, user.hash)
    logins += user.logins
    min = Math.min(min, user.logins)
    max = Math.max(max, user.logins)
    devices += user.deviceCount
    moreDevices ||= user.moreDevices
    sessions += user.intervalCount
    for (let i = 0; i < 2 * user.intervalCount; i += 2) {
      const last = user.intervals[i + 1] as number
      lengthMs += last - (user.intervals[i] as number)
      if (last > endMs - sample.gapMs) active++
    }
  }
  if (kept === 0) return NOBODY
  const sampled = sample.overflow
  const distinct = sampled ? Math.round((kept - 1) / (greatest / HASH_RANGE)) : kept
  const ofAll = (count: number) => (sampled ? Math.round((count * distinct) / kept) : count)
  return {
    users: {
      distinct,
      exact: !sampled && !moreDevices,
      relative_error: sampled ? relativeError(kept) : 0,
      devices: ofAll(devices),
      logins_per_user: { min, avg: rounded(logins / kept), max },
    },
    sessions: {
      started: ofAll(sessions),
      active: ofAll(active),
      // Milliseconds are the third decimal.
      avg_seconds: Math.round(lengthMs / sessions) / 1000,
      events_per_session: rounded(logins / sessions),
    },
  }
}

const NOBODY: UserSummary = {
  users: { distinct: 0, exact: true, relative_error: 0, devices: 0, logins_per_user: { min: 0, avg: 0, max: 0 } },
  sessions: { started: 0, active: 0, avg_seconds: 0, events_per_session: 0 },
}

/** Of an estimate from the k smallest of many random numbers; samples of two and fewer tell nothing. */
function relativeError(kept: number): number {
  return kept > 2 ? 1 / Math.sqrt(kept - 2) : 1
}

/** To three decimals. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
