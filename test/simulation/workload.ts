import { MAX_EVENT_BYTES, type Plan, SKEW_MS, WINDOW_MS } from './plan.ts'
import type { Random } from './random.ts'

/** What a record is meant to be: the judge knows it from its making and never parses it. */
export type Spec = {
  readonly value: Uint8Array | null
  /** Why the record is rejected; null for an event. */
  readonly code: string | null
  readonly timeMs: number
  readonly window: number
  readonly device: string
  readonly locale: string
  readonly version: string
  readonly user: string
  readonly deviceId: string
  readonly country: string
  readonly missing: readonly string[]
  readonly invalid: readonly string[]
}

const encoder = new TextEncoder()
const DEVICES = ['android', 'ios', 'web', 'tv']
const LOCALES = ['NY', 'CA', 'TX']
const VERSIONS = ['1.0.0', '2.3.0', '2.4.1']
const COUNTRIES: Readonly<Record<string, string>> = { '10.0.0.0': 'AT', '10.0.0.1': 'BE', '10.0.0.2': 'CZ' }

/** The region is unknown, always. */
export function placeOf(ip: string): { readonly country: string; readonly region: string } {
  return { country: COUNTRIES[ip] ?? 'unknown', region: 'unknown' }
}

/** Every base window has an hour of its own, so that longer ones have several. */
export function hourOf(timeMs: number): number {
  return Math.floor(timeMs / WINDOW_MS) % 24
}

/** Makes the next event of a partition whose record bears `timestamp`; a backlog is older than its partition's silence. */
export function nextSpec(random: Random, plan: Plan, timestamp: number, backlog: boolean): Spec {
  const odd = random.chance(plan.oddEvents)
  if (odd && random.chance(0.3)) return rejectedSpec(random, timestamp)
  if (backlog) return eventSpec(random, plan, timestamp - random.between(10, 150), null)
  const timeMs = timestamp + (odd ? oddDistance(random) : -random.below(12))
  return eventSpec(random, plan, timeMs, timeMs > timestamp + SKEW_MS ? 'future_timestamp' : null)
}

/** Late, ahead within the skew and just at its edge, ahead beyond it. */
function oddDistance(random: Random): number {
  switch (random.below(5)) {
    case 0:
    case 1:
      return -random.between(12, 80)
    case 2:
      return random.between(0, SKEW_MS)
    case 3:
      return random.between(SKEW_MS - 1, SKEW_MS + 1)
    default:
      return random.between(SKEW_MS + 1, 10_000)
  }
}

function eventSpec(random: Random, plan: Plan, timeMs: number, code: string | null): Spec {
  const fields: Record<string, unknown> = {
    user_id: random.below(plan.users),
    timestamp: timeMs,
  }
  const user = String(fields.user_id)
  // Made of what was drawn: most users have a device or two.
  const deviceId = `d${(timeMs + Number(user)) % 5 === 0 ? 1 : 0}`
  const ip = `10.0.0.${timeMs % 3}`
  Object.assign(fields, { device_id: deviceId, ip })
  const missing: string[] = []
  const invalid: string[] = []
  const counted = (name: string, values: readonly string[]): string => {
    const roll = random.below(20)
    if (roll > 1) {
      fields[name] = random.pick(values)
      return fields[name] as string
    }
    if (roll === 1) fields[name] = 7
    ;(roll === 0 ? missing : invalid).push(name)
    return 'unknown'
  }
  const device = counted('device_type', DEVICES)
  const locale = counted('locale', LOCALES)
  const version = counted('app_version', VERSIONS)
  // A required field is tested before the event's time is compared with the record's.
  let rejected = code
  if (plan.required.includes('locale')) {
    if (missing.includes('locale')) rejected = 'missing_locale'
    if (invalid.includes('locale')) rejected = 'invalid_locale'
  }
  const window = Math.floor(timeMs / WINDOW_MS)
  const value = encoder.encode(JSON.stringify(fields))
  const { country } = placeOf(ip)
  return { value, code: rejected, timeMs, window, device, locale, version, user, deviceId, country, missing, invalid }
}

function rejectedSpec(random: Random, timestamp: number): Spec {
  const [text, code] = random.pick<readonly [string | null, string]>([
    [null, 'empty_value'],
    ['{"user_id":', 'not_json'],
    ['[1]', 'not_an_object'],
    [`{"timestamp":${timestamp}}`, 'missing_user_id'],
    ['{"user_id":"u"}', 'missing_timestamp'],
    ['{"user_id":"u","timestamp":"yesterday"}', 'invalid_timestamp'],
    [`{"user_id":"${'u'.repeat(MAX_EVENT_BYTES)}"}`, 'too_large'],
  ])
  const value = text === null ? null : encoder.encode(text)
  const nothing = { device: '', locale: '', version: '', user: '', deviceId: '', country: '', missing: [], invalid: [] }
  return { value, code, timeMs: 0, window: 0, ...nothing }
}
