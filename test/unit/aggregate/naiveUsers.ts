import { hashText, hashText53 } from '../../../src/aggregate/hash.ts'
import type { UserSummary } from '../../../src/aggregate/userSummary.ts'

type Login = { readonly userId: string; readonly deviceId: string; readonly timeMs: number }

/** Users and sessions of a list of logins, from the rules alone: lists, sorted, and nothing kept from one login to the next. */
export function naiveSummary(logins: readonly Login[], limit: number, gapMs: number, endMs: number): UserSummary {
  const hashes = [...new Set(logins.map(({ userId }) => hashText53(userId)))].sort((a, b) => a - b)
  if (hashes.length === 0) {
    return {
      users: { distinct: 0, exact: true, relative_error: 0, devices: 0, logins_per_user: { min: 0, avg: 0, max: 0 } },
      sessions: { started: 0, active: 0, avg_seconds: 0, events_per_session: 0 },
    }
  }
  const kept = hashes.slice(0, limit)
  const sampled = hashes.length > limit
  const distinct = sampled ? Math.round((limit - 1) / (kept.at(-1)! / 2 ** 53)) : hashes.length
  const scaled = (n: number) => (sampled ? Math.round((n * distinct) / limit) : n)
  const ofUsers = kept.map(hash => logins.filter(({ userId }) => hashText53(userId) === hash))
  const counts = ofUsers.map(list => list.length)
  const devices = ofUsers.map(list => new Set(list.map(({ deviceId }) => deviceId).filter(id => id !== 'unknown')).size)
  const sessions = ofUsers.flatMap(list => sessionsOf(list, gapMs))
  const lengths = sessions.map(times => times.at(-1)! - times[0]!)
  return {
    users: {
      distinct,
      exact: !sampled && devices.every(n => n <= 16),
      relative_error: sampled ? (limit > 2 ? 1 / Math.sqrt(limit - 2) : 1) : 0,
      devices: scaled(sum(devices.map(n => Math.min(n, 16)))),
      logins_per_user: { min: Math.min(...counts), avg: mean(counts), max: Math.max(...counts) },
    },
    sessions: {
      started: scaled(sessions.length),
      active: scaled(sessions.filter(times => times.at(-1)! + gapMs > endMs).length),
      avg_seconds: Math.round(sum(lengths) / lengths.length) / 1000,
      events_per_session: mean(sessions.map(times => times.length)),
    },
  }
}

function sessionsOf(logins: readonly Login[], gapMs: number): number[][] {
  const times = logins.map(({ timeMs }) => timeMs).sort((a, b) => a - b)
  const sessions: number[][] = []
  times.forEach((time, i) => {
    if (i === 0 || time - times[i - 1]! > gapMs) sessions.push([time])
    else sessions.at(-1)!.push(time)
  })
  return sessions
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
const mean = (numbers: readonly number[]) => Math.round((sum(numbers) / numbers.length) * 1000) / 1000

/** The stored form of a sample of the logins, byte by byte from its description; of at least one login. */
export function naiveSampleText(logins: readonly Login[], limit: number, gapMs: number): string {
  const hashes = [...new Set(logins.map(({ userId }) => hashText53(userId)))].sort((a, b) => a - b)
  const users = hashes.slice(0, limit).map(hash => logins.filter(({ userId }) => hashText53(userId) === hash))
  const baseMs = Math.min(...users.flat().map(({ timeMs }) => timeMs))
  const bytes = [1, hashes.length > limit ? 1 : 0, ...numberBytes(users.length), ...numberBytes(baseMs)]
  users.forEach((list, i) => {
    const sessions = sessionsOf(list, gapMs)
    const known = list.map(({ deviceId }) => deviceId).filter(id => id !== 'unknown')
    const devices = [...new Set(known.map(hashText))].sort((a, b) => a - b)
    const kept = devices.slice(0, 16)
    bytes.push(...fixedBytes(hashes[i]!, 7))
    bytes.push(kept.length + (devices.length > 16 ? 32 : 0) + (sessions.length > 1 ? 64 : 0))
    bytes.push(...numberBytes(list.length), ...(sessions.length > 1 ? numberBytes(sessions.length) : []))
    let before = baseMs
    for (const time of sessions.flatMap(times => [times[0]!, times.at(-1)!])) {
      bytes.push(...numberBytes(time - before))
      before = time
    }
    bytes.push(...kept.flatMap(device => fixedBytes(device, 4)))
  })
  return Buffer.from(bytes).toString('base64')
}

/** The lowest byte first. */
function fixedBytes(value: number, length: number): number[] {
  return Array.from({ length }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n))
}

/** Seven bits a byte. */
function numberBytes(value: number): number[] {
  return value < 128 ? [value] : [128 + (value % 128), ...numberBytes(Math.floor(value / 128))]
}
