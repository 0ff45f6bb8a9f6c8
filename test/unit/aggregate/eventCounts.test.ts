import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Aggregate, type AggregateLimits } from '../../../src/aggregate/aggregate.ts'
import { Counter } from '../../../src/aggregate/counter.ts'
import { EventCounts } from '../../../src/aggregate/eventCounts.ts'
import { hashAscii, hashText } from '../../../src/aggregate/hash.ts'
import { PlaceCounts } from '../../../src/aggregate/placeCounts.ts'
import { TermCounts } from '../../../src/aggregate/termCounts.ts'
import { NO_SHARES } from '../../../src/dev/generator/eventOptions.ts'
import { createEventSource } from '../../../src/dev/generator/eventSource.ts'
import { createEventParser, createFullParser, emptyEvent } from '../../../src/events/parse.ts'
import { placeTermOf } from '../../../src/events/placeTerms.ts'
import { Term } from '../../../src/events/term.ts'
import { versionCategory } from '../../../src/events/version.ts'
import { SEED } from '../support.ts'
import { anyLimits, bytes, limitsOf } from './support.ts'

const RULES = { maxEventBytes: 1 << 20, validationRequired: [] }
const encoder = new TextEncoder()
const PLACES = ['US/US-NY', 'US/unknown', 'DE/DE-BE', 'unknown/unknown'].map(text => {
  const [country, region] = text.split('/') as [string, string]
  return { country, region }
})

type Placed = { readonly value: Uint8Array; readonly place: number }

/** The stored form after each so many events, by counting in place and by adding texts one after the other. */
function bothWays(events: readonly Placed[], limits: AggregateLimits, lookEvery: number): void {
  const [scan, full] = [createEventParser(RULES), createFullParser(RULES)]
  const counts = new EventCounts(limits)
  const plain = new Aggregate(limits)
  const [event, oracle] = [emptyEvent(), emptyEvent()]
  for (const [i, { value, place }] of events.entries()) {
    const where = PLACES[place] as (typeof PLACES)[number]
    expect(scan(value, 0, value.length, event)).toBe(full(value, 0, value.length, oracle))
    counts.add(event, placeTermOf(where))
    plain.add(oracle, versionCategory(oracle.appVersion), where.country, where.region)
    expect(counts.users).toBe(plain.users.size)
    if ((i + 1) % lookEvery === 0) expect(bytes(counts.aggregate)).toBe(bytes(plain))
  }
  expect(bytes(counts.aggregate)).toBe(bytes(plain))
}

const text = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'unknown', '__proto__', '0', '10', '2', 'é', '\u{1f600}', ''),
  fc.nat(30).map(i => `v${i}`),
)
const field = fc.oneof({ weight: 8, arbitrary: text }, fc.constantFrom<unknown>(null, 7, undefined))
const anyPlaced = fc
  .record({
    user_id: fc.oneof(fc.nat(12), fc.nat(40).map(String), fc.constantFrom('é', 'unknown')),
    timestamp: fc.nat(1_000),
    device_type: field,
    device_id: field,
    locale: field,
    app_version: fc.oneof(
      field,
      fc.nat(30).map(i => `${i % 4}.${i}`),
    ),
  })
  .chain(event => fc.nat(PLACES.length - 1).map(place => ({ value: encoder.encode(JSON.stringify(event)), place })))

test('events counted in place come to the same bytes as their texts added one after the other', () => {
  fc.assert(
    fc.property(
      anyLimits,
      fc.array(anyPlaced, { maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      (limits, events, lookEvery) => bothWays(events, limits, lookEvery),
    ),
    { seed: SEED, numRuns: 500 },
  )
})

test.each([50, 5_000])('so do those of %i users who log in as people do', users => {
  const source = createEventSource({ partitions: 1, users, variedClients: 0.2, shares: NO_SHARES })
  const events = Array.from({ length: 6_000 }, (_, i) => {
    return { value: source.next(1_760_000_000_000 + i).value as Buffer, place: i % PLACES.length }
  })
  const own = events.filter(({ value }) => !value.includes('specversion') && value.includes('"timestamp"'))
  bothWays(own, limitsOf(20, 64), 1_000)
})

test('terms that fall into one slot, or have the id of another, are each counted for themselves', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3), fc.nat(2_000)), { maxLength: 200 }),
      fc.integer({ min: 1, max: 50 }),
      (drawn, foldEvery) => {
        const [counter, derived] = [new Counter(10_000), new Counter(10_000)]
        const counts = new TermCounts(counter, derived)
        // Of each dictionary's life another object for the same id, as after it was emptied.
        const terms = new Map<string, Term>()
        const truth = new Map<string, number>()
        for (const [i, [life, id]] of drawn.entries()) {
          const name = `${life}/${id}`
          const term = terms.get(name) ?? new Term(id, name, `d${id % 3}`)
          terms.set(name, term)
          truth.set(name, (truth.get(name) ?? 0) + 1)
          counts.add(term)
          if (i % foldEvery === 0) counts.fold()
        }
        counts.fold()
        counts.fold()
        expect(counter.counts).toEqual(truth)
        const derivedCount = [...derived.counts.values()].reduce((sum, count) => sum + count, 0)
        expect(derivedCount).toBe(drawn.length)
      },
    ),
    { seed: SEED },
  )
})

test('places are counted by the numbers that they have in their table, whichever that was', () => {
  const table = (...names: string[]) => ({ terms: names.map((name, id) => new Term(id, name, `of ${name}`)) })
  const [before, after] = [table('a', 'b'), table('b', 'c', ...Array.from({ length: 40 }, (_, i) => `p${i}`), 'z')]
  const [countries, regions] = [new Counter(100), new Counter(100)]
  const counts = new PlaceCounts(countries, regions)
  const count = (in_: ReturnType<typeof table>, number: number) => {
    counts.countsOf(in_)[number]! += 1
  }
  count(before, 0)
  count(before, 1)
  count(after, 0)
  count(after, 42)
  counts.add(before.terms[0] as Term)
  after.terms.push(new Term(43, 'late'))
  count(after, 43)
  counts.fold()
  count(before, 1)
  counts.fold()
  counts.fold()
  expect(Object.fromEntries(countries.counts)).toEqual({ a: 2, b: 3, z: 1, late: 1 })
  expect(Object.fromEntries(regions.counts)).toEqual({ 'of a': 2, 'of b': 3, 'of z': 1, '': 1 })
})

test('a hash by the bytes of ASCII is that of the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), before => {
      const all = encoder.encode(`x${before}y`)
      expect(hashAscii(all, 1, all.length - 1) >>> 0).toBe(hashText(before))
    }),
    { seed: SEED },
  )
})
