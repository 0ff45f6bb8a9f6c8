import { isIPv4 } from 'node:net'

const DAY_PARTS = ['night', 'morning', 'afternoon', 'evening'] as const
const knownVersions = new Map<string, string>()

export const dayPartOf = (hour: number) => DAY_PARTS[Math.floor(hour / 6)] as (typeof DAY_PARTS)[number]

/** Compiles the hour of the day, 0 to 23, of a moment (epoch milliseconds) in a time zone. */
export function hourReader(timeZone: string): (time: number) => number {
  if (timeZone === 'UTC') return time => new Date(time).getUTCHours()
  const format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', hourCycle: 'h23' })
  return time => Number(format.formatToParts(time).find(part => part.type === 'hour')?.value)
}

/** `major.minor` of the first number in the text that is no longer than 16 digits, and the number behind its point. */
export function versionCategory(version: string): string {
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

/** The IPv4 address inside of an IPv6 one (`::ffff:`); null when there is none. */
export function mappedIpv4(ip: string): string | null {
  if (isIPv4(ip)) return null
  const groups = groupsOf(ip)
  if (groups.slice(0, 5).some(group => group !== 0) || groups[5] !== 0xffff) return null
  return [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join('.')
}

/** The eight numbers of an IPv6 address: a URL's host is an address in its shortest form. */
export function groupsOf(ip: string): number[] {
  const [head = '', tail = ''] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::')
  const numbers = (text: string) =>
    text
      .split(':')
      .filter(Boolean)
      .map(group => Number.parseInt(group, 16))
  const [before, after] = [numbers(head), numbers(tail)]
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}
