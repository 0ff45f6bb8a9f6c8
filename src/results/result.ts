/** provisional < final < corrected. */
export type ResultStatus = 'provisional' | 'final' | 'corrected'

export type Counts = Readonly<Record<string, number>>

/** Cumulative since the generation began: accepted + late + the sum of rejected = records delivered. */
export type Totals = {
  accepted: number
  late: number
  rejected: Record<string, number>
}

/** One window's result as it stands in the results topic (JSON). Times are ISO 8601 in UTC; maps list no zeros. */
export type Result = {
  readonly v: 1
  readonly generation: number
  readonly window: { readonly size: string; readonly start: string; readonly end: string }
  readonly status: ResultStatus
  readonly revision: number
  /** False when a value may be wrong or cut: a gap in the log, a range perhaps counted twice, too many distinct values. */
  readonly exact: boolean
  readonly current_time: string
  readonly time_window: string
  /** Accepted events. */
  readonly batch_size: number
  readonly device_stats: Counts
  readonly location_stats: Counts
  readonly app_version_stats: Counts
  readonly version_category_stats: Counts
  readonly country_stats: Counts
  readonly region_stats: Counts
  /** By hour of the day in TIME_ZONE, "0" to "23". */
  readonly hour_stats: Counts
  /** night 0-5, morning 6-11, afternoon 12-17, evening 18-23. */
  readonly day_part_stats: Counts
  readonly users: UserStats
  readonly sessions: SessionStats
  readonly most_popular: Popular
  readonly least_popular: Popular
  readonly quality: { readonly missing: Counts; readonly invalid: Counts }
  /** What all partitions had told when the result was written; not part of the promise of equality. */
  readonly stream_totals: Totals
  /**
   * By source partition: every event of the window in offsets [from, through) is counted, and none lies below `from`.
   * `gaps` are offset ranges that the result cannot vouch for: lost, or perhaps counted twice.
   */
  readonly coverage: Readonly<Record<string, Coverage>>
  /** The span under which it was told, when that was sampled; no part of what it tells. */
  readonly trace?: ResultTrace
}

/** Ids as W3C Trace Context writes them: 32 and 16 lower-case hex digits. */
export type ResultTrace = { readonly trace_id: string; readonly span_id: string }

/** Up to USER_SAMPLE_SIZE users all is exact; beyond, estimates from that many users, and `devices` and the maximum are theirs. */
export type UserStats = {
  readonly distinct: number
  readonly exact: boolean
  /** Standard error of `distinct` as a share of it; 0 when exact. */
  readonly relative_error: number
  /** Pairs of a user and a device. */
  readonly devices: number
  readonly logins_per_user: MinAvgMax
}

export type MinAvgMax = { readonly min: number; readonly avg: number; readonly max: number }

/** Logins of one user, each at most SESSION_GAP behind the one before it; as far as the window's own logins tell. */
export type SessionStats = {
  /** Sessions whose first login in the window lies in it: every session once, however many shorter windows it runs through. */
  readonly started: number
  /** Those that may still go on when the window ends: their last login lies less than SESSION_GAP before it. */
  readonly active: number
  /** From first to last login. */
  readonly avg_seconds: number
  readonly events_per_session: number
}

/** The value counted most or least, of those that are known; of equals the first in text order. Null when there is none. */
export type Popular = {
  readonly device_type: string | null
  readonly locale: string | null
  readonly app_version: string | null
}

export type Coverage = {
  readonly from: number
  readonly clock_at_from: string
  readonly through: number
  readonly gaps?: readonly (readonly [number, number])[]
}

/** One window's statistics of users and devices, as they stand in the topic of that name (JSON), under the same key. */
export type DeviceStats = {
  readonly v: 1
  readonly generation: number
  readonly window: Result['window']
  readonly status: ResultStatus
  readonly revision: number
  readonly logins_per_user: MinAvgMax
  readonly users: number
  /** How many device types and locales (unknown ones left out) were seen. */
  readonly device_types: number
  readonly locations: number
  /** From 0 to 5 and from 6 to 11 o'clock. */
  readonly logins_at_night: number
  readonly logins_in_the_morning: number
  readonly logins_by_hour: Counts
}

/** Events of values that were not kept when a dimension had too many. */
export const OTHER_VALUES = '(other)'

/** What decides which of two records of one window counts. */
export type Standing = { readonly generation: number; readonly revision: number; readonly status: ResultStatus }

const RANKS: Readonly<Record<ResultStatus, number>> = { provisional: 0, final: 1, corrected: 2 }

/** Greater than 0 when `a` is to be kept over `b`; 0 when they tell the same counts. */
export function compareStanding(a: Standing, b: Standing): number {
  return a.generation - b.generation || a.revision - b.revision || RANKS[a.status] - RANKS[b.status]
}
