import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEnricher, ENRICHED_FIELDS, type EnrichOptions } from '../../../src/events/enrich.ts'
import { SEED } from '../support.ts'
import { FIELDS, parsed, strictObject } from './support/naive.ts'

const SAMPLE = {
  user_id: '424cdd21-063a-43a7-b91b-7ca1a833afae',
  app_version: '2.3.0',
  device_type: 'android',
  ip: '199.172.111.135',
  locale: 'RU',
  device_id: '593-47-5928',
  timestamp: '1694479551',
}
const PROCESSED = Date.parse('2023-09-12T00:46:00.123Z')
const PLACES: Readonly<Record<string, string>> = { '199.172.111.135': 'US', '2001:db8:1:2::3': 'DE' }
const OPTIONS: EnrichOptions = {
  timeZone: 'UTC',
  geo: ip => ({ country: PLACES[ip] ?? 'unknown', region: 'unknown' }),
  hashUserId: null,
  fields: null,
}

/** The record's JSON and the key, of an event given as JSON text or as an object. */
function enriched(event: unknown, options: Partial<EnrichOptions> = {}, headers?: Record<string, string>) {
  const text = typeof event === 'string' ? event : JSON.stringify(event)
  const outcome = parsed(Buffer.from(text), {}, headers)
  expect(outcome.code).toBe('accepted')
  const { userId, record } = createEnricher({ ...OPTIONS, ...options })(outcome.event, PROCESSED)
  return { userId, text: JSON.stringify(record), record: JSON.parse(JSON.stringify(record)) as Record<string, unknown> }
}

test('the record of the contract, field by field, in a stable order', () => {
  const { userId, text } = enriched(SAMPLE)
  expect(userId).toBe(SAMPLE.user_id)
  expect(text).toBe(
    JSON.stringify({
      user_id: '424cdd21-063a-43a7-b91b-7ca1a833afae',
      app_version: '2.3.0',
      device_type: 'android',
      ip: '199.172.111.0',
      locale: 'RU',
      device_id: '593-47-5928',
      timestamp: 1694479551,
      processed_timestamp: '2023-09-12T00:46:00.123Z',
      readable_timestamp: '2023-09-12T00:45:51.000Z',
      hour_of_day: 0,
      day_part: 'night',
      version_category: '2.3',
      country: 'US',
      region: 'unknown',
    }),
  )
  expect(Object.keys(JSON.parse(text)).toSorted()).toEqual(ENRICHED_FIELDS.toSorted())
})

test('what is missing or invalid is unknown, after the fields that came', () => {
  const { record } = enriched({ timestamp: 1694479551999, extra: { deep: [1] }, ip: '1.2.3', locale: 7, user_id: 42 })
  expect(Object.entries(record)).toEqual([
    ['timestamp', 1694479551],
    ['extra', { deep: [1] }],
    ['ip', 'unknown'],
    ['locale', 'unknown'],
    ['user_id', '42'],
    ['device_type', 'unknown'],
    ['device_id', 'unknown'],
    ['app_version', 'unknown'],
    ['processed_timestamp', '2023-09-12T00:46:00.123Z'],
    ['readable_timestamp', '2023-09-12T00:45:51.999Z'],
    ['hour_of_day', 0],
    ['day_part', 'night'],
    ['version_category', 'unknown'],
    ['country', 'unknown'],
    ['region', 'unknown'],
  ])
})

test.each([
  ['199.172.111.135', '199.172.111.0', 'US'],
  ['::ffff:199.172.111.135', '199.172.111.0', 'US'],
  ['2001:db8:1:2::3', '2001:db8:1::', 'DE'],
  ['10.0.0.1', '10.0.0.0', 'unknown'],
])('%s is masked to %s, and looked up before', (ip, masked, country) => {
  expect(enriched({ ...SAMPLE, ip }).record).toMatchObject({ ip: masked, country, region: 'unknown' })
})

test.each([
  ['iPhone', 'ios'],
  ['Fire TV', 'tv'],
  ['toaster', 'other'],
])('the device type %s is written as %s', (device_type, written) => {
  expect(enriched({ ...SAMPLE, device_type }).record.device_type).toBe(written)
})

test('hours and parts of the day are those of the time zone set', () => {
  const told = { hour_of_day: 20, day_part: 'evening', readable_timestamp: '2023-09-12T00:45:51.000Z' }
  expect(enriched(SAMPLE, { timeZone: 'America/New_York' }).record).toMatchObject(told)
})

test('a hashed user id stands in the record and its key, and the id nowhere', () => {
  const hashUserId = (userId: string) => createHmac('sha256', 'key').update(userId).digest('hex')
  const { userId, text, record } = enriched(SAMPLE, { hashUserId })
  expect(userId).toBe(hashUserId(SAMPLE.user_id))
  expect(record.user_id).toBe(userId)
  expect(text).not.toContain(SAMPLE.user_id)
})

describe('a choice of fields', () => {
  test('is written in its own order, without what the event lacks', () => {
    const fields = ['timestamp', 'hour_of_day', 'user_id', 'extra', 'none', 'toString', 'timestamp']
    expect(enriched({ ...SAMPLE, extra: 1 }, { fields }).text).toBe(
      `{"timestamp":1694479551,"hour_of_day":0,"user_id":"${SAMPLE.user_id}","extra":1}`,
    )
  })

  test('may leave out the user id, which stays the key', () => {
    const { userId, text } = enriched(SAMPLE, { fields: ['country'] })
    expect([userId, text]).toEqual([SAMPLE.user_id, '{"country":"US"}'])
  })

  test('may name __proto__', () => {
    const event = `${JSON.stringify(SAMPLE).slice(0, -1)},"__proto__":{"a":1}}`
    expect(enriched(SAMPLE, { fields: ['__proto__', 'country'] }).text).toBe('{"country":"US"}')
    expect(enriched(event, { fields: ['__proto__', 'country'] }).text).toBe('{"__proto__":{"a":1},"country":"US"}')
  })
})

test('of a CloudEvent the data is enriched, with the time of the envelope', () => {
  const { timestamp: _, ...data } = SAMPLE
  const envelope = { specversion: '1.0', type: 'login', time: '2023-09-12T00:45:51Z', data }
  const { text } = enriched(envelope)
  expect(JSON.parse(text)).toEqual(enriched(SAMPLE).record)
  const binary = { ce_specversion: '1.0', ce_time: '2023-09-12T00:45:51Z' }
  expect(enriched(data, {}, binary).text).toBe(text)
})

test('fields that nobody knows come out as JSON.parse reads them, and all others as they should', () => {
  const own = new Set(ENRICHED_FIELDS)
  const events = fc.tuple(
    fc.record({ user_id: fc.string({ minLength: 1 }), timestamp: fc.integer({ min: 0, max: 4e9 }) }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'toJSON', 'country', ...FIELDS)), fc.jsonValue()),
  )
  fc.assert(
    fc.property(events, fc.boolean(), ([required, others], otherOrder) => {
      const entries = [...Object.entries(others), ...Object.entries(required)]
      if (otherOrder) entries.reverse()
      const value = JSON.stringify(Object.fromEntries(entries))
      const { text, record } = enriched(value)
      const before = strictObject(Buffer.from(value)) as Record<string, unknown>
      const names = Object.keys(before)
      expect(Object.keys(record).slice(0, names.length)).toEqual(names)
      for (const name of names) if (!own.has(name)) expect(record[name]).toEqual(before[name])
      for (const name of own) expect(record).toHaveProperty([name])
      // An enriched record is an event, and the same one.
      expect(enriched(text).text).toBe(text.replace(/"country":"US"/, '"country":"unknown"'))
    }),
    { seed: SEED, numRuns: 500 },
  )
})

test('no whole address is left in a record', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), ip => {
      const masked = enriched({ ...SAMPLE, ip }).record.ip
      fc.pre(ip !== masked)
      expect(enriched({ ...SAMPLE, ip }).text).not.toContain(`"${ip}"`)
    }),
    { seed: SEED },
  )
})
