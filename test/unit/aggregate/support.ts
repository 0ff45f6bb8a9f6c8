import fc from 'fast-check'
import { Aggregate, type AggregateJson, type AggregateLimits } from '../../../src/aggregate/aggregate.ts'

/** An event as an aggregate counts it, and what others found out about it. */
export type Counted = {
  readonly userId: string
  readonly deviceId: string
  readonly timeMs: number
  readonly deviceType: string
  readonly locale: string
  readonly appVersion: string
  readonly missing: number
  readonly invalid: number
  readonly category: string
  readonly country: string
  readonly region: string
}

export const PLAIN: Counted = {
  userId: 'u',
  deviceId: 'd',
  timeMs: 0,
  deviceType: 'ios',
  locale: 'NY',
  appVersion: '1.2.3',
  missing: 0,
  invalid: 0,
  category: '1.2',
  country: 'US',
  region: 'US-NY',
}

export const GAP_MS = 10

export const limitsOf = (dimensionValues: number, userSample = 4): AggregateLimits => {
  return { dimensionValues, qualityFields: 5, userSample, sessionGapMs: GAP_MS }
}

const value = fc.oneof(
  fc.constantFrom(
    ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '0', '1', '10', '2', '-1', '01', '', 'a', 'b', 'c'],
  ),
  fc.constantFrom('unknown', '(other)', '\ud800', '\udfff', '\u0000', 'ä', '\u{1f600}'),
  fc.integer({ min: 0, max: 30 }).map(i => `v${i}`),
)
const bits = fc.integer({ min: 0, max: 31 })

export const anyEvent: fc.Arbitrary<Counted> = fc.record({
  userId: fc.oneof(fc.nat(12).map(String), value),
  // Few users with more devices than are told apart, and many with few.
  deviceId: fc.oneof(fc.constantFrom('unknown', 'd0', 'd1'), fc.nat(40).map(String)),
  timeMs: fc.nat(150),
  deviceType: value,
  locale: value,
  appVersion: value,
  missing: bits,
  invalid: bits,
  category: value,
  country: value,
  region: value,
})
export const anyEvents = fc.array(anyEvent, { maxLength: 30 })
export const anyLimits = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 8 }))
  .map(([values, users]) => limitsOf(values, users))

export function count(list: readonly Partial<Counted>[], limits: AggregateLimits): Aggregate {
  const aggregate = new Aggregate(limits)
  for (const one of list) {
    const event = { ...PLAIN, ...one }
    aggregate.add(event, event.category, event.country, event.region)
  }
  return aggregate
}

export function merged(limits: AggregateLimits, ...parts: readonly Aggregate[]): Aggregate {
  const sum = new Aggregate(limits)
  for (const part of parts) sum.merge(part)
  return sum
}

export const bytes = (aggregate: Aggregate) => JSON.stringify(aggregate)

/** The aggregate after a journey as a partial. */
export const stored = (aggregate: Aggregate, limits: AggregateLimits) => {
  return Aggregate.fromJSON(JSON.parse(bytes(aggregate)) as AggregateJson, limits)
}

/** A text of its own for each number, as user ids are. */
export const user = (i: number) => `user-${i}`
