import { createHmac } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { recountDeviceType } from '../audit/devices.ts'
import { knownText, type RecountedEvent } from '../audit/event.ts'
import { dayPartOf, groupsOf, hourReader, mappedIpv4, versionCategory } from '../audit/labels.ts'
import { recountLocaleKind } from './recountLocales.ts'

/** What decides how an accepted event looks in the enriched topic. */
export type EnrichedRules = {
  /** The fields to write and their names there; null for all. */
  readonly fields: readonly { readonly field: string; readonly as: string }[] | null
  /** IANA name of the zone that hours of the day are told in. */
  readonly timeZone: string
  /** The key that user ids are hashed with, and its name; null when they stay as they are. */
  readonly userIdKey: { readonly key: Uint8Array; readonly id: string } | null
}

/** An enriched record as the naive reading wants it, by the names of the fields as the event and the contract have them. */
export type WantedRecord = {
  readonly userId: string
  readonly contract: Readonly<Record<string, unknown>>
  /** What the event had besides, as it came. */
  readonly others: Readonly<Record<string, unknown>>
}

/** Stands where the log alone does not tell the value: the moment of processing, and what a database knows of an address. */
export const OPEN = Symbol('open')

/** Every field of the contract; an event's own field of such a name is replaced. */
export const CONTRACT_FIELDS = [
  ...['user_id', 'timestamp', 'device_type', 'device_id', 'locale', 'app_version', 'ip'],
  ...['processed_timestamp', 'readable_timestamp', 'hour_of_day', 'day_part', 'version_category'],
  ...['locale_kind', 'country', 'region'],
]

const IN_CONTRACT: ReadonlySet<string> = new Set(CONTRACT_FIELDS)

/** Compiles the naive enrichment: written from the contract alone, it shares nothing with src/events. */
export function createWantedRecord(rules: EnrichedRules): (event: RecountedEvent) => WantedRecord {
  const hourOf = hourReader(rules.timeZone)
  return ({ fields, time }) => {
    const { userIdKey } = rules
    const plainId = String(fields.user_id)
    const userId = userIdKey === null ? plainId : createHmac('sha256', userIdKey.key).update(plainId).digest('hex')
    const version = knownText(fields, 'app_version')
    const locale = knownText(fields, 'locale')
    const hour = hourOf(time)
    const contract = {
      user_id: userId,
      timestamp: Math.floor(time / 1000),
      device_type: recountDeviceType(knownText(fields, 'device_type')),
      device_id: knownText(fields, 'device_id'),
      locale,
      app_version: version,
      ip: maskIp(knownText(fields, 'ip')),
      processed_timestamp: OPEN,
      readable_timestamp: new Date(time).toISOString(),
      hour_of_day: hour,
      day_part: dayPartOf(hour),
      version_category: versionCategory(version),
      locale_kind: recountLocaleKind(locale),
      country: OPEN,
      region: OPEN,
    }
    const others = Object.keys(fields).filter(name => !IN_CONTRACT.has(name))
    return { userId, contract, others: Object.fromEntries(others.map(name => [name, fields[name]])) }
  }
}

/** What the text is when it holds no address: nothing to look up, so that nothing can be known of its place. */
export const NO_ADDRESS = 'unknown'

/** IPv4 to /24, IPv6 to /48 (6to4, which holds an IPv4 address, to /40), IPv4 inside of IPv6 as IPv4. */
function maskIp(ip: string): string {
  if (ip === NO_ADDRESS) return ip
  const ipv4 = isIPv4(ip) ? ip : mappedIpv4(ip)
  if (ipv4 !== null) return ipv4.replace(/\d+$/, '0')
  const groups = groupsOf(ip)
  const third = groups[0] === 0x2002 ? groups[2]! & 0xff00 : groups[2]!
  return shortest([groups[0]!, groups[1]!, third, 0, 0, 0, 0, 0])
}

/** A URL's host is an address in its shortest form. */
const shortest = (groups: readonly number[]) =>
  new URL(`http://[${groups.map(group => group.toString(16)).join(':')}]`).hostname.slice(1, -1)
