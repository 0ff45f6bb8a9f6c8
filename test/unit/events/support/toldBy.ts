import { expect } from 'vitest'
import { hashText53 } from '../../../../src/aggregate/hash.ts'
import { readIpv4 } from '../../../../src/events/ip.ts'
import { type LoginEvent, MEMBER_NAMES, MEMBER_WIDTH } from '../../../../src/events/loginEvent.ts'
import { createFullParser, emptyEvent } from '../../../../src/events/parse.ts'
import { versionCategory } from '../../../../src/events/version.ts'

const full = createFullParser({ maxEventBytes: 1 << 20, validationRequired: [] }, true)

/** What an event tells, by whichever parser. */
export function toldBy(read: LoginEvent) {
  const { timeMs, missing, invalid, userId, deviceType, deviceId, locale, appVersion, ip, userHash, ipv4 } = read
  const category = read.version.derived
  const what = { timeMs, missing, invalid, userId, deviceType, deviceId, locale, appVersion, category, ip }
  return { ...what, userHash, ipv4, fields: read.fields, traceparent: read.traceparent }
}

/** Asks an event that was read in place, with its fields, for all that the full parser reads of the value, member by member. */
export function expectAsFull(event: LoginEvent, value: Uint8Array): void {
  const told = toldBy(event)
  const members = membersOf(event)
  const oracle = emptyEvent()
  expect(full(value, 0, value.length, oracle)).toBeNull()
  expect(told).toEqual(toldBy(oracle))
  expect(told.userHash).toBe(hashText53(told.userId))
  expect(told.category).toBe(versionCategory(told.appVersion))
  expect(told.ipv4).toBe(readIpv4(told.ip))
  const isKnown = (name: string) => (MEMBER_NAMES as readonly string[]).includes(name)
  const fields = Object.entries(oracle.fields as object)
  const known = fields.filter(([name]) => isKnown(name))
  expect(new Map(members)).toEqual(new Map(known))
  expect(members.length).toBe(known.length)
  // Of equal names that nobody knows each is one.
  expect(event.otherMembers).toBeGreaterThanOrEqual(fields.length - known.length)
}

/** The members by their ranges: names and values are JSON each by itself. */
function membersOf({ bytes, members, memberCount }: LoginEvent): [string, unknown][] {
  return Array.from({ length: memberCount }, (_, i) => {
    const [member, name, start, end] = members.subarray(MEMBER_WIDTH * i) as unknown as [number, number, number, number]
    const text = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString()
    const written = MEMBER_NAMES[member] as string
    expect(text(name, name + written.length + 3)).toBe(`"${written}":`)
    return [written, JSON.parse(text(start, end))]
  })
}
