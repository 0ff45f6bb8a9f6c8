import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEventParser, type EventParser, emptyEvent } from '../../../src/events/parse.ts'
import { SEED } from '../support.ts'
import { countsOf, FIELDS, parsed, RULES, recounted, strictObject } from './support/naive.ts'
import { SliceParser } from './support/sliceParser.ts'

const EVENT = { user_id: 'u', timestamp: 1_694_479_551 }
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
/** The parser alone, and a slice with the parser behind it; `parsed` holds both against each other. */
const PARSERS: [string, (keepFields?: boolean) => EventParser][] = [
  ['the parser', keepFields => createEventParser(RULES, keepFields)],
  ['a slice', keepFields => new SliceParser(RULES, keepFields).parse],
]
const codeOf = (value: unknown, ...rest: [Parameters<typeof parsed>[1]?, Parameters<typeof parsed>[2]?]) => {
  const { code } = parsed(bytes(value), ...rest)
  expect(recounted(bytes(value), ...rest).code).toBe(code)
  return code
}
const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`

describe('bytes that are no event', () => {
  test.each<[string, Buffer | null]>([
    ['empty_value', null],
    ['empty_value', Buffer.alloc(0)],
    ['not_utf8', Buffer.from([0x22, 0xff, 0x22])],
    ['not_utf8', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['not_utf8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['not_utf8', Buffer.from([0x22, 0xf4, 0xbf, 0xbf, 0xbf, 0x22])],
    ['not_utf8', Buffer.from([0x22, 0xe6, 0x97])],
    ['not_utf8', Buffer.from([0xff, 0xfe, 0x7b, 0x00])],
    ['not_json', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes(EVENT)])],
    ['not_json', Buffer.from(JSON.stringify(EVENT), 'utf16le')],
    ['not_json', bytes(' ')],
    ['not_json', bytes(`${JSON.stringify(EVENT)}{}`)],
    ['not_json', bytes('{"user_id":"\u0001"}')],
    ['not_an_object', bytes([EVENT])],
    ['not_an_object', bytes('"{}"')],
  ])('%s', (code, value) => {
    expect(parsed(value).code).toBe(code)
    expect(recounted(value).code).toBe(code)
  })

  test.each(PARSERS)('nothing beside the range is read by %s', (_, create) => {
    const event = emptyEvent()
    const whole = bytes(` ${JSON.stringify(EVENT)}\xff`)
    expect(create()(whole, 1, whole.length - 2, event)).toBeNull()
    expect(event.userId).toBe('u')
  })

  test('size comes first, then UTF-8, then depth, then JSON', () => {
    const broken = Buffer.concat([bytes('['.repeat(65)), Buffer.from([0xff])])
    expect(parsed(broken, { maxEventBytes: 65 }).code).toBe('too_large')
    expect(parsed(broken, { maxEventBytes: 66 }).code).toBe('not_utf8')
    expect(codeOf('['.repeat(65))).toBe('too_deep')
    expect(codeOf('['.repeat(64))).toBe('not_json')
  })
})

describe('depth', () => {
  const holding = (json: string) => `{"user_id":"u","timestamp":1,"x":${json}}`

  test('is 64 levels, the event being the first, and can be set', () => {
    expect(codeOf(holding(nested(63)))).toBe('accepted')
    expect(codeOf(holding(nested(64)))).toBe('too_deep')
    expect(codeOf(holding(nested(2)), { maxEventDepth: 3 })).toBe('accepted')
    expect(codeOf(holding(nested(3)), { maxEventDepth: 3 })).toBe('too_deep')
    expect(codeOf(holding('{"a":{"b":{}}}'), { maxEventDepth: 3 })).toBe('too_deep')
  })

  test('is no matter of how many brackets there are, nor of those in strings', () => {
    expect(codeOf(holding(`[${'[],'.repeat(500)}{}]`))).toBe('accepted')
    expect(codeOf(holding(JSON.stringify(`\\"${'['.repeat(100)}`)))).toBe('accepted')
    expect(codeOf(holding(`{${JSON.stringify('{'.repeat(100))}:"\\\\"}`))).toBe('accepted')
  })
})

describe('keys', () => {
  test('of equal keys the last counts', () => {
    const { code, event } = parsed(bytes('{"user_id":"a","timestamp":1,"user_id":"b","\\u0075ser_id":"c"}'))
    expect([code, event.userId]).toEqual(['accepted', 'c'])
    expect(codeOf('{"user_id":"a","timestamp":1,"user_id":null}')).toBe('missing_user_id')
  })

  test('__proto__ and the like are keys like others', () => {
    const text = '{"__proto__":{"user_id":"evil","locale":"NY"},"constructor":1,"toString":null,"timestamp":1'
    expect(codeOf(`${text}}`)).toBe('missing_user_id')
    const { event } = parsed(bytes(`${text},"user_id":"u"}`))
    expect(event.locale).toBe('unknown')
    expect(Object.getPrototypeOf(event.fields)).toBe(Object.prototype)
    expect(Object.keys(event.fields!)).toEqual(['__proto__', 'constructor', 'toString', 'timestamp', 'user_id'])
  })
})

describe('half a surrogate pair', () => {
  test('makes a field invalid, for it cannot be written', () => {
    expect(codeOf('{"user_id":"\\ud83d","timestamp":1}')).toBe('invalid_user_id')
    const { code, event } = parsed(
      bytes('{"user_id":"\\ud83d\\ude00","timestamp":1,"locale":"\\udfaa","device_id":"\\u00e9"}'),
    )
    expect(code).toBe('accepted')
    expect(countsOf(event).quality.invalid).toEqual({ locale: 1 })
    expect([event.userId, event.deviceId]).toEqual(['😀', 'é'])
  })

  test('in a field that nobody knows is kept as it came', () => {
    const { event } = parsed(bytes('{"user_id":"u","timestamp":1,"\\ud800":"\\ud800"}'))
    expect(JSON.stringify(event.fields)).toBe('{"user_id":"u","timestamp":1,"\\ud800":"\\ud800"}')
  })
})

test.each([
  ['u', 'u'],
  [42, '42'],
  [-7, '-7'],
  ['1e2', '1e2'],
  [9007199254740991, '9007199254740991'],
])('user_id %j is %j', (userId, text) => {
  const { code, event } = parsed(bytes({ ...EVENT, user_id: userId }))
  expect([code, event.userId]).toEqual(['accepted', text])
})

test.each([1.5, 2 ** 53, true, [], {}, 'x'.repeat(257)])('user_id %j is invalid', userId => {
  expect(codeOf({ ...EVENT, user_id: userId })).toBe('invalid_user_id')
})

describe('optional fields', () => {
  test.each<[string, unknown, 'missing' | 'invalid' | 'fine']>([
    ['app_version', 2.1, 'invalid'],
    ['app_version', '2.1', 'fine'],
    ['device_id', 593475928, 'invalid'],
    ['locale', false, 'invalid'],
    ['locale', 'x'.repeat(65), 'invalid'],
    ['device_type', 'x'.repeat(512), 'fine'],
    ['device_type', 'x'.repeat(513), 'invalid'],
    ['ip', '', 'missing'],
    ['ip', null, 'missing'],
    ['ip', '::ffff:1.2.3.4', 'fine'],
    ['ip', '1.2.3', 'invalid'],
    ['ip', 'localhost', 'invalid'],
    ['ip', '1.2.3.4:443', 'invalid'],
  ])('%s %j is %s', (name, value, verdict) => {
    const { event } = parsed(bytes({ ...EVENT, [name]: value }))
    const { missing, invalid } = countsOf(event).quality
    expect(verdict === 'missing').toBe(name in missing)
    expect(verdict === 'invalid').toBe(name in invalid)
    const required = { validationRequired: [name] }
    expect(codeOf({ ...EVENT, [name]: value }, required)).toBe(verdict === 'fine' ? 'accepted' : `${verdict}_${name}`)
  })
})

describe('CloudEvents', () => {
  const envelope = { specversion: '1.0', id: '1', source: '/app', type: 'login', time: '2023-09-12T00:45:51.5Z' }
  const HEADERS = { ce_specversion: '1.0', ce_time: '2023-09-12T00:45:51.5Z' }
  const timeOf = (value: unknown, headers?: Record<string, string>) => {
    const { code, event } = parsed(bytes(value), {}, headers)
    const naive = recounted(bytes(value), {}, headers)
    expect(naive.code).toBe(code)
    if (code !== 'accepted') return code
    expect(naive.timeMs).toBe(event.timeMs)
    return event.timeMs
  }

  test('structured: the data is the event', () => {
    const { code, event } = parsed(bytes({ ...envelope, data: { ...EVENT, locale: 'NY', more: 1 } }))
    expect([code, event.userId, event.locale]).toEqual(['accepted', 'u', 'NY'])
    expect(event.fields).toEqual({ ...EVENT, locale: 'NY', more: 1 })
  })

  test('structured: by its header too, whose parameters do not matter', () => {
    const content = { 'content-type': 'application/cloudevents+json; charset=UTF-8' }
    expect(timeOf({ data: EVENT }, content)).toBe(1_694_479_551_000)
    expect(timeOf({ data: EVENT }, { 'content-type': 'application/json' })).toBe('missing_user_id')
    expect(timeOf({ data: EVENT })).toBe('missing_user_id')
  })

  test('the time of the envelope is used when the event has none', () => {
    expect(timeOf({ ...envelope, data: EVENT })).toBe(1_694_479_551_000)
    expect(timeOf({ ...envelope, data: { user_id: 'u' } })).toBe(1_694_479_551_500)
    expect(timeOf({ ...envelope, time: undefined, data: { user_id: 'u' } })).toBe('missing_timestamp')
    expect(timeOf({ ...envelope, time: 'noon', data: { user_id: 'u' } })).toBe('invalid_timestamp')
    expect(timeOf({ ...envelope, data: { user_id: 'u', timestamp: 'noon' } })).toBe('invalid_timestamp')
  })

  test('binary: the time of the header is used when the event has none', () => {
    expect(timeOf(EVENT, HEADERS)).toBe(1_694_479_551_000)
    expect(timeOf({ user_id: 'u' }, HEADERS)).toBe(1_694_479_551_500)
    expect(timeOf({ user_id: 'u' }, { ce_specversion: '1.0' })).toBe('missing_timestamp')
    expect(timeOf({ user_id: 'u' }, { ce_time: HEADERS.ce_time })).toBe('missing_timestamp')
  })

  test.each([null, [], 'eyJ9', 5])('data that is no object: %j', data => {
    expect(codeOf({ ...envelope, data })).toBe('not_an_object')
  })

  test('an event of its own that has such fields stays one', () => {
    const { event } = parsed(bytes({ ...EVENT, ...envelope, data: { user_id: 'other' } }))
    expect(event.userId).toBe('u')
    expect(codeOf({ ...envelope })).toBe('missing_user_id')
    expect(codeOf({ ...envelope, data: { ...envelope, data: EVENT } })).toBe('missing_user_id')
  })
})

test.each(PARSERS)('headers are asked for only when an event by itself is not enough, by %s', (_, create) => {
  const parse = create()
  const refuse = () => {
    throw new Error('asked for a header')
  }
  expect(parse(bytes(EVENT), 0, bytes(EVENT).length, emptyEvent(), refuse)).toBeNull()
})

test.each(PARSERS)('fields are kept only when asked for, by %s', (_, create) => {
  const event = emptyEvent()
  expect(create(true)(bytes(EVENT), 0, bytes(EVENT).length, event)).toBeNull()
  expect(event.fields).toEqual(EVENT)
  expect(create()(bytes(EVENT), 0, bytes(EVENT).length, event)).toBeNull()
  expect(event.fields).toBeNull()
})

describe('great values end in time', () => {
  const text = JSON.stringify(EVENT).slice(0, -1)
  test.each<[string, string, () => string]>([
    ['10 MB in one field', 'accepted', () => `${text},"x":"${'x'.repeat(10e6)}"}`],
    ['10 MB in a known field', 'accepted', () => `${text},"locale":"${'é'.repeat(5e6)}"}`],
    ['10 MB of brackets', 'too_deep', () => '['.repeat(10e6)],
    ['10 MB of brackets in a string', 'accepted', () => `${text},"x":"${'{'.repeat(10e6)}"}`],
    ['10 MB of flat lists', 'accepted', () => `${text},"x":[${'[],'.repeat(3e6)}[]]}`],
    ['10 MB of backslashes', 'not_json', () => `${text},"${'\\'.repeat(10e6)}`],
    ['100,000 keys', 'accepted', () => `${text},${Array.from({ length: 1e5 }, (_, i) => `"k${i}":${i}`).join()}}`],
    ['100,000 equal keys', 'accepted', () => `${text}${',"k":1'.repeat(1e5)}}`],
    ['10,000 levels', 'too_deep', () => `${text},"x":${nested(10_000)}}`],
    ['10,000 levels of objects', 'too_deep', () => `${text},"x":${'{"x":'.repeat(1e4)}1${'}'.repeat(1e4)}}`],
    ['digits without end', 'accepted', () => `${text},"x":${'9'.repeat(1e6)}}`],
    ['a version of many points', 'accepted', () => `${text},"app_version":"${'1.'.repeat(32)}"}`],
  ])('%s', (_, code, make) => {
    const value = bytes(make())
    const started = performance.now()
    expect(parsed(value).code).toBe(code)
    // Half a second of CPU for the slowest; the rest is for whoever shares the machine.
    expect(performance.now() - started).toBeLessThan(5_000)
    expect(parsed(value, { maxEventBytes: 1 << 20 }).code).toBe(value.length > 1 << 20 ? 'too_large' : code)
  })
})

const oddText = fc.oneof(
  fc.constantFrom(
    '',
    'NY',
    'android',
    'iPhone',
    '1.2.3',
    '1.2.3.4',
    '::1',
    '::ffff:1.2.3.4',
    '1694479551',
    '2023-09-12',
    'x'.repeat(65),
  ),
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.ipV6(),
  fc.date({ noInvalidDate: true }).map(date => date.toISOString()),
)
const oddValue = fc.oneof(
  oddText,
  oddText,
  fc.constantFrom(null, true, 0, -1, 1694479551),
  fc.double(),
  fc.integer(),
  fc.jsonValue(),
)
const key = fc.oneof(
  fc.constantFrom('user_id', 'timestamp', ...FIELDS, '__proto__', 'specversion', 'data', 'time', 'x'),
  fc.string({ maxLength: 3 }),
)
/** Half of the texts' units are written as escapes, so that halves of surrogate pairs come, too. */
const json = (value: unknown) =>
  (JSON.stringify(value) ?? 'null').replace(
    /[^\x20-\x7e]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
/** Numbers that no double holds, or that are written in another way than ours. */
const oddNumber = fc.constantFrom('1e400', '-0', '1.0', '1E2', '12345678901234567890', '1694479551.999999999999')
const member = fc
  .tuple(key, fc.oneof({ weight: 9, arbitrary: oddValue.map(json) }, oddNumber))
  .map(([name, text]) => `${JSON.stringify(name)}:${text}`)
const sound = fc
  .tuple(
    fc.array(member, { maxLength: 8 }),
    fc.constantFrom('', '"user_id":"u","timestamp":1694479551', '"timestamp":"1"'),
  )
  .map(([members, first]) => `{${[first, ...members].filter(text => text !== '').join(',')}}`)
const enveloped = fc
  .tuple(sound, fc.constantFrom('"specversion":"1.0",', '', '"time":5,"specversion":"1.0",'))
  .map(([text, attributes]) => `{${attributes}"data":${text}}`)
/** A byte changed, put in, or taken out somewhere: most such values are broken, some are not. */
const broken = fc
  .tuple(fc.oneof(sound, enveloped), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 2))
  .map(([text, at, byte, way]) => {
    const value = [...Buffer.from(text)]
    value.splice(at % value.length, way === 0 ? 0 : 1, ...(way === 2 ? [] : [byte]))
    return Buffer.from(value)
  })
const wrongAddress = {
  user_id: 'u',
  timestamp: 1,
  device_type: 'a',
  device_id: 'd',
  locale: 'NY',
  app_version: '1',
  ip: '1.2.3',
}
const anyValue = fc.oneof(
  fc.constant(Buffer.from(JSON.stringify(wrongAddress))),
  sound.map(text => Buffer.from(text)),
  enveloped.map(text => Buffer.from(text)),
  broken,
  fc.uint8Array({ maxLength: 40 }).map(array => Buffer.from(array)),
)
const someHeaders = fc.constantFrom(
  undefined,
  {},
  { 'content-type': 'application/cloudevents+json' },
  { ce_specversion: '1.0', ce_time: '2023-09-12T00:00:00Z' },
)

test('acceptance, code and values are those of strict UTF-8, JSON.parse and the naive rules', () => {
  const rules = fc.record({
    maxEventDepth: fc.constantFrom(2, 3, 64),
    validationRequired: fc.subarray([...FIELDS]),
  })
  const seen = new Set<string>()
  fc.assert(
    fc.property(anyValue, rules, someHeaders, (value, given, headers) => {
      const { code, event } = parsed(value, given, headers)
      const naive = recounted(value, given, headers)
      expect(code).toBe(naive.code)
      seen.add(code)
      if (code !== 'accepted') return
      expect(event.timeMs).toBe(naive.timeMs)
      expect(countsOf(event)).toEqual(naive.counts)
      const object = strictObject(value) as Record<string, unknown>
      const fields = object.user_id === undefined ? (object.data as Record<string, unknown>) : object
      expect(event.fields).toEqual(fields)
      expect(event.userId).toBe(String(fields.user_id))
      const { missing, invalid } = countsOf(event).quality
      expect(event.ip).toBe('ip' in missing || 'ip' in invalid ? 'unknown' : fields.ip)
    }),
    { seed: SEED, numRuns: 4_000 },
  )
  for (const code of [
    'accepted',
    'too_deep',
    'not_json',
    'not_utf8',
    'not_an_object',
    'missing_user_id',
    'invalid_timestamp',
    'invalid_ip',
  ]) {
    expect(seen).toContain(code)
  }
})
