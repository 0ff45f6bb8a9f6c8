import { createHmac } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { recountDeviceType } from './recountDevices.ts'
import { knownText, type RecountedEvent } from './recountEvent.ts'
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
const knownVersions = new Map<string, string>()
const DAY_PARTS = ['night', 'morning', 'afternoon', 'evening']

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
      day_part: DAY_PARTS[Math.floor(hour / 6)],
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

function hourReader(timeZone: string): (time: number) => number {
  if (timeZone === 'UTC') return time => new Date(time).getUTCHours()
  const format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', hourCycle: 'h23' })
  return time => Number(format.formatToParts(time).find(part => part.type === 'hour')?.value)
}

/** IPv4 to /24, IPv6 to /48 (6to4, which holds an IPv4 address, to /40), IPv4 inside of IPv6 as IPv4. */
function maskIp(ip: string): string {
  if (ip === NO_ADDRESS) return ip
  if (isIPv4(ip)) return ip.replace(/\d+$/, '0')
  const groups = groupsOf(ip)
  if (groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff) {
    return `${groups[6]! >> 8}.${groups[6]! & 255}.${groups[7]! >> 8}.0`
  }
  const third = groups[0] === 0x2002 ? groups[2]! & 0xff00 : groups[2]!
  return shortest([groups[0]!, groups[1]!, third, 0, 0, 0, 0, 0])
}

/** A URL's host is an address in its shortest form. */
const shortest = (groups: readonly number[]) =>
  new URL(`http://[${groups.map(group => group.toString(16)).join(':')}]`).hostname.slice(1, -1)

function groupsOf(ip: string): number[] {
  const [head = '', tail = ''] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::')
  const numbers = (text: string) =>
    text
      .split(':')
      .filter(Boolean)
      .map(group => Number.parseInt(group, 16))
  const [before, after] = [numbers(head), numbers(tail)]
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

/** `major.minor` of the first number in the text that is no longer than 16 digits, and the number behind its point. */
function versionCategory(version: string): string {
  if (knownVersions.size > 10_000) knownVersions.clear()
  const category = knownVersions.get(version) ?? categoryOf(version)
  knownVersions.set(version, category)
  return category
}

function categoryOf(version: string): string {
  const runs = [...version.matchAll(/\d+/g)]
  const at = runs.findIndex(([digits]) => digits.length <= 16)
  if (at < 0) return 'unknown'
  const [major, next] = [runs[at]!, runs[at + 1]]
  const follows = next?.index === major.index + major[0].length + 1 && version[next.index - 1] === '.'
  const minor = follows && next[0].length <= 16 ? Number(next[0]) : 0
  return Number.isSafeInteger(Number(major[0])) && Number.isSafeInteger(minor)
    ? `${Number(major[0])}.${minor}`
    : 'unknown'
}
