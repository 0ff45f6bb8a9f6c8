import { describe, expect, test } from 'vitest'
import { hashText } from '../../../src/aggregate/hash.ts'
import { readEvent } from '../../../src/audit/event.ts'
import { loginReader } from '../../../src/audit/login.ts'
import { WindowTally } from '../../../src/audit/tally.ts'
import { login, placeOf, RULES, START } from './support.ts'

type Given = readonly [seconds: number, fields?: object]

function recounted(given: readonly Given[], rules: Partial<typeof RULES> = {}, seconds = 3600) {
  const all = { ...RULES, ...rules }
  const tally = new WindowTally(all, START + seconds * 1000)
  const read = loginReader(all, placeOf)
  given.forEach(([at, fields], offset) => {
    const event = readEvent(login(0, offset, at, fields), all)
    if (typeof event === 'string') throw new Error(event)
    tally.add(read(event))
  })
  return tally.recounted()
}

test('every dimension counts its own text', () => {
  const whole = { device_type: 'iPhone 15', locale: 'NY', app_version: '2.10.1', ip: '1.2.3.4', device_id: 'd' }
  const counted = recounted([
    [0, whole],
    [7 * 3600, { ...whole, ip: '::ffff:1.2.3.4', app_version: 'v2' }],
    [13 * 3600, { locale: 5, ip: '9.9.9.9' }],
  ])
  expect(counted).toMatchObject({
    batch_size: 3,
    device_stats: { ios: 2, unknown: 1 },
    location_stats: { NY: 2, unknown: 1 },
    app_version_stats: { '2.10.1': 1, v2: 1, unknown: 1 },
    version_category_stats: { '2.10': 1, '2.0': 1, unknown: 1 },
    country_stats: { NZ: 2, unknown: 1 },
    region_stats: { 'NZ-AUK': 2, unknown: 1 },
    hour_stats: { 0: 1, 7: 1, 13: 1 },
    day_part_stats: { night: 1, morning: 1, afternoon: 1 },
    most_popular: { device_type: 'ios', locale: 'NY', app_version: '2.10.1' },
    least_popular: { device_type: 'ios', locale: 'NY', app_version: '2.10.1' },
    quality: { missing: { app_version: 1, device_id: 1, device_type: 1 }, invalid: { locale: 1 } },
    complete: true,
  })
})

test('the hour is that of the zone in which the base window begins', () => {
  // Half an hour past the hour in Kolkata: 05:30 there. The window of 06:29:50 begins in the sixth hour.
  const { hour_stats, day_part_stats } = recounted([[0], [3599]], { enriched: { timeZone: 'Asia/Kolkata' } })
  expect(hour_stats).toEqual({ 5: 1, 6: 1 })
  expect(day_part_stats).toEqual({ night: 1, morning: 1 })
})

describe('sessions', () => {
  test('end where the next login is further away than the gap, whatever the order of the records', () => {
    const { sessions, users } = recounted([
      [60, { user_id: 'a' }],
      [0, { user_id: 'a' }],
      [120.001, { user_id: 'a' }],
      [30, { user_id: 'b' }],
    ])
    expect(sessions).toEqual({ started: 3, active: 0, avg_seconds: 20, events_per_session: 4 / 3 })
    expect(users.logins_per_user).toEqual({ min: 1, avg: 2, max: 3 })
  })

  test.each([
    [3540, 0],
    [3540.001, 1],
  ])('are active when the last login (at %d s) lies less than the gap before the end: %d', (at, active) => {
    expect(recounted([[at]]).sessions.active).toBe(active)
  })
})

test('users are told apart by id, devices by user and id; more than 16 devices are not told apart', () => {
  const devices = (count: number) =>
    Array.from({ length: count }, (_, i): Given => [i, { user_id: 'a', device_id: `d${i}` }])
  const few: Given[] = [...devices(16), [20, { user_id: 'b', device_id: 'd1' }], [21, { user_id: 'b' }]]
  expect(recounted(few).users).toMatchObject({ distinct: 2, exact: true, devices: 17 })
  expect(recounted([...few, ...devices(17)]).users).toMatchObject({ distinct: 2, exact: false, devices: 17 })
})

describe('more users than the sample holds', () => {
  const given = Array.from(
    { length: 1_000 },
    (_, i): Given => [i % 100, { user_id: `user-${i % 500}`, device_id: 'd' }],
  )

  test('are estimated from those with the smallest hashes, in any order', () => {
    const counted = recounted(given, { userSampleSize: 100 })
    expect(counted.users.exact).toBe(false)
    expect(counted.users.relative_error).toBeCloseTo(0.101, 3)
    expect(Math.abs(counted.users.distinct - 500) / 500).toBeLessThan(0.3)
    expect(counted.users.devices).toBeCloseTo(counted.users.distinct, 6)
    expect(counted.users.logins_per_user).toEqual({ min: 2, avg: 2, max: 2 })
    expect(recounted([...given].reverse(), { userSampleSize: 100 })).toEqual(counted)
  })

  test('as many as it holds are exact', () => {
    expect(recounted(given, { userSampleSize: 500 }).users).toMatchObject({ distinct: 500, exact: true, devices: 500 })
  })
})

test('of too many values those with the smallest hashes are kept, in any order', () => {
  const values = Array.from({ length: 30 }, (_, i) => `v${i}`)
  const given = values.flatMap((app_version, i): Given[] => Array.from({ length: i + 1 }, () => [0, { app_version }]))
  const kept = [...values].sort((a, b) => hashText(a) - hashText(b)).slice(0, 5)
  for (const order of [given, [...given].reverse()]) {
    const { app_version_stats, complete, most_popular } = recounted(order, { maxDimensionValues: 5 })
    const { '(other)': others, ...rest } = app_version_stats
    expect(Object.keys(rest).sort()).toEqual([...kept].sort())
    for (const value of kept) expect(rest[value]).toBe(values.indexOf(value) + 1)
    expect((others ?? 0) + Object.values(rest).reduce((a, b) => a + b)).toBe(given.length)
    expect(complete).toBe(false)
    expect(kept).toContain(most_popular.app_version)
  }
})

test('a value named like what every object has is counted', () => {
  const { location_stats } = recounted([
    [0, { locale: '__proto__' }],
    [0, { locale: 'constructor' }],
  ])
  expect(Object.entries(location_stats).sort()).toEqual([
    ['__proto__', 1],
    ['constructor', 1],
  ])
})

test('of equals the first in text order is the most and the least popular; unknown ones never are', () => {
  const { most_popular, least_popular } = recounted([
    [0, { locale: 'b', device_type: 'tv' }],
    [0, { locale: 'a' }],
    [0],
    [0, { locale: 'c' }],
    [0, { locale: 'c' }],
  ])
  expect(most_popular).toEqual({ device_type: 'tv', locale: 'c', app_version: null })
  expect(least_popular).toEqual({ device_type: 'tv', locale: 'a', app_version: null })
})
