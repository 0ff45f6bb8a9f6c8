import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRecount, type WindowCount } from '../../../src/dev/recount.ts'
import { OPTIONAL_FIELDS } from '../../../src/events/codes.ts'
import { MAX_LENGTHS } from '../../../src/events/fields.ts'
import { createEventParser, emptyEvent } from '../../../src/events/parse.ts'
import { bytesOf, SEED } from '../support.ts'

const REQUIRED = ['user_id', 'timestamp']
const SECONDS = 1694477550
const whole = {
  user_id: 'u',
  timestamp: SECONDS,
  device_type: 'ios',
  device_id: 'd',
  locale: 'NY',
  app_version: '2',
  ip: '1.1.1.1',
}

function parse(value: unknown, validationRequired: readonly string[] = REQUIRED, maxEventBytes = 1024) {
  const event = emptyEvent()
  const bytes = bytesOf(value)
  const at = bytes === null ? -1 : 1
  const padded = new Uint8Array([0x20, ...(bytes ?? []), 0x20])
  const code = createEventParser({ maxEventBytes, validationRequired })(padded, at, at + (bytes?.length ?? 0), event)
  return { code, event }
}

const utf8 = (...bytes: number[]) => new Uint8Array([...new TextEncoder().encode('{"user_id":"'), ...bytes, 0x22, 0x7d])

describe('a record that is no event is rejected with the first code that fits', () => {
  test.each<[string, unknown, string]>([
    ['null', null, 'empty_value'],
    ['nothing', '', 'empty_value'],
    ['1,025 bytes', 'x'.repeat(1025), 'too_large'],
    ['1,025 bytes, not UTF-8', new Uint8Array(1025).fill(0xff), 'too_large'],
    ['a lone continuation byte', utf8(0x80), 'not_utf8'],
    ['a cut sequence', utf8(0xe2, 0x82), 'not_utf8'],
    ['an overlong slash', utf8(0xc0, 0xaf), 'not_utf8'],
    ['an encoded surrogate', utf8(0xed, 0xa0, 0x80), 'not_utf8'],
    ['past U+10FFFF', utf8(0xf4, 0x90, 0x80, 0x80), 'not_utf8'],
    ['a BOM in front', `\ufeff${JSON.stringify(whole)}`, 'not_json'],
    ['cut JSON', '{"user_id":', 'not_json'],
    ['64 brackets', '['.repeat(64), 'not_json'],
    ['1,024 brackets', '['.repeat(1024), 'too_deep'],
    ['two values', '{} {}', 'not_json'],
    ['blanks', '  ', 'not_json'],
    ['an array', [whole], 'not_an_object'],
    ['a text', '"user_id"', 'not_an_object'],
    ['null in JSON', 'null', 'not_an_object'],
    ['no user', { timestamp: SECONDS }, 'missing_user_id'],
    ['a null user', { ...whole, user_id: null }, 'missing_user_id'],
    ['an empty user', { ...whole, user_id: '' }, 'missing_user_id'],
    ['a user under __proto__', `{"__proto__":${JSON.stringify(whole)}}`, 'missing_user_id'],
    ['a false user', { ...whole, user_id: false }, 'invalid_user_id'],
    ['half a user', { ...whole, user_id: 1.5 }, 'invalid_user_id'],
    ['a user past 2^53', '{"user_id":9007199254740992,"timestamp":1}', 'invalid_user_id'],
    ['257 units', { ...whole, user_id: 'x'.repeat(257) }, 'invalid_user_id'],
    ['a bad user and no time', { user_id: [] }, 'invalid_user_id'],
    ['no time', { user_id: 'u' }, 'missing_timestamp'],
    ['an empty time', { ...whole, timestamp: '' }, 'missing_timestamp'],
    ['no such day', { ...whole, timestamp: '2023-02-30' }, 'invalid_timestamp'],
    ['of two equal keys the last', '{"user_id":"u","timestamp":1,"timestamp":null}', 'missing_timestamp'],
  ])('%s: %#', (_, value, code) => {
    expect(parse(value).code).toBe(code)
  })

  test('the bounds themselves are allowed', () => {
    expect(parse({ ...whole, user_id: 'x'.repeat(256) }).code).toBeNull()
    expect(parse({ ...whole, user_id: '\u{1f600}'.repeat(128) }).code).toBeNull()
    const text = JSON.stringify(whole)
    expect(parse(text, REQUIRED, text.length).code).toBeNull()
    expect(parse(text, REQUIRED, text.length - 1).code).toBe('too_large')
  })

  test('a rejection leaves nothing behind for the next record', () => {
    const parser = createEventParser({ maxEventBytes: 1024, validationRequired: REQUIRED })
    const cut = utf8(0xe2, 0x82)
    const good = bytesOf(whole)!
    const event = emptyEvent()
    expect(parser(cut, 0, cut.length, event)).toBe('not_utf8')
    expect(parser(good, 0, good.length, event)).toBeNull()
  })
})

describe('the fields of an event', () => {
  test('a number is the user of its decimal text', () => {
    expect(parse({ ...whole, user_id: 17 }).event.userId).toBe('17')
    expect(parse({ ...whole, user_id: 0 }).event.userId).toBe('0')
  })

  test.each(OPTIONAL_FIELDS.map((field, i) => [field, i] as const))('%s may be missing or invalid', (field, i) => {
    const { [field]: _, ...without } = whole
    for (const value of [without, { ...whole, [field]: null }, { ...whole, [field]: '' }]) {
      expect(parse(value)).toMatchObject({ code: null, event: { missing: 1 << i, invalid: 0 } })
      expect(parse(value, [...REQUIRED, field]).code).toBe(`missing_${field}`)
    }
    const longest = MAX_LENGTHS[field]
    for (const value of [7, false, [], {}, '\ud800', 'x'.repeat(longest + 1)]) {
      const event = { ...whole, [field]: value }
      expect(parse(event)).toMatchObject({ code: null, event: { missing: 0, invalid: 1 << i } })
      expect(parse(event, [...REQUIRED, field]).code).toBe(`invalid_${field}`)
    }
    const value = field === 'ip' ? `${'ffff:'.repeat(7)}ffff` : 'x'.repeat(longest)
    expect(parse({ ...whole, [field]: value })).toMatchObject({ code: null, event: { missing: 0, invalid: 0 } })
  })

  test('what is missing or invalid is unknown', () => {
    const { event } = parse({ user_id: 'u', timestamp: SECONDS, locale: 5 })
    expect(event).toMatchObject({
      deviceType: 'unknown',
      locale: 'unknown',
      appVersion: 'unknown',
      missing: 27,
      invalid: 4,
    })
  })

  test('the first failing field in the fixed order names the rejection', () => {
    const event = { user_id: 'u', timestamp: SECONDS, ip: 5 }
    expect(parse(event, [...REQUIRED, 'ip', 'locale']).code).toBe('missing_locale')
    expect(parse({ ...event, timestamp: 'x' }, [...REQUIRED, 'locale']).code).toBe('invalid_timestamp')
  })
})

const fieldValue = fc.oneof(
  fc.string({ maxLength: 3 }),
  fc.constantFrom<unknown>(
    null,
    '',
    undefined,
    0,
    1,
    -1,
    1.5,
    true,
    [],
    {},
    'x'.repeat(64),
    'x'.repeat(65),
    'x'.repeat(257),
    '__proto__',
    '\ud800',
    '\u0000',
  ),
)
const timeValue = fc.oneof(
  fieldValue,
  fc.integer({ min: -1, max: 2e9 }),
  fc.double(),
  fc.constantFrom('2023-09-12T00:12:30Z', '2023-09-31', '5', '1e11', 1e11),
)
const anyEvent = fc
  .record(
    {
      user_id: fieldValue,
      timestamp: timeValue,
      device_type: fieldValue,
      device_id: fieldValue,
      locale: fieldValue,
      app_version: fieldValue,
      ip: fieldValue,
    },
    { requiredKeys: [] },
  )
  .map(event => bytesOf(event)!)
const anyBytes = fc.oneof(
  { weight: 8, arbitrary: anyEvent },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 24 }) },
  { weight: 1, arbitrary: fc.json().map(text => bytesOf(text)!) },
)

test('the-parser-and-the-naive-recount-read-alike', () => {
  const optional = fc.subarray([...OPTIONAL_FIELDS])
  fc.assert(
    fc.property(anyBytes, optional, (value, required) => {
      const rules = { maxEventBytes: 600, validationRequired: [...REQUIRED, ...required] }
      const recount = createRecount({ ...rules, windowSizeMs: 1000, allowedLatenessMs: 0, maxFutureSkewMs: 0 })
      const outcome = recount.add({ partition: 0, offset: 0, timestamp: 1e15, value })
      const event = emptyEvent()
      const code = createEventParser(rules)(value, 0, value.length, event)
      expect(code ?? 'accepted').toBe(outcome)
      if (code !== null) return
      const [[key, window]] = Object.entries(recount.result().windows) as [[string, WindowCount]]
      expect(key.endsWith(new Date(Math.floor(event.timeMs / 1000) * 1000).toISOString())).toBe(true)
      expect(window.device_stats).toEqual(Object.fromEntries([[event.deviceType, 1]]))
      expect(window.location_stats).toEqual(Object.fromEntries([[event.locale, 1]]))
      expect(window.app_version_stats).toEqual(Object.fromEntries([[event.appVersion, 1]]))
      const named = (bits: number) =>
        Object.fromEntries(OPTIONAL_FIELDS.filter((_, i) => (bits >> i) & 1).map(name => [name, 1]))
      expect(window.quality).toEqual({ missing: named(event.missing), invalid: named(event.invalid) })
    }),
    { seed: SEED, numRuns: 2000 },
  )
})
