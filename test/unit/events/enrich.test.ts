import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEnrichedText, ENRICHED_FIELDS, type EnrichOptions } from '../../../src/events/enrich.ts'
import { createHourReader, dayPartOf } from '../../../src/events/hours.ts'
import { readIp } from '../../../src/events/ip.ts'
import { localeKindOf } from '../../../src/events/locale.ts'
import type { LoginEvent } from '../../../src/events/parse.ts'
import { versionCategory } from '../../../src/events/version.ts'
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

const UNBOUNDED = Number.MAX_SAFE_INTEGER
const same = (name: string) => ({ field: name, as: name })

/** The record's JSON and the key, of an event given as JSON text or as an object. */
function enriched(
  event: unknown,
  options: Partial<EnrichOptions> = {},
  headers?: Record<string, string>,
  maxBytes = UNBOUNDED,
) {
  const given = typeof event === 'string' ? event : JSON.stringify(event)
  const outcome = parsed(Buffer.from(given), {}, headers)
  expect(outcome.code).toBe('accepted')
  const { userId, text } = createEnrichedText({ ...OPTIONS, ...options })(outcome.event, PROCESSED, maxBytes)
  return { userId, text, record: JSON.parse(text) as Record<string, unknown> }
}

/** The naive way, in which the writer must agree byte by byte: an object, written by JSON.stringify. */
function naive(event: LoginEvent, { timeZone, geo, hashUserId, fields }: EnrichOptions, processedMs: number): string {
  const address = event.ip === 'unknown' ? null : readIp(event.ip)
  const place = address === null ? { country: 'unknown', region: 'unknown' } : geo(address.text)
  const hour = createHourReader(timeZone)(event.timeMs)
  const record: Record<string, unknown> = { ...event.fields }
  record.user_id = hashUserId === null ? event.userId : hashUserId(event.userId)
  record.timestamp = Math.floor(event.timeMs / 1000)
  record.device_type = event.deviceType
  record.device_id = event.deviceId
  record.locale = event.locale
  record.app_version = event.appVersion
  record.ip = address === null ? 'unknown' : address.masked
  record.processed_timestamp = new Date(processedMs).toISOString()
  record.readable_timestamp = new Date(event.timeMs).toISOString()
  record.hour_of_day = hour
  record.day_part = dayPartOf(hour)
  record.version_category = versionCategory(event.appVersion)
  record.locale_kind = localeKindOf(event.locale)
  record.country = place.country
  record.region = place.region
  if (fields === null) return JSON.stringify(record)
  const chosen = fields.filter(({ field }) => Object.hasOwn(record, field))
  return `{${chosen.map(({ field, as }) => `${JSON.stringify(as)}:${JSON.stringify(record[field])}`).join(',')}}`
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
      locale_kind: 'country',
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
    ['locale_kind', 'unknown'],
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
  test('is written in its own order and under its own names, without what the event lacks', () => {
    const fields = [
      same('timestamp'),
      { field: 'processed_timestamp', as: 'processed_at' },
      same('user_id'),
      { field: 'user_id', as: 'id' },
      { field: 'extra', as: 'the "extra"' },
      same('none'),
      same('toString'),
      { field: 'app_version', as: '2' },
      { field: 'locale', as: '1' },
    ]
    const id = SAMPLE.user_id
    expect(enriched({ ...SAMPLE, extra: 1 }, { fields }).text).toBe(
      `{"timestamp":1694479551,"processed_at":"2023-09-12T00:46:00.123Z","user_id":"${id}","id":"${id}","the \\"extra\\"":1,"2":"2.3.0","1":"RU"}`,
    )
  })

  test('may leave out the user id, which stays the key', () => {
    const { userId, text } = enriched(SAMPLE, { fields: [same('country')] })
    expect([userId, text]).toEqual([SAMPLE.user_id, '{"country":"US"}'])
  })

  test('may name only what the event lacks', () => {
    expect(enriched(SAMPLE, { fields: [same('none')] }).text).toBe('{}')
  })

  test('may name __proto__', () => {
    const event = `${JSON.stringify(SAMPLE).slice(0, -1)},"__proto__":{"a":1}}`
    const fields = ['__proto__', 'country'].map(same)
    expect(enriched(SAMPLE, { fields }).text).toBe('{"country":"US"}')
    expect(enriched(event, { fields }).text).toBe('{"__proto__":{"a":1},"country":"US"}')
  })

  test('never writes a name twice', () => {
    expect(() => enriched(SAMPLE, { fields: [same('ip'), { field: 'locale', as: 'ip' }] })).toThrow('written twice')
  })
})

describe('a record that would be too large', () => {
  const contract = enriched(SAMPLE).text
  const sizes = [
    ['x'.repeat(500), 500],
    ['é'.repeat(500), 1000],
    ['€'.repeat(500), 1500],
    ['👋'.repeat(250), 1000],
    ['\n'.repeat(250), 500],
  ] as const

  test.each(sizes)('has the fields of the contract only: %#', (extra, bytes) => {
    const event = { extra, ...SAMPLE, more: 1 }
    const { text } = enriched(event)
    expect(Buffer.byteLength(text)).toBe(contract.length + '"extra":"",'.length + bytes + '"more":1,'.length)
    expect(enriched(event, {}, undefined, Buffer.byteLength(text)).text).toBe(text)
    expect(enriched(event, {}, undefined, Buffer.byteLength(text) - 1).text).toBe(contract)
  })

  test('keeps a choice of fields', () => {
    const fields = [same('extra'), { field: 'locale', as: 'place' }]
    expect(enriched({ ...SAMPLE, extra: 'x'.repeat(100) }, { fields }, undefined, 50).text).toBe('{"place":"RU"}')
  })

  test('comes to at most 8 KiB whatever the event', () => {
    const event = { ...SAMPLE, ...Object.fromEntries(FIELDS.map(name => [name, '\u0001'.repeat(64)])) }
    const { text } = enriched({ ...event, user_id: '\u0001'.repeat(256), x: 'x'.repeat(20_000) }, {}, undefined, 8192)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(8192)
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

describe('by properties', () => {
  const texts = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 20 }))
  const known = fc.record(
    {
      device_type: fc.oneof(texts, fc.constantFrom('iPhone', 'web', 7)),
      device_id: fc.oneof(texts, fc.constant(null)),
      locale: fc.oneof(texts, fc.constantFrom('NY', 'en-CA', 'RU')),
      app_version: fc.oneof(texts, fc.constantFrom('2.3.0', 'v1')),
      ip: fc.oneof(fc.ipV4(), fc.ipV6(), texts, fc.constantFrom(...Object.keys(PLACES))),
    },
    { requiredKeys: [] },
  )
  const required = fc.record({
    user_id: texts.filter(text => text !== '' && text.isWellFormed()),
    timestamp: fc.oneof(fc.integer({ min: 0, max: 4e9 }), fc.integer({ min: 1e11, max: 4e12 })),
  })
  const names = fc.oneof(texts, fc.constantFrom('__proto__', 'toJSON', '0', '17', ...ENRICHED_FIELDS))
  const choices = fc.option(
    fc.uniqueArray(fc.record({ field: names, as: texts }), { selector: ({ as }) => as, maxLength: 12 }),
  )
  const events = fc
    .tuple(fc.dictionary(names, fc.jsonValue(), { maxKeys: 6 }), known, required, fc.boolean())
    .map(([others, ...rest]) => {
      const entries = [others, ...rest.slice(0, 2)].flatMap(part => Object.entries(part))
      return JSON.stringify(Object.fromEntries(rest[2] ? entries.toReversed() : entries))
    })

  test('the text is what JSON.stringify makes of the naive record, for events one after the other', () => {
    const zones = fc.constantFrom('UTC', 'America/New_York', 'Asia/Kathmandu', 'Africa/Monrovia')
    fc.assert(
      fc.property(fc.array(events, { minLength: 1, maxLength: 5 }), choices, zones, (stream, fields, timeZone) => {
        const options = { ...OPTIONS, timeZone, fields }
        const write = createEnrichedText(options)
        for (const [i, value] of stream.entries()) {
          const { code, event } = parsed(Buffer.from(value))
          if (code !== 'accepted') continue
          const processedMs = PROCESSED + (i >> 1)
          expect(write(event, processedMs, UNBOUNDED).text).toBe(naive(event, options, processedMs))
        }
      }),
      { seed: SEED, numRuns: 1000 },
    )
  })
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
