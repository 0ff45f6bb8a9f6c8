import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeMessage, encodeMessage, type Message, type PartialMessage } from '../../../src/tasks/messages.ts'
import { anyEvents, anyLimits, count, limitsOf } from '../aggregate/support.ts'
import { SEED } from '../support.ts'

const text = (message: Message) => Buffer.from(encodeMessage(message)).toString()

const HEAD = { kind: 'partial', generation: 1, w: 5, p: 3, from: 0, clockAtFrom: 1, through: 9, last: 8 } as const

test('a partial is the JSON of its members, whatever its aggregate holds, and is read back as it was', () => {
  const anyCoverage = fc.option(
    fc.array(fc.constant({ p: 1, from: 2, clockAtFrom: 3, through: 4, twice: [[5, 6] as const] }), { maxLength: 2 }),
  )
  fc.assert(
    fc.property(anyLimits, anyEvents, anyCoverage, (limits, events, coverage) => {
      const message: PartialMessage = { ...HEAD, aggregate: count(events, limits).toJSON(), coverage }
      const { kind, generation, ...rest } = message
      expect(text(message)).toBe(JSON.stringify({ v: 2, kind, g: generation, ...rest }))
      const bytes = encodeMessage(message)
      expect(decodeMessage(bytes, 0, bytes.length)).toEqual(JSON.parse(JSON.stringify(message)))
    }),
    { seed: SEED, numRuns: 500 },
  )
})

test('values that read like a part of the JSON around them leave it as it is', () => {
  const events = ['"u":""', '"},"coverage":', 'u', '\\', '\u2028', 'Ελλάδα', '__proto__', '2', '10'].map(value => {
    return { deviceType: value, locale: value, appVersion: value, country: value }
  })
  const { aggregate, ...message } = { ...HEAD, aggregate: count(events, limitsOf(100)).toJSON(), coverage: [] }
  const json = JSON.parse(text({ ...message, aggregate }))
  expect(json.aggregate).toEqual(JSON.parse(JSON.stringify(aggregate)))
  expect(Object.keys(json.aggregate.d.c)).toHaveLength(events.length)
  expect(json.aggregate.u.length).toBeGreaterThan(0)
})

// Read by other releases: the bytes are a contract.
test('the bytes of a partial stay what they were', () => {
  const events = [
    { userId: 'u1', deviceType: 'ios', locale: 'NY', appVersion: '2', timeMs: 1_700_000_000_123 },
    { userId: 'u2', deviceType: 'tv', locale: 'São', appVersion: '10', deviceId: 'unknown', timeMs: 1_700_000_000_456 },
  ]
  const aggregate = count(events, limitsOf(3)).toJSON()
  expect(text({ ...HEAD, aggregate, coverage: null })).toMatchInlineSnapshot(
    `"{"v":2,"kind":"partial","g":1,"w":5,"p":3,"from":0,"clockAtFrom":1,"through":9,"last":8,"aggregate":{"n":2,"d":{"c":{"ios":1,"tv":1}},"l":{"c":{"NY":1,"São":1}},"v":{"c":{"2":1,"10":1}},"g":{"c":{"1.2":2}},"c":{"c":{"US":2}},"r":{"c":{"US-NY":2}},"m":[0,0,0,0,0],"i":[0,0,0,0,0],"u":"AQAC+9CV/7wxu2830gqVDQABzQIAPTx5xWTaHQEBAAAuyLnL"},"coverage":null}"`,
  )
  const empty = count([], limitsOf(3)).toJSON()
  expect(text({ ...HEAD, aggregate: empty, coverage: null })).toMatchInlineSnapshot(
    `"{"v":2,"kind":"partial","g":1,"w":5,"p":3,"from":0,"clockAtFrom":1,"through":9,"last":8,"aggregate":{"n":0,"d":{"c":{}},"l":{"c":{}},"v":{"c":{}},"g":{"c":{}},"c":{"c":{}},"r":{"c":{}},"m":[0,0,0,0,0],"i":[0,0,0,0,0]},"coverage":null}"`,
  )
})
