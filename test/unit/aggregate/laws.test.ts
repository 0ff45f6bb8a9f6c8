import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Aggregate, type AggregateJson, isAggregateJson } from '../../../src/aggregate/aggregate.ts'
import { hashText } from '../../../src/aggregate/hash.ts'
import { summarize } from '../../../src/aggregate/userSummary.ts'
import { SEED } from '../support.ts'
import { anyEvents, anyLimits, bytes, type Counted, count, limitsOf, merged, PLAIN, stored, user } from './support.ts'

test('merge-is-commutative-and-associative', () => {
  fc.assert(
    fc.property(anyLimits, anyEvents, anyEvents, anyEvents, (limits, a, b, c) => {
      const [x, y, z] = [count(a, limits), count(b, limits), count(c, limits)]
      const together = bytes(merged(limits, merged(limits, x, y), z))
      expect(bytes(merged(limits, y, x, z))).toBe(together)
      expect(bytes(merged(limits, x, merged(limits, y, z)))).toBe(together)
      expect(bytes(merged(limits, z, y, x))).toBe(together)
    }),
    { seed: SEED, numRuns: 500 },
  )
})

test('merging-parts-equals-counting-at-once', () => {
  fc.assert(
    fc.property(anyLimits, anyEvents, fc.array(fc.nat(3), { minLength: 30, maxLength: 30 }), (limits, all, parts) => {
      const split = [0, 1, 2, 3].map(part => all.filter((_, i) => parts[i] === part))
      const whole = count(all, limits)
      // Through JSON, as partials travel, and in another order.
      const counted = split.reverse().map(part => stored(count(part, limits), limits))
      expect(bytes(merged(limits, ...counted))).toBe(bytes(whole))
      expect(bytes(count([...all].reverse(), limits))).toBe(bytes(whole))
    }),
    { seed: SEED, numRuns: 1000 },
  )
})

function countersOf(aggregate: Aggregate) {
  const { devices, locales, versions, categories, countries, regions } = aggregate
  return [
    { counter: devices, field: 'deviceType' },
    { counter: locales, field: 'locale' },
    { counter: versions, field: 'appVersion' },
    { counter: categories, field: 'category' },
    { counter: countries, field: 'country' },
    { counter: regions, field: 'region' },
  ] as const
}

test('every-event-is-in-a-count-or-in-the-overflow', () => {
  fc.assert(
    fc.property(anyLimits, anyEvents, (limits, all) => {
      const aggregate = count(all, limits)
      expect(aggregate.count).toBe(all.length)
      for (const { counter, field } of countersOf(aggregate)) {
        const truth = new Map<string, number>()
        for (const one of all) truth.set(one[field] as string, (truth.get(one[field] as string) ?? 0) + 1)
        expect(counter.counts.size).toBe(Math.min(truth.size, limits.dimensionValues))
        for (const [name, n] of counter.counts) expect(n).toBe(truth.get(name))
        const kept = [...counter.counts.values()].reduce((sum, n) => sum + n, 0)
        expect(kept + counter.overflow).toBe(all.length)
        expect(counter.overflow > 0).toBe(truth.size > limits.dimensionValues)
      }
    }),
    { seed: SEED },
  )
})

test('json-gives-back-the-same-bytes', () => {
  fc.assert(
    fc.property(anyLimits, anyEvents, (limits, all) => {
      const aggregate = count(all, limits)
      const text = bytes(aggregate)
      expect(bytes(stored(aggregate, limits))).toBe(text)
      // Merging what was stored must not change the part that it came from.
      const part = stored(aggregate, limits)
      merged(limits, part, part)
      expect(bytes(part)).toBe(text)
    }),
    { seed: SEED },
  )
})

/** Two texts of one hash, found by counting up: the birthday paradox needs some 80,000. */
function findCollision(): [string, string] {
  const seen = new Map<number, string>()
  for (let i = 0; ; i++) {
    const text = `x${i}`
    const hash = hashText(text)
    const other = seen.get(hash)
    if (other !== undefined) return [other, text]
    seen.set(hash, text)
  }
}

describe('two values with one hash', () => {
  const [a, b] = findCollision()
  test('are told apart, in every order', () => {
    const limits = limitsOf(1)
    const of = (...names: string[]) =>
      count(
        names.map(deviceType => ({ deviceType })),
        limits,
      )
    const text = bytes(of(a, b, b))
    for (const other of [
      of(b, a, b),
      of(b, b, a),
      merged(limits, of(b, b), of(a)),
      merged(limits, of(a), of(b), of(b)),
    ]) {
      expect(bytes(other)).toBe(text)
    }
    expect([...of(a, b).devices.counts.keys()]).toEqual([a < b ? a : b])
  })
})

describe('an aggregate', () => {
  test.each(countersOf(new Aggregate(limitsOf(1))).map(({ field }) => field))(
    'is exact up to its limit, and says so when %s passes it',
    field => {
      const seen = (...values: string[]) =>
        count(
          values.map(value => ({ [field]: value })),
          limitsOf(2),
        ).exact
      expect([seen('a', 'b', 'a'), seen('a', 'b', 'c')]).toEqual([true, false])
    },
  )

  test('takes an unknown device for none', () => {
    const { users } = count(
      [{ deviceId: 'unknown' }, { deviceId: 'd' }, { userId: 'v', deviceId: 'unknown' }],
      limitsOf(2),
    )
    expect(summarize(users, 0).users).toMatchObject({ distinct: 2, devices: 1 })
  })

  test('leaves its users to tell whether they are exact', () => {
    const aggregate = count(
      [0, 1, 2].map(i => ({ userId: user(i) })),
      limitsOf(2, 2),
    )
    expect([aggregate.exact, aggregate.users.overflow]).toEqual([true, true])
  })

  test('read back under a smaller limit keeps what the smaller one would have kept', () => {
    const all = Array.from({ length: 40 }, (_, i): Partial<Counted> => {
      return {
        deviceType: `d${i % 7}`,
        locale: `l${i % 5}`,
        appVersion: `v${i % 3}`,
        missing: i % 32,
        userId: user(i % 17),
      }
    })
    for (const [wide, narrow] of [
      [limitsOf(10, 20), limitsOf(3, 4)],
      [limitsOf(4, 9), limitsOf(3, 4)],
    ] as const) {
      expect(bytes(stored(count(all, wide), narrow))).toBe(bytes(count(all, narrow)))
    }
  })

  test('keeps no user of whom a part with a smaller limit has dropped logins', () => {
    const all = Array.from({ length: 20 }, (_, i) => ({ userId: user(i) }))
    const whole = merged(limitsOf(3, 10), count(all, limitsOf(3, 10)), count(all, limitsOf(3, 4)))
    const twice = count([...all, ...all], limitsOf(3, 4))
    expect(bytes(whole)).toBe(bytes(twice))
  })

  test('counts quality by field', () => {
    const { m, i } = count([{ missing: 0b10001, invalid: 0b00010 }, { missing: 0b00001 }], limitsOf(5)).toJSON()
    expect([m, i]).toEqual([
      [2, 0, 0, 0, 1],
      [0, 1, 0, 0, 0],
    ])
  })

  test('adds up the hours that others have filled, and tells none that are empty', () => {
    const limits = limitsOf(5)
    const [night, noon] = [count([{}, {}], limits), count([{}], limits)]
    expect('h' in night.toJSON()).toBe(false)
    night.hours[3] = 2
    noon.hours[12] = 1
    const sum = merged(limits, stored(night, limits), noon, noon)
    expect(sum.toJSON().h).toEqual(Array.from({ length: 24 }, (_, hour) => (hour === 3 || hour === 12 ? 2 : 0)))
    expect(bytes(stored(sum, limits))).toBe(bytes(sum))
  })

  test('the hash is part of the stored truth: it never changes', () => {
    expect([hashText(''), hashText('android'), hashText('\u{1f600}')]).toMatchInlineSnapshot(`
      [
        2872998923,
        4166804336,
        1787143206,
      ]
    `)
  })
})

test('a-repeat-counts-twice: whoever merges must know what it has merged already', () => {
  const limits = limitsOf(5)
  const one = { missing: 1, invalid: 2 }
  const part = count([one], limits)
  expect(bytes(merged(limits, part, part))).toBe(bytes(count([one, one], limits)))
})

test('the-size-is-bounded-whatever-is-counted', () => {
  const limits = limitsOf(3, 16)
  const aggregate = new Aggregate(limits)
  const longest = (i: number) => String(i).padStart(64, 'x')
  for (let i = 0; i < 3000; i++) {
    const [deviceType, locale, appVersion] = [longest(i), longest(i + 1), longest(i * 7)]
    // Every user has a hundred devices, and a session of each login.
    const event = {
      ...PLAIN,
      deviceType,
      locale,
      appVersion,
      userId: user(i % 30),
      deviceId: user(i),
      timeMs: i * 1000,
    }
    aggregate.add(event, longest(i * 3), longest(i * 5), longest(i * 11))
    expect(aggregate.users.size).toBeLessThanOrEqual(32)
  }
  expect(aggregate.devices.counts.size).toBe(3)
  // Six dimensions of three values and the least one dropped, each of 64 units and a count.
  const { u, ...counters } = aggregate.toJSON()
  expect(JSON.stringify(counters).length).toBeLessThan(6 * 4 * (64 + 16) + 200)
  // Of each user's hundred sessions a start and an end, of the devices sixteen.
  expect(u?.length).toBeLessThan(16 * (100 * 2 * 3 + 16 * 4 + 16) * (4 / 3))
})

describe('what is no stored aggregate', () => {
  const good = count([{}, { userId: 'v' }], limitsOf(3)).toJSON()

  test('is told from one that is', () => {
    expect(isAggregateJson(JSON.parse(JSON.stringify(good)))).toBe(true)
    expect(isAggregateJson({ ...good, h: new Array(24).fill(1), d: { c: {}, o: [1, 'x'] } })).toBe(true)
  })

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a list', []],
    ['a text', 'x'],
    ['no count', { ...good, n: undefined }],
    ['a count below zero', { ...good, n: -1 }],
    ['a count with a fraction', { ...good, n: 1.5 }],
    ['no regions', { ...good, r: undefined }],
    ['a counter that is null', { ...good, d: null }],
    ['a counter without counts', { ...good, d: {} }],
    ['counts in a list', { ...good, d: { c: [1] } }],
    ['a count that is text', { ...good, l: { c: { NY: '1' } } }],
    ['an overflow of one part', { ...good, v: { c: {}, o: [1] } }],
    ['an overflow without its value', { ...good, v: { c: {}, o: [1, 2] } }],
    ['missing fields as a map', { ...good, m: {} }],
    ['invalid fields that are null', { ...good, i: [null] }],
    ['hours of a shorter day', { ...good, h: new Array(23).fill(0) }],
    ['users that are a number', { ...good, u: 7 }],
    ['users that are no base64', { ...good, u: '????' }],
    ['no users in a sample', { ...good, u: '' }],
  ])('%s', (_, value) => {
    expect(isAggregateJson(value)).toBe(false)
  })

  test('has its user sample refused by who reads it all the same', () => {
    const broken = { ...good, u: good.u!.slice(0, -4) } as AggregateJson
    expect(() => Aggregate.fromJSON(broken, limitsOf(3))).toThrow(RangeError)
  })
})
