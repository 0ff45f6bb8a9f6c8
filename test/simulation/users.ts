import type { Result } from '../../src/results/result.ts'
import { check } from './failure.ts'
import { SESSION_GAP_MS } from './plan.ts'
import type { Made } from './truth.ts'

type Told = Pick<Result, 'users' | 'sessions'>

/**
 * Users and sessions of a window recounted from its events, plainly: logins by user, sorted by time, a new session where
 * the distance is greater than the gap.
 */
export function recountUsers(events: readonly Made[], endMs: number): Told {
  const byUser = Map.groupBy(events, ({ spec }) => spec.user)
  const logins = [...byUser.values()].map(own => own.length)
  const pairs = new Set(events.map(({ spec }) => `${spec.user} ${spec.deviceId}`))
  const sessions = [...byUser.values()].flatMap(own => sessionsOf(own.map(({ spec }) => spec.timeMs)))
  const lengthMs = sessions.reduce((sum, [first, last]) => sum + last - first, 0)
  const several = Math.max(1, sessions.length)
  return {
    users: {
      distinct: byUser.size,
      exact: true,
      relative_error: 0,
      devices: pairs.size,
      logins_per_user: {
        min: Math.min(...logins),
        avg: rounded(events.length / Math.max(1, byUser.size)),
        max: Math.max(...logins),
      },
    },
    sessions: {
      started: sessions.length,
      active: sessions.filter(([, last]) => last + SESSION_GAP_MS > endMs).length,
      avg_seconds: rounded(lengthMs / several / 1000),
      events_per_session: rounded(events.length / several),
    },
  }
}

/** A result that calls its users exact has just these; one that does not has more than a sample holds. */
export function checkUsers(what: string, told: Told, events: readonly Made[], endMs: number, sample: number): void {
  const { users, sessions } = recountUsers(events, endMs)
  check('users', told.users.exact === users.distinct <= sample, () => {
    return `${what}: exact ${told.users.exact} of ${users.distinct} users`
  })
  if (!told.users.exact) return
  for (const [is, wanted] of [
    [told.users, users],
    [told.sessions, sessions],
  ]) {
    check('users', JSON.stringify(is) === JSON.stringify(wanted), () => {
      return `${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`
    })
  }
}

function sessionsOf(times: readonly number[]): [first: number, last: number][] {
  const sessions: [number, number][] = []
  for (const time of [...times].sort((a, b) => a - b)) {
    const latest = sessions.at(-1)
    if (latest !== undefined && time - latest[1] <= SESSION_GAP_MS) latest[1] = time
    else sessions.push([time, time])
  }
  return sessions
}

/** To three decimals. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
