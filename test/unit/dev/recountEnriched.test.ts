import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readEvent } from '../../../src/audit/event.ts'
import { createWantedRecord, type EnrichedRules, OPEN } from '../../../src/dev/recountEnriched.ts'
import { recountLocaleKind } from '../../../src/dev/recountLocales.ts'
import { createEnrichedText, ENRICHED_FIELDS } from '../../../src/events/enrich.ts'
import { localeKindOf } from '../../../src/events/locale.ts'
import { createEventParser, emptyEvent } from '../../../src/events/parse.ts'
import { SEED } from '../support.ts'

const RULES: EnrichedRules = { fields: null, timeZone: 'UTC', userIdKey: null }
const READING = { maxFutureSkewMs: 0, maxEventBytes: 100_000, validationRequired: [] }
const NEVER = Date.parse('9999-12-31T23:59:59.999Z')

function wanted(fields: object, rules: Partial<EnrichedRules> = {}) {
  const value = Buffer.from(JSON.stringify({ user_id: 'u', timestamp: 1694479551.5, ...fields }))
  const event = readEvent({ partition: 0, offset: 0, timestamp: NEVER, value }, READING)
  if (typeof event === 'string') throw new Error(event)
  return createWantedRecord({ ...RULES, ...rules })(event)
}

test('a record is what the contract says, field by field', () => {
  const event = { user_id: 42, device_type: 'iPhone', ip: '199.172.111.135', locale: 'NY', app_version: '2.3.0-rc.1' }
  expect(wanted({ ...event, day_part: 'never', extra: [1] })).toEqual({
    userId: '42',
    contract: {
      user_id: '42',
      timestamp: 1694479551,
      device_type: 'ios',
      device_id: 'unknown',
      locale: 'NY',
      app_version: '2.3.0-rc.1',
      ip: '199.172.111.0',
      processed_timestamp: OPEN,
      readable_timestamp: '2023-09-12T00:45:51.500Z',
      hour_of_day: 0,
      day_part: 'night',
      version_category: '2.3',
      locale_kind: 'state',
      country: OPEN,
      region: OPEN,
    },
    others: { extra: [1] },
  })
})

test.each([
  ['::ffff:199.172.111.135', '199.172.111.0'],
  ['::FFFF:c7ac:6f87', '199.172.111.0'],
  ['2001:DB8:1:2::3', '2001:db8:1::'],
  ['2002:c7ac:6f87:1::1', '2002:c7ac:6f00::'],
  ['1:0:0:4:5:6:7:8', '1::'],
  ['0:5::1', '0:5::'],
  ['::1', '::'],
  ['1.2.3', 'unknown'],
])('the address %s is masked to %s', (ip, masked) => expect(wanted({ ip }).contract.ip).toBe(masked))

test.each([
  ['2', '2.0'],
  ['v10.04.1', '10.4'],
  ['12345678901234567.2.3', '2.3'],
  ['1.12345678901234567', '1.0'],
  ['9999999999999999.1', 'unknown'],
  ['1 2', '1.0'],
  ['nightly', 'unknown'],
])('the version %s is of %s', (app_version, category) => {
  expect(wanted({ app_version }).contract.version_category).toBe(category)
})

test('hours are those of the zone, and user ids are hashed by the key', () => {
  expect(wanted({}, { timeZone: 'Asia/Kolkata' }).contract).toMatchObject({ hour_of_day: 6, day_part: 'morning' })
  const key = Buffer.from('0123456789abcdef')
  const hash = createHmac('sha256', key).update('u').digest('hex')
  const { userId, contract } = wanted({}, { userIdKey: { key, id: '1' } })
  expect([userId, contract.user_id]).toEqual([hash, hash])
})

describe('the naive reading and the real enrichment agree', () => {
  const digits = fc.stringMatching(/^[v0-9. -]{0,24}$/)
  const fields = fc.record(
    {
      user_id: fc.oneof(fc.string({ minLength: 1 }), fc.maxSafeInteger()),
      timestamp: fc.oneof(fc.integer({ min: 0, max: 253_402_300_799 }), fc.integer({ min: 1e11, max: 2.5e14 })),
      device_type: fc.oneof(fc.string(), fc.constantFrom('Fire TV', 'SM-G991B', 'Apple Watch', 'CrOS', 'tvOS 17')),
      device_id: fc.oneof(fc.string(), fc.integer()),
      locale: fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z]{2,3}([-_][a-zA-Z]{2,4})?$/)),
      app_version: fc.oneof(fc.string(), digits),
      ip: fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom('::ffff:1.2.3.4', '2002:1:2:3::')),
      country: fc.jsonValue(),
      extra: fc.jsonValue(),
    },
    { requiredKeys: ['user_id', 'timestamp'] },
  )

  test('on any event', () => {
    const enrich = createEnrichedText({
      timeZone: 'Australia/Lord_Howe',
      geo: () => ({ country: 'US', region: 'US-NY' }),
      hashUserId: null,
      fields: null,
    })
    const parse = createEventParser(READING, true)
    fc.assert(
      fc.property(fields, given => {
        const value = Buffer.from(JSON.stringify(given))
        const event = emptyEvent()
        const code = parse(value, 0, value.length, event)
        const naive = readEvent({ partition: 0, offset: 0, timestamp: NEVER, value }, READING)
        if (typeof naive === 'string' || code !== null) return expect(naive).toBe(code)
        const { userId, contract, others } = createWantedRecord({ ...RULES, timeZone: 'Australia/Lord_Howe' })(naive)
        const real = enrich(event, 0, 1e9)
        const found = JSON.parse(real.text) as Record<string, unknown>
        expect(real.userId).toBe(userId)
        for (const [name, wantedValue] of Object.entries({ ...others, ...contract })) {
          if (wantedValue !== OPEN) expect(found[name], name).toEqual(wantedValue)
        }
        expect(Object.keys(found).toSorted()).toEqual([...Object.keys(others), ...ENRICHED_FIELDS].toSorted())
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  test('on what any two letters name', () => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('')
    const codes = letters.flatMap(a => letters.map(b => a + b))
    const differing = codes.filter(code =>
      [code, `en-${code}`, `us_${code}`, `zh-hant-${code}`, `x-${code}`].some(
        locale => recountLocaleKind(locale) !== localeKindOf(locale),
      ),
    )
    expect(differing).toEqual([])
  })
})
