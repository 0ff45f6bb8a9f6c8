import { isIPv4 } from 'node:net'
import { recountDeviceType } from './devices.ts'
import { isMissing, isValid, knownText, OPTIONAL_FIELDS, type RecountedEvent } from './event.ts'
import { recountUserHash } from './hashes.ts'
import { dayPartOf, hourReader, mappedIpv4, versionCategory } from './labels.ts'

/** ISO codes of an address's place, each `unknown` where nothing is known. The data is the product's own: it is no count. */
export type PlaceLookup = (ip: string) => { readonly country: string; readonly region: string }

/** What is counted by value. */
export const DIMENSIONS = [
  'device_stats',
  'location_stats',
  'app_version_stats',
  'version_category_stats',
  'country_stats',
  'region_stats',
  'hour_stats',
  'day_part_stats',
] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** An accepted event as windows count it: nothing in it names a person. */
export type Login = {
  /** Epoch milliseconds. */
  readonly time: number
  /** 53-bit hash of the user's id. */
  readonly user: number
  /** Null when it is not known. */
  readonly device: string | null
  readonly values: Readonly<Record<Dimension, string>>
  readonly missing: readonly string[]
  readonly invalid: readonly string[]
}

export type LoginRules = { readonly windowSizeMs: number; readonly enriched: { readonly timeZone: string } }

const UNKNOWN = 'unknown'
const HASHES_KEPT = 100_000

/** Compiles the reading of an accepted event. */
export function loginReader(rules: LoginRules, placeOf: PlaceLookup): (event: RecountedEvent) => Login {
  const hourOf = hourReader(rules.enriched.timeZone)
  const hashes = new Map<string, number>()
  const hashOf = (userId: string) => {
    const hash = hashes.get(userId) ?? recountUserHash(userId)
    if (hashes.size >= HASHES_KEPT) hashes.clear()
    hashes.set(userId, hash)
    return hash
  }
  return ({ fields, time }) => {
    const ip = knownText(fields, 'ip')
    const place = ip === UNKNOWN ? { country: UNKNOWN, region: UNKNOWN } : placeOf(plainIp(ip))
    const version = knownText(fields, 'app_version')
    const device = knownText(fields, 'device_id')
    // A window is short: its events count for the hour in which it begins.
    const hour = hourOf(Math.floor(time / rules.windowSizeMs) * rules.windowSizeMs)
    const missing = OPTIONAL_FIELDS.filter(name => isMissing(fields[name]))
    return {
      time,
      user: hashOf(String(fields.user_id)),
      device: device === UNKNOWN ? null : device,
      values: {
        device_stats: recountDeviceType(knownText(fields, 'device_type')),
        location_stats: knownText(fields, 'locale'),
        app_version_stats: version,
        version_category_stats: versionCategory(version),
        country_stats: place.country,
        region_stats: place.region,
        hour_stats: String(hour),
        day_part_stats: dayPartOf(hour),
      },
      missing,
      invalid: OPTIONAL_FIELDS.filter(name => !missing.includes(name) && !isValid(name, fields[name])),
    }
  }
}

const plainIp = (ip: string) => (isIPv4(ip) ? ip : (mappedIpv4(ip) ?? ip))
