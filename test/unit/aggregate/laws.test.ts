import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Aggregate, type AggregateJson } from '../../../src/aggregate/aggregate.ts'
import { hashText } from '../../../src/aggregate/hash.ts'
import { SEED } from '../support.ts'

type Event = readonly [device: string, locale: string, version: string, missing: number, invalid: number]

const value = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '0',
    '1',
    '10',
    '2',
    '-1',
    '01',
    '',
    'a',
    'b',
    'c',
  ),
  fc.constantFrom('unknown', '(other)', '\ud800', '\udfff', '\u0000', 'ä', '\u{1f600}'),
  fc.integer({ min: 0, max: 30 }).map(i => `v${i}`),
)
const bits = fc.integer({ min: 0, max: 31 })
const event: fc.Arbitrary<Event> = fc.tuple(value, value, value, bits, bits)
const events = fc.array(event, { maxLength: 30 })
const limitsOf = (dimensionValues: number) => ({ dimensionValues, qualityFields: 5 })
const limit = fc.integer({ min: 1, max: 5 }).map(limitsOf)
type Limits = ReturnType<typeof limitsOf>

function count(list: readonly Event[], limits: Limits): Aggregate {
  const aggregate = new Aggregate(limits)
  for (const one of list) aggregate.add(...one)
  return aggregate
}

function merged(limits: Limits, ...parts: readonly Aggregate[]): Aggregate {
  const sum = new Aggregate(limits)
  for (const part of parts) sum.merge(part)
  return sum
}

const bytes = (aggregate: Aggregate) => JSON.stringify(aggregate)
const stored = (aggregate: Aggregate, limits: Limits) => {
  return Aggregate.fromJSON(JSON.parse(bytes(aggregate)) as AggregateJson, limits)
}

test('merge-is-commutative-and-associative', () => {
  fc.assert(
    fc.property(limit, events, events, events, (limits, a, b, c) => {
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
    fc.property(limit, events, fc.array(fc.nat(3), { minLength: 30, maxLength: 30 }), (limits, all, parts) => {
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

test('every-event-is-in-a-count-or-in-the-overflow', () => {
  fc.assert(
    fc.property(limit, events, (limits, all) => {
      const aggregate = count(all, limits)
      expect(aggregate.count).toBe(all.length)
      for (const [i, counter] of [aggregate.devices, aggregate.locales, aggregate.versions].entries()) {
        const truth = new Map<string, number>()
        for (const one of all) truth.set(one[i] as string, (truth.get(one[i] as string) ?? 0) + 1)
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
    fc.property(limit, events, (limits, all) => {
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
        names.map(name => [name, 'l', 'v', 0, 0]),
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
  test('is exact up to its limit, and says so when it is passed', () => {
    const limits = limitsOf(2)
    expect(
      count(
        [
          ['a', 'x', '1', 0, 0],
          ['b', 'x', '1', 0, 0],
        ],
        limits,
      ).exact,
    ).toBe(true)
    expect(
      count(
        [
          ['a', 'x', '1', 0, 0],
          ['b', 'y', '1', 0, 0],
          ['b', 'z', '1', 0, 0],
        ],
        limits,
      ).exact,
    ).toBe(false)
  })

  test('read back under a smaller limit keeps what the smaller one would have kept', () => {
    const all: Event[] = Array.from({ length: 20 }, (_, i) => [
      `d${i % 7}`,
      `l${i % 5}`,
      `v${i % 3}`,
      i % 32,
      (i * 7) % 32,
    ])
    expect(bytes(stored(count(all, limitsOf(10)), limitsOf(3)))).toBe(bytes(count(all, limitsOf(3))))
  })

  test('counts quality by field', () => {
    const json = count(
      [
        ['a', 'b', 'c', 0b10001, 0b00010],
        ['a', 'b', 'c', 0b00001, 0],
      ],
      limitsOf(5),
    ).toJSON()
    expect([json.m, json.i]).toEqual([
      [2, 0, 0, 0, 1],
      [0, 1, 0, 0, 0],
    ])
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
  const one = count([['a', 'x', '1', 1, 2]], limits)
  expect(bytes(merged(limits, one, one))).toBe(
    bytes(
      count(
        [
          ['a', 'x', '1', 1, 2],
          ['a', 'x', '1', 1, 2],
        ],
        limits,
      ),
    ),
  )
})

test('the-size-is-bounded-whatever-is-counted', () => {
  const limits = limitsOf(3)
  const aggregate = new Aggregate(limits)
  const longest = (i: number) => String(i).padStart(64, 'x')
  for (let i = 0; i < 2000; i++) aggregate.add(longest(i), longest(i + 1), longest(i * 7), i % 32, i % 32)
  expect(aggregate.devices.counts.size).toBe(3)
  // Three dimensions of three values and the least one dropped, each of 64 units and a count.
  expect(bytes(aggregate).length).toBeLessThan(3 * 4 * (64 + 16) + 200)
})
