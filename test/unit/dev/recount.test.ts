import { describe, expect, test } from 'vitest'
import { createRecount, type RecountRules, windowKey } from '../../../src/dev/recount.ts'

const RULES: RecountRules = {
  windowSizeMs: 10_000,
  allowedLatenessMs: 30_000,
  maxFutureSkewMs: 300_000,
  maxEventBytes: 1_000,
  validationRequired: ['user_id', 'timestamp'],
}
const NOW = Date.parse('2023-09-12T00:12:35.000Z')

function outcome(value: unknown, rules: Partial<RecountRules> = {}, timestamp = NOW): string {
  return createRecount({ ...RULES, ...rules }).add({ partition: 0, offset: 0, timestamp, value: bytes(value) })
}

function bytes(value: unknown): Uint8Array | null {
  if (value === null || value instanceof Uint8Array) return value
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

const event = (fields: object = {}) => ({ user_id: 'u', timestamp: NOW / 1000, ...fields })

/** Where an event with this timestamp counts: the millisecond, by windows of one; or the code of its rejection. */
function momentOf(timestamp: unknown): string {
  const recount = createRecount({ ...RULES, windowSizeMs: 1 })
  const end = Date.parse('9999-12-31T23:59:59.999Z')
  const value = bytes({ user_id: 'u', timestamp })
  const result = recount.add({ partition: 0, offset: 0, timestamp: end, value })
  return result === 'accepted' ? Object.keys(recount.result().windows)[0]!.slice('1ms/'.length) : result
}

describe('an event is rejected by the first rule that it breaks', () => {
  test.each<[string, unknown]>([
    ['empty_value', null],
    ['empty_value', new Uint8Array(0)],
    ['too_large', `"${'x'.repeat(999)}"`],
    ['not_utf8', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['not_utf8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['not_json', '{"user_id":"u"'],
    ['not_json', `\uFEFF${JSON.stringify(event())}`],
    ['too_deep', '['.repeat(65)],
    ['not_json', '['.repeat(64)],
    ['accepted', event({ x: JSON.stringify('['.repeat(65)) })],
    ['not_an_object', '[]'],
    ['not_an_object', { specversion: '1.0', data: 'text' }],
    ['accepted', { specversion: '1.0', data: event() }],
    ['accepted', { specversion: '1.0', time: '2023-09-12', data: { user_id: 'u' } }],
    ['not_an_object', 'null'],
    ['not_an_object', '"text"'],
    ['missing_user_id', {}],
    ['missing_user_id', event({ user_id: '' })],
    ['missing_user_id', event({ user_id: null })],
    ['invalid_user_id', event({ user_id: 1.5 })],
    ['invalid_user_id', event({ user_id: 2 ** 53 })],
    ['invalid_user_id', event({ user_id: 'x'.repeat(257) })],
    ['invalid_user_id', '{"user_id":"\\ud800","timestamp":1}'],
    ['missing_timestamp', event({ timestamp: '' })],
    ['invalid_timestamp', event({ timestamp: true })],
    ['future_timestamp', event({ timestamp: NOW + 300_001 })],
    ['accepted', event({ timestamp: NOW + 300_000 })],
    ['accepted', event({ user_id: 42 })],
    ['accepted', event({ user_id: 'x'.repeat(256) })],
    ['accepted', '{"user_id":"", "user_id":"u", "timestamp":1694477555}'],
  ])('%s: %j', (code, value) => expect(outcome(value)).toBe(code))

  test('fields that are required by setting reject in their order', () => {
    const validationRequired = ['ip', 'locale', 'device_type']
    expect(outcome(event(), { validationRequired })).toBe('missing_device_type')
    expect(outcome(event({ device_type: 'tv' }), { validationRequired })).toBe('missing_locale')
    expect(outcome(event({ device_type: 'tv', locale: 7 }), { validationRequired })).toBe('invalid_locale')
    expect(outcome(event({ device_type: 'tv', locale: 'NY', ip: 'x'.repeat(65) }), { validationRequired })).toBe(
      'invalid_ip',
    )
    expect(outcome(event({ device_type: 'tv', locale: 'NY', ip: '1.2.3' }), { validationRequired })).toBe('invalid_ip')
    expect(outcome(event({ device_type: 'tv', locale: 'NY', ip: '::1' }), { validationRequired })).toBe('accepted')
  })
})

describe('a timestamp', () => {
  test.each([
    ['1694479551', '2023-09-12T00:45:51.000Z'],
    ['1694479551.5', '2023-09-12T00:45:51.500Z'],
    [1694479551, '2023-09-12T00:45:51.000Z'],
    [1694479551123.9, '2023-09-12T00:45:51.123Z'],
    ['1694479551123', '2023-09-12T00:45:51.123Z'],
    [0, '1970-01-01T00:00:00.000Z'],
    [99_999_999_999, '5138-11-16T09:46:39.000Z'],
    [100_000_000_000, '1973-03-03T09:46:40.000Z'],
    ['2023-09-12', '2023-09-12T00:00:00.000Z'],
    ['2023-09-12T00:12', '2023-09-12T00:12:00.000Z'],
    ['2023-09-12 00:12:30', '2023-09-12T00:12:30.000Z'],
    ['2023-09-12t00:12:30,123456789z', '2023-09-12T00:12:30.123Z'],
    ['2023-09-12T00:12:30.5+02:00', '2023-09-11T22:12:30.500Z'],
    ['2023-09-12T00:12:30-0130', '2023-09-12T01:42:30.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%j is %s', (timestamp, moment) => expect(momentOf(timestamp)).toBe(moment))

  test.each([
    -1,
    '-1',
    '1e9',
    '1694479551.',
    ' 1694479551',
    253402300800000,
    '2023-02-29',
    '2023-13-01',
    '2023-00-10',
    '2023-09-12T24:00',
    '2023-09-12T00:60',
    '2023-09-12T00:00:60',
    '2023-09-12T00:12:30.1234567890',
    '2023-09-12T00:12:30+24:00',
    '2023-09-12Z',
    '1969-12-31T23:59:59Z',
    '1970-01-01T00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '0070-01-01',
    '12 Sep 2023',
    [],
    {},
  ])('%j is none', timestamp => expect(momentOf(timestamp)).toBe('invalid_timestamp'))
})

test.each([
  ['a text', { ce_specversion: '1.0', ce_time: '2023-09-12T00:12:30Z' }],
  ['bytes', { ce_specversion: Buffer.from('1.0'), ce_time: Buffer.from('2023-09-12T00:12:30Z') }],
  [
    'a list, of which the last counts',
    [['ce_time', 'never'] as const, ['ce_specversion', '1.0'] as const, ['ce_time', '2023-09-12T00:12:30Z'] as const],
  ],
  ['several, of which the last counts', { ce_specversion: '1.0', ce_time: ['never', '2023-09-12T00:12:30Z'] }],
])('a binary CloudEvent has its time in a header: %s', (_, headers) => {
  const recount = createRecount(RULES)
  const value = bytes({ user_id: 'u', device_type: 'iPhone 15' })
  expect(recount.add({ partition: 0, offset: 0, timestamp: NOW, value, headers })).toBe('accepted')
  const window = recount.result().windows['10s/2023-09-12T00:12:30.000Z']
  expect(window?.device_stats).toEqual({ ios: 1 })
})

test('an event counts in its window, with what is missing or invalid as unknown', () => {
  const recount = createRecount(RULES)
  const values = [
    event({ device_type: 'ios', locale: 'NY', app_version: '1.0', device_id: 'd', ip: '::1' }),
    event({ device_type: 'ios', locale: 5, app_version: 'x'.repeat(65), ip: null }),
    event({ timestamp: NOW / 1000 - 10, locale: '__proto__' }),
  ]
  values.forEach((value, offset) => {
    expect(recount.add({ partition: 3, offset, timestamp: NOW, value: bytes(value) })).toBe('accepted')
  })
  const { partitions, windows } = recount.result()
  expect(partitions).toEqual({ 3: { records: 3, accepted: 3, late: 0, rejected: {}, clock: NOW } })
  expect(Object.keys(windows)).toEqual(['10s/2023-09-12T00:12:20.000Z', '10s/2023-09-12T00:12:30.000Z'])
  expect(Object.entries(windows['10s/2023-09-12T00:12:20.000Z']!.location_stats)).toEqual([['__proto__', 1]])
  expect(windows['10s/2023-09-12T00:12:30.000Z']).toEqual({
    count: 2,
    device_stats: { ios: 2 },
    location_stats: { NY: 1, unknown: 1 },
    app_version_stats: { '1.0': 1, unknown: 1 },
    quality: { missing: { device_id: 1, ip: 1 }, invalid: { app_version: 1, locale: 1 } },
  })
})

describe('lateness', () => {
  const start = Date.parse('2023-09-12T00:12:30.000Z')
  const add = (recount: ReturnType<typeof createRecount>, offset: number, time: number, timestamp = time) =>
    recount.add({ partition: 0, offset, timestamp, value: bytes(event({ timestamp: time })) })

  test('begins when the clock before the event reaches the end of its window and the lateness', () => {
    const recount = createRecount(RULES)
    expect(add(recount, 0, start + 39_999)).toBe('accepted')
    expect(add(recount, 1, start)).toBe('accepted')
    expect(add(recount, 2, start + 40_000)).toBe('accepted')
    expect(add(recount, 3, start)).toBe('late')
    expect(recount.result().partitions['0']).toMatchObject({ accepted: 3, late: 1, clock: start + 40_000 })
  })

  test('goes by the lesser of event and record time, so that a wrong phone moves no clock', () => {
    const recount = createRecount(RULES)
    expect(add(recount, 0, start + 200_000, start)).toBe('accepted')
    expect(add(recount, 1, start + 400_000, start)).toBe('future_timestamp')
    expect(recount.result().partitions['0']).toMatchObject({ clock: start, rejected: { future_timestamp: 1 } })
  })
})

test('a record given twice or out of order is a mistake of the caller', () => {
  const recount = createRecount(RULES)
  recount.add({ partition: 0, offset: 5, timestamp: NOW, value: null })
  expect(() => recount.add({ partition: 0, offset: 5, timestamp: NOW, value: null })).toThrow('offset 5')
})

test.each([
  [10_000, '10s'],
  [60_000, '1m'],
  [90_000, '90s'],
  [3_600_000, '1h'],
  [86_400_000, '1d'],
  [1_500, '1500ms'],
])('a window of %d ms is called %s', (size, text) =>
  expect(windowKey(0, size)).toBe(`${text}/1970-01-01T00:00:00.000Z`),
)
