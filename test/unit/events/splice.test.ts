import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { ByteWriter } from '../../../src/events/byteWriter.ts'
import { createEnrichedText, type EnrichOptions } from '../../../src/events/enrich.ts'
import type { LoginEvent } from '../../../src/events/parse.ts'
import { createEnrichedSplice } from '../../../src/events/splice.ts'
import { Term } from '../../../src/events/term.ts'
import { SEED } from '../support.ts'
import { parsed } from './support/naive.ts'

const PROCESSED = Date.parse('2023-09-12T00:46:00.123Z')
const OPTIONS: EnrichOptions = {
  timeZone: 'UTC',
  geo: () => ({ country: 'US', region: 'US-NY' }),
  hashUserId: null,
  fields: null,
}
const MOMENT = { readable_timestamp: '2023-09-12T00:45:51.042Z' }
const UNKNOWN = { ip: 'unknown', locale: 'unknown', country: 'unknown' }
const SAMPLE =
  '{"user_id":"424cdd21","app_version":"2.3.0","device_type":"android","ip":"199.172.111.135","locale":"RU",' +
  '"device_id":"593-47-5928","timestamp":1694479551}'

const hashUserId = (id: string) => createHmac('sha256', 'key').update(id).digest('hex')

/** An event as a task hands it on: read, and with its place. */
function eventOf(json: string): LoginEvent {
  const { code, event } = parsed(Buffer.from(json))
  expect(code).toBe('accepted')
  event.place = event.ip === 'unknown' ? new Term(0, 'unknown', 'unknown') : new Term(1, 'US', 'US-NY')
  return event
}

type Splice = ReturnType<typeof createEnrichedSplice>

function written(splice: Splice, event: LoginEvent, processedMs = PROCESSED) {
  // It goes on behind what is there, and outgrows its first bytes.
  const out = new ByteWriter(8)
  out.ascii('before')
  splice.key(event, out)
  const keyEnd = out.length
  splice.value(event, processedMs, out)
  const text = (from: number, to: number) => Buffer.from(out.bytes.subarray(from, to)).toString()
  expect(text(0, 6)).toBe('before')
  return { key: text(6, keyEnd), value: text(keyEnd, out.length) }
}

const spliced = (json: string, options: Partial<EnrichOptions> = {}) => {
  const splice = createEnrichedSplice({ ...OPTIONS, ...options })
  const event = eventOf(json)
  expect(splice.takes(event)).toBe(true)
  return written(splice, event).value
}

test('the record of a plain event is its own bytes, changed in their places, and what is added', () => {
  expect(spliced(SAMPLE)).toBe(
    '{"user_id":"424cdd21","app_version":"2.3.0","device_type":"android","ip":"199.172.111.0","locale":"RU",' +
      '"device_id":"593-47-5928","timestamp":1694479551,"processed_timestamp":"2023-09-12T00:46:00.123Z",' +
      '"readable_timestamp":"2023-09-12T00:45:51.000Z","hour_of_day":0,"day_part":"night","version_category":"2.3",' +
      '"locale_kind":"country","country":"US","region":"US-NY"}',
  )
})

describe('in a record', () => {
  it.each([
    ['a user id that is a number is a text', '"user_id":17,"timestamp":1', { user_id: '17' }],
    ['digits as text are seconds', '"user_id":"u","timestamp":"1694479551"', { timestamp: 1_694_479_551 }],
    ['also with zeros before them', '"user_id":"u","timestamp":"0094479551"', { timestamp: 94_479_551 }],
    ['milliseconds become seconds', '"user_id":"u","timestamp":1694479551042', { timestamp: 1_694_479_551 }],
    ['a moment keeps its milliseconds elsewhere', '"user_id":"u","timestamp":1694479551042', MOMENT],
    ['a device type is normalised', '"user_id":"u","timestamp":1,"device_type":"iPhone"', { device_type: 'ios' }],
    ['of another length or another case', '"user_id":"u","timestamp":1,"device_type":"IOS"', { device_type: 'ios' }],
    ['what is null or empty is unknown', '"user_id":"u","timestamp":1,"ip":null,"locale":""', UNKNOWN],
    ['IPv6 is masked', '"user_id":"u","timestamp":1,"ip":"2001:db8:1:2::3"', { ip: '2001:db8:1::' }],
    ['IPv4 inside of IPv6, too', '"user_id":"u","timestamp":1,"ip":"::ffff:1.2.3.4"', { ip: '1.2.3.0' }],
    ['other fields stay', '"a":[1, {"b":"\\u0041"}],"user_id":"u","timestamp":1', { a: [1, { b: 'A' }] }],
  ])('%s', (_, members, wanted) => {
    expect(JSON.parse(spliced(`{${members}}`))).toMatchObject(wanted)
  })

  it('blanks stay, also behind the object', () => {
    const value = spliced('{ "user_id": "u",\n "timestamp": 1694479551 } \n')
    expect(value).toMatch(/^\{ "user_id": "u",\n "timestamp": 1694479551 ,"device_type":"unknown",/)
    expect(value).toMatch(/"region":"unknown"\}$/)
  })

  it('values of fields that nobody knows keep their own bytes', () => {
    expect(spliced('{"n":1.0,"big":12345678901234567890,"user_id":"u","timestamp":1}')).toContain(
      '{"n":1.0,"big":12345678901234567890,',
    )
  })

  it('a hashed user id replaces the one that came, and is the key', () => {
    const splice = createEnrichedSplice({ ...OPTIONS, hashUserId })
    const { key, value } = written(splice, eventOf(SAMPLE))
    expect(key).toBe(hashUserId('424cdd21'))
    expect(JSON.parse(value).user_id).toBe(key)
    expect(value).not.toContain('424cdd21')
  })
})

test('events that have a field of an added name, or were not read in place, are not taken', () => {
  const { takes } = createEnrichedSplice(OPTIONS)
  expect(takes(eventOf('{"user_id":"u","timestamp":1,"country":"DE"}'))).toBe(false)
  expect(takes(eventOf('{"user_id":"\\u0075","timestamp":1}'))).toBe(false)
  expect(takes(eventOf('{"user_id":"u","timestamp":1,"timestamp":2}'))).toBe(false)
  expect(takes(eventOf('{"user_id":"u","timestamp":1,"Country":"DE"}'))).toBe(true)
})

test('terms that take the number of an earlier one are told apart', () => {
  const splice = createEnrichedSplice(OPTIONS)
  const event = eventOf(SAMPLE)
  for (const [category, country] of [
    ['1.1', 'DE'],
    ['1.2', 'FR'],
  ] as const) {
    event.version = new Term(5, 'v', category)
    event.place = new Term(5, country, 'unknown')
    expect(JSON.parse(written(splice, event).value)).toMatchObject({ version_category: category, country })
  }
})

const texts = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom('', 'android', 'IPAD', 'NY', 'en-CA', '2.10.1', '日本', 'unknown', null),
)
const addresses = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::ffff:1.2.3.4', '2002:1:2:3::', '1.2.3', '', null))
const timestamp = fc.oneof(
  fc.integer({ min: 0, max: 4e9 }),
  fc.integer({ min: 1e11, max: 4e12 }),
  fc.integer({ min: 0, max: 4e9 }).map(String),
  fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map(date => date.toISOString()),
)
const known = fc.record(
  { device_type: texts, device_id: texts, locale: texts, app_version: texts, ip: addresses },
  { requiredKeys: [] },
)
const members = fc
  .tuple(known, fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue(), { maxKeys: 2 }), fc.boolean())
  .map(([own, others, last]) => (last ? [own, others] : [others, own]).flatMap(part => Object.entries(part)))
const spaces = fc.constantFrom('', '', ' ', '\n ')

/** A JSON object of these members in some order, with blanks. */
const json = fc
  .tuple(members, fc.oneof(texts, fc.maxSafeInteger()), timestamp, fc.boolean(), spaces)
  .map(([others, userId, time, last, space]) => {
    const own: [string, unknown][] = [
      ['user_id', userId],
      ['timestamp', time],
    ]
    const all = last ? [...others, ...own] : [...own, ...others]
    return `{${all.map(([name, each]) => `${space}${JSON.stringify(name)}:${space}${JSON.stringify(each)}`)}}`
  })

test('as JSON the record is the one that is written as a text, for events one after the other', () => {
  const zones = fc.constantFrom('UTC', 'America/New_York', 'Asia/Kathmandu')
  let taken = 0
  fc.assert(
    fc.property(fc.array(json, { minLength: 1, maxLength: 4 }), zones, fc.boolean(), (stream, timeZone, hashed) => {
      const options = { ...OPTIONS, timeZone, hashUserId: hashed ? hashUserId : null }
      const splice = createEnrichedSplice(options)
      const enrich = createEnrichedText(options)
      for (const [i, each] of stream.entries()) {
        if (parsed(Buffer.from(each)).code !== 'accepted') continue
        const event = eventOf(each)
        if (!splice.takes(event)) continue
        taken++
        const { key, value: record } = written(splice, event, PROCESSED + i)
        const { userId, text } = enrich(event, PROCESSED + i, Number.MAX_SAFE_INTEGER)
        expect(key).toBe(userId)
        expect(JSON.parse(record)).toEqual(JSON.parse(text))
      }
    }),
    { seed: SEED, numRuns: 500 },
  )
  expect(taken).toBeGreaterThan(50)
})
