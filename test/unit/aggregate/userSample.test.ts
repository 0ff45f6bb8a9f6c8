import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashText, hashText53 } from '../../../src/aggregate/hash.ts'
import { isSampleText } from '../../../src/aggregate/sampleText.ts'
import { joinInterval } from '../../../src/aggregate/sessions.ts'
import { UserSample } from '../../../src/aggregate/userSample.ts'
import { summarize } from '../../../src/aggregate/userSummary.ts'
import { SEED } from '../support.ts'
import { naiveSampleText, naiveSummary } from './naiveUsers.ts'
import { anyEvents, GAP_MS, user } from './support.ts'

type Login = { readonly userId: string; readonly deviceId: string; readonly timeMs: number }

function sampleOf(logins: readonly Login[], limit: number): UserSample {
  const sample = new UserSample(limit, GAP_MS)
  for (const { userId, deviceId, timeMs } of logins) {
    sample.add(userId, deviceId === 'unknown' ? null : deviceId, timeMs)
  }
  return sample
}

/** What one user's logins at these times come to. */
function sessionsOf(endMs: number, ...times: number[]) {
  const logins = times.map(timeMs => ({ userId: 'u', deviceId: 'd', timeMs }))
  return summarize(sampleOf(logins, 1), endMs).sessions
}

const END_MS = 150
const anyLimit = fc.integer({ min: 1, max: 10 })

/** Splits a list by a number for each of its places. */
function split<T>(list: readonly T[], parts: readonly number[]): T[][] {
  return [0, 1, 2].map(part => list.filter((_, i) => (parts[i] ?? 0) === part))
}

const anyParts = fc.array(fc.nat(2), { minLength: 30, maxLength: 30 })

test('a sample says of users and sessions what a naive count of the logins says', () => {
  fc.assert(
    fc.property(anyLimit, anyEvents, anyParts, (limit, logins, parts) => {
      const wanted = naiveSummary(logins, limit, GAP_MS, END_MS)
      expect(summarize(sampleOf(logins, limit), END_MS)).toEqual(wanted)
      const sum = new UserSample(limit, GAP_MS)
      for (const [i, part] of split(logins, parts).entries()) {
        const counted = sampleOf(part, limit)
        const text = counted.toText()
        if (i === 1) sum.merge(counted)
        else if (text !== null) sum.mergeText(text)
      }
      expect(summarize(sum, END_MS)).toEqual(wanted)
    }),
    { seed: SEED, numRuns: 1000 },
  )
})

test('logins side by side are counted as one after the other', () => {
  fc.assert(
    fc.property(anyLimit, anyEvents, fc.nat(5), (limit, logins, more) => {
      const columns = {
        users: Float64Array.from(logins, ({ userId }) => hashText53(userId)),
        times: Float64Array.from(logins, ({ timeMs }) => timeMs),
        devices: Float64Array.from(logins, ({ deviceId }) => (deviceId === 'unknown' ? -1 : hashText(deviceId))),
      }
      const count = Math.max(0, logins.length - more)
      const sample = new UserSample(limit, GAP_MS)
      sample.loginAll(columns, count)
      expect(sample.toText()).toBe(sampleOf(logins.slice(0, count), limit).toText())
    }),
    { seed: SEED, numRuns: 1000 },
  )
})

// Few users with many logins: sessions are bridged, and devices pass their bound.
test('the same holds of one user with many logins', () => {
  const login = fc.record({
    userId: fc.constant('u'),
    deviceId: fc.nat(25).map(String),
    timeMs: fc.nat(1500),
  })
  fc.assert(
    fc.property(fc.array(login, { maxLength: 200 }), anyParts, (logins, parts) => {
      const wanted = naiveSummary(logins, 1, GAP_MS, 1500)
      const sum = new UserSample(1, GAP_MS)
      for (const part of split(logins, parts)) sum.merge(sampleOf(part, 1))
      expect(summarize(sum, 1500)).toEqual(wanted)
      expect(sum.toText()).toBe(sampleOf([...logins].reverse(), 1).toText())
    }),
    { seed: SEED },
  )
})

test('of more users than it keeps it has those with the smallest hashes, with all of their logins', () => {
  const limit = 50
  const logins = Array.from({ length: 4000 }, (_, i) => ({ userId: user((i * 7) % 1000), deviceId: 'd', timeMs: i }))
  const sample = sampleOf(logins, limit)
  const smallest = Array.from({ length: 1000 }, (_, i) => hashText53(user(i))).sort((a, b) => a - b)
  const kept = new Map<number, number>()
  for (const { hash, logins: n } of sample.users()) kept.set(hash, n)
  expect(kept).toEqual(new Map(smallest.slice(0, limit).map(hash => [hash, 4])))
  expect([sample.size, sample.overflow]).toEqual([limit, true])
})

// Somebody may choose ids by their hashes: those kept are the same, whatever the sample takes for likely.
test.each<[string, (i: number) => number]>([
  ['spread evenly', i => (i * 2 ** 53) / 1000],
  ['all small', i => i],
  ['nearly all equal', i => 2 ** 52 + i],
  ['each twice the one before', i => 2 ** (i / 20)],
  ['few small and many great', i => (i < 40 ? i : 2 ** 53 - 2000 + i)],
  ['many small and few great', i => (i < 960 ? i : 2 ** 53 - 2000 + i)],
])('of hashes that are %s it keeps the smallest', (_, hashOf) => {
  const hashes = [...new Set(Array.from({ length: 1000 }, (_, i) => Math.floor(hashOf(i))))]
  const smallest = [...hashes].sort((a, b) => a - b).slice(0, 50)
  const shuffled = [...hashes].sort((a, b) => hashText(String(a)) - hashText(String(b)))
  for (const order of [hashes, [...hashes].reverse(), shuffled]) {
    const sample = new UserSample(50, GAP_MS)
    for (const [timeMs, userHash] of [...order, ...order].entries()) {
      sample.login({ userHash, timeMs })
      expect(sample.size).toBeLessThanOrEqual(100)
    }
    const kept = new Map<number, number>()
    for (const { hash, logins } of sample.users()) kept.set(hash, logins)
    expect(kept).toEqual(new Map(smallest.map(hash => [hash, 2])))
    const back = new UserSample(50, GAP_MS)
    back.mergeText(sample.toText()!)
    expect(back.toText()).toBe(sample.toText())
  }
})

test('the ceiling only falls, and logins of users above it change nothing', () => {
  const limit = 20
  const logins = Array.from({ length: 2000 }, (_, i) => ({ userId: user((i * 7) % 500), deviceId: 'd', timeMs: i }))
  const sample = new UserSample(limit, GAP_MS)
  let ceiling = sample.ceiling
  let skipped = 0
  expect(ceiling).toBe(Number.POSITIVE_INFINITY)
  for (const { userId, deviceId, timeMs } of logins) {
    if (hashText53(userId) > ceiling) skipped++
    else sample.add(userId, deviceId, timeMs)
    expect(sample.ceiling).toBeLessThanOrEqual(ceiling)
    // As whoever skips users by it may do: a ceiling of a while ago.
    if (timeMs % 100 === 0) ceiling = sample.ceiling
  }
  expect(skipped).toBeGreaterThan(1000)
  expect(sample.toText()).toBe(sampleOf(logins, limit).toText())
})

test('up to its limit a sample is exact, and the next user makes it an estimate', () => {
  const logins = Array.from({ length: 101 }, (_, i) => ({ userId: user(i), deviceId: 'd', timeMs: i }))
  expect(summarize(sampleOf(logins.slice(0, 100), 100), END_MS).users).toMatchObject({ distinct: 100, exact: true })
  const { exact, relative_error } = summarize(sampleOf(logins, 100), END_MS).users
  expect([exact, relative_error]).toEqual([false, 1 / Math.sqrt(98)])
})

describe('the estimate of distinct users', () => {
  const [limit, truth, seeds] = [512, 10_000, 100]
  // What a client may take for ids: numbers, numbers in a row behind a name, and random ones.
  test.each<[string, (seed: number, i: number) => string]>([
    ['numbers', (seed, i) => String(seed * truth + i)],
    ['numbered names', (seed, i) => `${seed}-user-${i}`],
    ['names with a number of fixed width', (seed, i) => `u${String(i).padStart(10, '0')}@${seed}.example.org`],
    ['uuids', (seed, i) => `${hex(i * 2654435761 + seed)}-0000-4000-8000-${hex(seed * 40503 + i)}0000`],
  ])('of %s is within three standard errors over 100 seeds, and without bias', (_, idOf) => {
    const errors = Array.from({ length: seeds }, (_, seed) => {
      const sample = new UserSample(limit, GAP_MS)
      for (let i = 0; i < truth; i++) sample.add(idOf(seed, i), null, 0)
      const { distinct, relative_error } = summarize(sample, END_MS).users
      return (distinct - truth) / truth / relative_error
    })
    const mean = errors.reduce((a, b) => a + b, 0) / seeds
    const spread = Math.sqrt(errors.reduce((a, b) => a + (b - mean) ** 2, 0) / seeds)
    // In units of the standard error, of which the mean of a hundred has a tenth. One in a hundred may be past three.
    expect(errors.filter(error => Math.abs(error) > 3).length).toBeLessThanOrEqual(1)
    expect(Math.abs(mean)).toBeLessThan(0.3)
    expect(spread).toBeGreaterThan(0.75)
    expect(spread).toBeLessThan(1.25)
  })
})

const hex = (value: number) => (value >>> 0).toString(16).padStart(8, '0')

describe('sessions', () => {
  test('a login between two sessions makes them one', () => {
    const intervals: number[] = []
    for (const time of [0, 5, 30, 18]) joinInterval(intervals, time, time, GAP_MS)
    expect(intervals).toEqual([0, 5, 18, 18, 30, 30])
    joinInterval(intervals, 24, 24, GAP_MS)
    expect(intervals).toEqual([0, 5, 18, 30])
    joinInterval(intervals, 13, 13, GAP_MS)
    expect(intervals).toEqual([0, 30])
  })

  test('logins exactly the gap apart share one, and one millisecond more parts them', () => {
    const sessions = (...times: number[]) => sessionsOf(END_MS, ...times).started
    expect([sessions(0, GAP_MS), sessions(0, GAP_MS + 1), sessions(GAP_MS + 1, 0)]).toEqual([1, 2, 2])
  })

  test('go on over a border when windows are merged', () => {
    const minute = sampleOf([{ userId: 'u', deviceId: 'd', timeMs: 95 }], 1)
    minute.merge(sampleOf([{ userId: 'u', deviceId: 'd', timeMs: 104 }], 1))
    expect(summarize(minute, 200).sessions).toEqual({
      started: 1,
      active: 0,
      avg_seconds: 0.009,
      events_per_session: 2,
    })
  })

  test('are active while their last login lies less than the gap before the end', () => {
    expect([sessionsOf(100, 90).active, sessionsOf(100, 91).active]).toEqual([0, 1])
  })

  test('joining gives the same in every order', () => {
    const interval = fc.tuple(fc.nat(300), fc.nat(15))
    fc.assert(
      fc.property(fc.array(fc.tuple(interval, fc.nat(1000)), { maxLength: 25 }), list => {
        const joined = (all: typeof list) => {
          const intervals: number[] = []
          for (const [[first, length]] of all) joinInterval(intervals, first, first + length, GAP_MS)
          return intervals
        }
        const intervals = joined(list)
        expect(joined([...list].sort(([, a], [, b]) => a - b))).toEqual(intervals)
        for (let i = 2; i < intervals.length; i += 2) {
          expect(intervals[i]! - intervals[i - 1]!).toBeGreaterThan(GAP_MS)
        }
      }),
      { seed: SEED },
    )
  })
})

describe('devices', () => {
  test('are told apart up to sixteen of a user, those with the smallest hashes', () => {
    const hashes = Array.from({ length: 40 }, (_, i) => hashText(user(i)))
    const smallest = [...hashes].sort((a, b) => a - b).slice(0, 16)
    const sample = new UserSample(1, GAP_MS)
    for (let i = 0; i < 40; i++) sample.add('u', user(i), 0)
    const [kept] = sample.users()
    expect(kept).toMatchObject({ devices: smallest, deviceCount: 16, moreDevices: true })
  })

  test('make the users inexact from the seventeenth of one user on', () => {
    const exact = (devices: number) => {
      const logins = Array.from({ length: devices }, (_, i) => ({ userId: 'u', deviceId: user(i), timeMs: 0 }))
      return summarize(sampleOf([...logins, ...logins], 4), END_MS).users.exact
    }
    expect([exact(16), exact(17)]).toEqual([true, false])
  })
})

describe('the stored form', () => {
  test('gives back the same text, and comes to some twenty signs a user', () => {
    const limit = 1000
    const start = 1_700_000_000_000
    const logins = Array.from({ length: 5000 }, (_, i) => ({
      userId: user(i),
      deviceId: user(i + 1),
      timeMs: start + 2 * i,
    }))
    const text = sampleOf(logins, limit).toText()!
    const sum = new UserSample(limit, GAP_MS)
    sum.mergeText(text)
    expect(sum.toText()).toBe(text)
    expect(isSampleText(text)).toBe(true)
    expect(text.length).toBeLessThan(24 * limit)
  })

  test('has the bytes that its description says, whatever users come and go', () => {
    const login = fc.record({
      userId: fc.nat(60).map(user),
      deviceId: fc.oneof(fc.constant('unknown'), fc.constant('d'), fc.nat(25).map(String)),
      timeMs: fc.oneof(
        fc.nat(300),
        fc.nat(20).map(i => 1_700_000_000_000 + i),
      ),
    })
    const logins = fc.array(login, { minLength: 1, maxLength: 300, size: 'max' })
    fc.assert(
      fc.property(logins, fc.integer({ min: 1, max: 40 }), (list, limit) => {
        expect(sampleOf(list, limit).toText()).toBe(naiveSampleText(list, limit, GAP_MS))
      }),
      { seed: SEED, numRuns: 300 },
    )
  })

  test('is the same when it is asked for in between, and of as many users as are kept by default', () => {
    const logins = Array.from({ length: 9000 }, (_, i) => ({
      userId: user((i * 7919) % 4500),
      deviceId: user(i % 5000),
      timeMs: 1_700_000_000_000 + ((i * 31) % 500),
    }))
    const sample = new UserSample(1024, GAP_MS)
    for (const [i, { userId, deviceId, timeMs }] of logins.entries()) {
      sample.add(userId, deviceId, timeMs)
      if (i % 1000 === 0) expect(isSampleText(sample.toText()!)).toBe(true)
    }
    expect(sample.toText()).toBe(naiveSampleText(logins, 1024, GAP_MS))
  })

  test('holds numbers of every size', () => {
    const sample = new UserSample(3, 2 ** 52)
    for (const timeMs of [0, 127, 128, 2 ** 31 - 1, 2 ** 31, 253_402_300_799_999]) sample.add('u', null, timeMs)
    const sum = new UserSample(3, 2 ** 52)
    for (let i = 0; i < 35; i++) {
      sum.merge(sample)
      sample.merge(sum)
    }
    const back = new UserSample(3, 2 ** 52)
    back.mergeText(sample.toText()!)
    const [counted] = back.users()
    expect([counted]).toEqual([...sample.users()])
    expect(counted).toMatchObject({ intervals: [0, 253_402_300_799_999], intervalCount: 1 })
    expect(counted!.logins).toBeGreaterThan(2 ** 50)
  })

  // Whatever passes the check is read without a word; what is changed and still passes may be another sample.
  test('that was changed in any way is refused, or read as another', () => {
    const text = sampleOf(
      Array.from({ length: 40 }, (_, i) => ({ userId: user(i % 9), deviceId: user(i % 23), timeMs: 1000 * (i % 13) })),
      6,
    ).toText()!
    const change = fc.record({ at: fc.nat(text.length), drop: fc.nat(6), put: fc.string({ maxLength: 6 }) })
    fc.assert(
      fc.property(change, ({ at, drop, put }) => {
        const changed = text.slice(0, at) + put + text.slice(at + drop)
        const read = () => new UserSample(6, GAP_MS).mergeText(changed)
        if (isSampleText(changed)) expect(read).not.toThrow()
        else expect(read).toThrow(RangeError)
      }),
      { seed: SEED, numRuns: 2000 },
    )
  })

  // The bytes of the text before are still there.
  test('that is cut short anywhere is refused, also when the whole was read just before', () => {
    const logins = Array.from({ length: 40 }, (_, i) => ({ userId: user(i), deviceId: user(i % 23), timeMs: 1000 * i }))
    const whole = Buffer.from(sampleOf(logins, 60).toText()!, 'base64')
    for (let length = 0; length < whole.length; length++) {
      expect(isSampleText(whole.toString('base64'))).toBe(true)
      const text = whole.subarray(0, length).toString('base64')
      expect([length, isSampleText(text)]).toEqual([length, false])
      expect(() => new UserSample(60, GAP_MS).mergeText(text)).toThrow(RangeError)
    }
  })

  const bytesOf = (...bytes: number[]) => Buffer.from(bytes).toString('base64')
  const hash = [1, 0, 0, 0, 0, 0, 0]

  test.each<[string, string]>([
    ['nothing', ''],
    ['another version', bytesOf(2, 0, 1, 0, ...hash, 0, 1, 0, 0)],
    ['flags that are not known', bytesOf(1, 2, 1, 0, ...hash, 0, 1, 0, 0)],
    ['no user', bytesOf(1, 0, 0, 0)],
    ['fewer users than it names', bytesOf(1, 0, 2, 0, ...hash, 0, 1, 0, 0)],
    ['more bytes than its users take', bytesOf(1, 0, 1, 0, ...hash, 0, 1, 0, 0, 0)],
    ['a user twice', bytesOf(1, 0, 2, 0, ...hash, 0, 1, 0, 0, ...hash, 0, 1, 0, 0)],
    ['a hash of more than 53 bits', bytesOf(1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 32, 0, 1, 0, 0)],
    ['no logins', bytesOf(1, 0, 1, 0, ...hash, 0, 0, 0, 0)],
    ['seventeen devices', bytesOf(1, 0, 1, 0, ...hash, 17, 1, 0, 0, ...Array.from({ length: 68 }, (_, i) => i >> 2))],
    ['devices out of order', bytesOf(1, 0, 1, 0, ...hash, 2, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0)],
    ['devices past its end', bytesOf(1, 0, 1, 0, ...hash, 2, 1, 0, 0, 2, 0, 0, 0)],
    ['no intervals', bytesOf(1, 0, 1, 0, ...hash, 64, 1, 0)],
    ['intervals past its end', bytesOf(1, 0, 1, 0, ...hash, 64, 1, 127)],
    ['a number without an end', bytesOf(1, 0, 1, 0, ...hash, 0, ...new Array(20).fill(255))],
    ['users by the billion', bytesOf(1, 0, 255, 255, 255, 255, 15, 0)],
  ])('of %s is refused', (_, text) => {
    expect(isSampleText(text)).toBe(false)
    expect(() => new UserSample(3, GAP_MS).mergeText(text)).toThrow(RangeError)
  })
})

test('the hash of a user is part of the stored truth: it never changes', () => {
  expect([hashText53(''), hashText53('user-1'), hashText53('\u{1f600}')]).toMatchInlineSnapshot(`
    [
      5734799411967884,
      1906852552064460,
      842642267482009,
    ]
  `)
})
