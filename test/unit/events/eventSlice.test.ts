import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OPTIONAL_FIELDS } from '../../../src/events/codes.ts'
import { EventSlice } from '../../../src/events/eventSlice.ts'
import { LAYOUT } from '../../../src/events/kernelLayout.ts'
import { createFullParser, type EventRules, emptyEvent } from '../../../src/events/parse.ts'
import { blockOf, type LoggedRecord } from '../recordBlock.ts'
import { SEED } from '../support.ts'
import { SliceParser } from './support/sliceParser.ts'
import { generated, someBytes } from './support/someBytes.ts'
import { expectAsFull, toldBy } from './support/toldBy.ts'

const RULES: EventRules = { maxEventBytes: 1 << 20, validationRequired: [] }
const parser = new SliceParser(RULES, true)
const event = emptyEvent()

/** Whether a slice reads the value itself; then it must be read as the full parser does. */
function isRead(value: string | Uint8Array): boolean {
  const bytes = Buffer.from(value)
  parser.parse(bytes, 0, bytes.length, event)
  if (parser.hasRead) expectAsFull(event, bytes)
  return parser.hasRead
}

const recordsOf = (values: readonly (string | Uint8Array)[]) =>
  values.map((value, offset): LoggedRecord => ({ offset, timestamp: 0, value: Buffer.from(value) }))

/** Takes all records by one slice after the other, and shows each row, which is good until the next slice is taken. */
function eachRow(
  slice: EventSlice,
  records: readonly LoggedRecord[],
  show: (row: number, record: number) => void,
): void {
  const block = blockOf(records)
  let at = block.start
  for (let first = 0; first < records.length; first += slice.size) {
    at = slice.take(block.bytes, at, block.end, records.length - first, block)
    expect(slice.size).toBeGreaterThan(0)
    for (let row = 0; row < slice.size; row++) show(row, first + row)
  }
  expect(at).toBe(block.end)
}

/** An event with this JSON in the place of a field. */
const holding = (name: string, json: string) => {
  const others = { user_id: '"u"', timestamp: '1694479551', [name]: json }
  return `{${Object.entries(others).map(([field, text]) => `"${field}":${text}`)}}`
}
const others = (count: number) => Array.from({ length: count }, (_, i) => `"k${i}":${i},`).join('')

describe('is read by a slice', () => {
  test('every event in the plain form, in any order of fields and with blanks as other languages write them', () => {
    for (const value of generated(300, 0)) expect(isRead(value)).toBe(true)
    const entries = Object.entries(JSON.parse(String(generated(1, 0)[0])) as Record<string, unknown>)
    for (let turn = 0; turn < entries.length; turn++) {
      const turned = Object.fromEntries([...entries.slice(turn), ...entries.slice(0, turn), ['x', 'y']])
      const text = JSON.stringify(turned)
      const spaced = [
        text.replaceAll('":', '": ').replaceAll(',"', ', "'),
        JSON.stringify(turned, null, 2),
        `${text}\r\n`,
      ]
      expect([text, ...spaced].map(isRead)).toEqual([true, true, true, true])
    }
  })

  test.each([
    ['user_id', ['42', '0', '123456789012345', '"\u007f"', `"${'x'.repeat(256)}"`, '"}"', '" "']],
    ['timestamp', ['0', '"0001"', '1694479551123', '"1694479551"', '99999999999', '100000000000', '253402300799999']],
    ['timestamp', ['"2000-01-01T00:00:00Z"', '"2024-02-29T23:59:59.999Z"', '"9999-12-31T23:59:59.999Z"']],
    ['device_type', ['null', '""', '"iPhone"', '"Smart TV 2"', '"123456789012345"']],
    ['device_id', ['null', '""', `"${'x'.repeat(64)}"`, '"a{b}c,:"']],
    ['locale', ['null', '""', '"NY"', '"en-US"']],
    ['app_version', ['null', '""', '"2.3.0"', '"v"']],
    ['ip', ['null', '""', '"0.0.0.0"', '"255.255.255.255"', '"1.20.199.249"', '"10.0.100.0"']],
    ['x', ['null', 'true', 'false', '0', '-0', '1e400', '-1.50E+07', '0.0e-0', '12345678901234567890', '""', '"[{"']],
    ['country', ['null', '1', '"x"']],
    ['__proto__', ['1']],
    ['k'.repeat(64), ['1']],
  ])('%s: %s', (name, values) => {
    for (const json of values) expect([json, isRead(holding(name, json))]).toEqual([json, true])
  })

  test('with as many others as the parser reads in place', () => {
    expect(isRead(holding('locale', '"NY"').replace('{', `{${others(64)}`))).toBe(true)
  })
})

describe('an object that begins once more where a comma belongs', () => {
  test.each(['{"x":1,', '{', '{"locale":"NY",'])('%s', start => {
    const rest = '"user_id":"u","timestamp":1}'
    // Whatever the slice has learned of how members begin.
    for (const learned of [`${start}${rest}`, `{${rest}`, `{"user_id":"u",${rest.slice(14)}`]) isRead(learned)
    for (const text of [
      `{"x":1{${rest}`,
      `{{${rest}`,
      `{"x":1,{${rest}`,
      `{"user_id":"u"{"timestamp":1}`,
      `,${rest}`,
    ]) {
      expect([text, isRead(text)]).toEqual([text, false])
    }
    expect(isRead(`${start}${rest}`)).toBe(true)
  })
})

test('an address is read exactly where it is four numbers up to 255 as they are usually written', () => {
  const plain = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
  const digits = fc.oneof(
    fc.nat(300).map(String),
    fc.constantFrom('0', '00', '01', '007', '1000', '', 'a', ' 1', ':', '/'),
  )
  const texts = fc.oneof(
    fc.tuple(digits, digits, digits, digits).map(numbers => numbers.join('.')),
    fc.array(digits, { minLength: 1, maxLength: 6 }).map(numbers => numbers.join('.')),
  )
  const byte = fc.nat(255)
  fc.assert(
    fc.property(texts, text => {
      expect([text, isRead(holding('ip', JSON.stringify(text)))]).toEqual([text, text === '' || plain.test(text)])
    }),
    { seed: SEED, numRuns: 2_000 },
  )
  fc.assert(
    fc.property(fc.tuple(byte, byte, byte, byte), numbers => {
      const value = Buffer.from(holding('ip', `"${numbers.join('.')}"`))
      expect(isRead(value)).toBe(true)
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})

describe('is left to the parser', () => {
  test.each([
    [
      'user_id',
      ['null', '""', '01', '-1', '1.0', '1e2', '1234567890123456', '"é"', '"\\u0075"', `"${'x'.repeat(257)}"`],
    ],
    ['user_id', ['"a', '"a\u0001"', 'true', '{}', '', '"u"1', '1"u"']],
    ['timestamp', ['null', '-1', '01', '1.5', '1e9', '1234567890123456', '253402300800000', '"', '"1', '"1 "', '""']],
    ['timestamp', ['"1694479551.5"', '"2023-09-12"', '"2023-09-12 00:00:00Z"', '"2023-09-12t00:00:00Z"']],
    [
      'timestamp',
      ['"1999-12-31T00:00:00Z"', '"10000-01-01T00:00:00Z"', '"2023-13-01T00:00:00Z"', '"2023-00-01T00:00:00Z"'],
    ],
    [
      'timestamp',
      ['"2023-01-00T00:00:00Z"', '"2023-01-01T24:00:00Z"', '"2023-01-01T00:60:00Z"', '"2023-01-01T00:00:60Z"'],
    ],
    [
      'timestamp',
      ['"2023-01-01T00:00:00"', '"2023-01-01T00:00:00.00Z"', '"2023-01-01T00:00:00,000Z"', '"2023/01/01T00:00:00Z"'],
    ],
    [
      'timestamp',
      ['"2023-01-01T00:00:00Z', '"2023-01-01T00:00:00Zx"', '"2o23-01-01T00:00:00Z"', '"2023-01-01T00:00:0:Z"'],
    ],
    ['device_type', ['1', 'nul', 'nullx', '"', '"a\u0000b"', '"\\n"', '"Неизвестно"', '"1234567890123456"', '[]']],
    ['device_id', ['7', `"${'x'.repeat(65)}"`, '"é"', '"\u001f"', '"\\\\"']],
    ['locale', ['"\u0000\u0000\u0000"', '"a\\"b"', 'falsee']],
    [
      'ip',
      ['"1.2.3"', '"1.2.3.4.5"', '"01.2.3.4"', '"1.2.3.04"', '"00.0.0.0"', '"256.1.1.1"', '"1.2.3.1000"', '"::1"'],
    ],
    ['ip', ['"1.2.3.4 "', '"1..3.4"', '".1.2.3.4"', '"1.2.3."', '"1.2.3.4', '1.2']],
    [
      'x',
      ['-', '1.', '.5', '01', '+1', '1e', '1e+', 'tru', 'TRUE', '"\t"', '[]', '{}', '"é"', '"\\n"', '1 2', '1}', ''],
    ],
    ['x', ['1,"user_id":"v"', '1,', ',"y":1', '1 "y":2']],
    ['\\u0078', ['1']],
    ['', ['1']],
    ['k'.repeat(65), ['1']],
  ])('%s: %s', (name, values) => {
    for (const json of values) expect([json, isRead(holding(name, json))]).toEqual([json, false])
  })

  test.each([
    ...[
      '{}',
      '{',
      '}',
      '{}}',
      '[]',
      '{"user_id":"u"}',
      '{"timestamp":1}',
      ' {"user_id":"u","timestamp":1}',
      '{,}',
      '{"}',
    ],
    ...[
      '{"user_id":"u","timestamp":1}}',
      '{"user_id":"u","timestamp":1}x',
      '{"user_id":"u""timestamp":1}',
      '{"user_id"}',
    ],
    ...['{"user_id" :"u","timestamp":1}', '{"user_id":\n"u","timestamp":1}', '{\u0001"user_id":"u","timestamp":1}'],
    ...['{"user_id":"u","timestamp":1,"ip":', '{"user_id":"u","timestamp":1,"ip":}', '{"user_id":"u","timestamp":1,"}'],
    '\ufeff{"user_id":"u","timestamp":1}',
  ])('%s', text => {
    expect(isRead(text)).toBe(false)
  })

  test('more others than the parser reads in place', () => {
    expect(isRead(holding('locale', '"NY"').replace('{', `{${others(65)}`))).toBe(false)
  })

  test('what a setting asks for and the event has not', () => {
    for (const field of OPTIONAL_FIELDS) {
      const strict = new SliceParser({ ...RULES, validationRequired: ['user_id', field] })
      const hasRead = (json: string) => {
        const bytes = Buffer.from(holding(field, json))
        strict.parse(bytes, 0, bytes.length, event)
        return strict.hasRead
      }
      expect([field, hasRead('"1.2.3.4"'), hasRead('null'), hasRead('""')]).toEqual([field, true, false, false])
    }
  })

  test('what is too long, and all where no event may nest', () => {
    const value = Buffer.from(holding('x', '1'))
    const hasRead = (rules: Partial<EventRules>) => {
      const some = new SliceParser({ ...RULES, ...rules })
      return [some.parse(value, 0, value.length, event), some.hasRead]
    }
    expect(hasRead({ maxEventBytes: value.length })).toEqual([null, true])
    expect(hasRead({ maxEventBytes: value.length - 1 })).toEqual(['too_large', false])
    expect(hasRead({ maxEventDepth: 1 })).toEqual([null, true])
    expect(hasRead({ maxEventDepth: 0 })[1]).toBe(false)
  })
})

test('whatever a slice reads is read as the full parser reads it, among other records and by any rules', () => {
  const rules = fc.record({
    maxEventBytes: fc.constantFrom(150, 1 << 20, 1 << 20),
    maxEventDepth: fc.constantFrom(1, 64),
    validationRequired: fc.subarray([...OPTIONAL_FIELDS], { maxLength: 2 }),
  })
  let read = 0
  const real = fc.constantFrom(...generated(50, 0), ...generated(50, 1))
  const values = fc.array(fc.oneof({ weight: 2, arbitrary: someBytes }, { weight: 1, arbitrary: real }), {
    minLength: 1,
    maxLength: 12,
  })
  fc.assert(
    fc.property(values, rules, fc.boolean(), (given, own, keeps) => {
      const [slice, full, oracle] = [new EventSlice(own, keeps), createFullParser(own, keeps), emptyEvent()]
      eachRow(slice, recordsOf(given), (row, record) => {
        const value = given[record] as Buffer
        if (!slice.read(row, event)) return
        read++
        expect(full(value, 0, value.length, oracle)).toBeNull()
        expect(toldBy(event)).toEqual(toldBy(oracle))
        if (keeps) expectAsFull(event, value)
      })
    }),
    { seed: SEED, numRuns: 600 },
  )
  expect(read).toBeGreaterThan(400)
})

test('every day from 2000 on, at its first and last millisecond; no day that the calendar has not', () => {
  const times: [string, boolean][] = []
  for (const year of [...Array.from({ length: 402 }, (_, i) => 2000 + i), 2500, 3999, 4000, 9996, 9999]) {
    for (let month = 1; month <= 12; month++) {
      const days = new Date(Date.UTC(year, month, 0)).getUTCDate()
      const date = (day: number) => `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
      times.push([`${date(1)}T00:00:00.000Z`, true], [`${date(days)}T23:59:59.999Z`, true])
      times.push([`${date(days + 1)}T00:00:00Z`, false])
    }
  }
  const values = times.map(([text]) => `{"user_id":"u","timestamp":"${text}"}`)
  const slice = new EventSlice(RULES, false)
  const read: typeof times = []
  const timesMs: number[] = []
  eachRow(slice, recordsOf(values), (row, record) => {
    const isOne = slice.read(row, event)
    read.push([(times[record] as [string, boolean])[0], isOne])
    if (isOne) timesMs.push(event.timeMs)
  })
  expect(read).toEqual(times)
  expect(timesMs).toEqual(times.filter(([, exists]) => exists).map(([text]) => Date.parse(text)))
})

describe('texts', () => {
  const slice = new EventSlice(RULES, false)
  /** Events with these locales, read in slices; whether each was read, and it then tells its own. */
  function readLocales(locales: readonly string[]): boolean[] {
    const read: boolean[] = []
    eachRow(slice, recordsOf(locales.map(locale => holding('locale', `"${locale}"`))), (row, record) => {
      const isOne = slice.read(row, event)
      if (isOne) expect(event.locale).toBe(locales[record])
      read.push(isOne)
    })
    return read
  }

  /** Whether the text is read, if need be once it was asked for so often that it is given a place. */
  function isKnown(name: string, text: string): boolean {
    const value = holding(name, `"${text}"`)
    if (isRead(value)) return true
    eachRow(slice, recordsOf(new Array(2_000).fill(value)), row => slice.read(row, event))
    return isRead(value)
  }

  test.each(['device_type', 'locale', 'app_version'])('of 1 to 15 bytes are known as %s', name => {
    for (let length = 1; length <= 17; length++) {
      const alike = ['a', 'b', '~'].flatMap(end => ['x'.repeat(length - 1) + end, end + 'x'.repeat(length - 1)])
      for (const text of alike) expect([text, isKnown(name, text)]).toEqual([text, length <= 15])
    }
  })

  test('of which there are more than can be known at once are never taken for one another', () => {
    const some = fc.array(fc.nat(4_000).map(String), { minLength: 50, maxLength: 600 })
    let [read, left] = [0, 0]
    fc.assert(
      fc.property(some, locales => {
        for (const isOne of readLocales(locales)) isOne ? read++ : left++
      }),
      { seed: SEED, numRuns: 60 },
    )
    expect(read).toBeGreaterThan(1_000)
    expect(left).toBeGreaterThan(1_000)
  })

  test('that find no place get one when they are asked for often', () => {
    readLocales(Array.from({ length: 4_000 }, (_, i) => `n${i}`))
    const left = Array.from({ length: 4_000 }, (_, i) => `n${i}`).find(locale => !readLocales([locale])[0]) as string
    const read = readLocales(new Array(4_000).fill(left))
    expect([read[0], read.at(-1)]).toEqual([false, true])
  })
})

describe('a slice', () => {
  const slice = new EventSlice(RULES, true)
  const value = (length: number) => `{"user_id":"u","timestamp":1,"x":"${'y'.repeat(length)}"}`
  // Lengths of one, two and three bytes, of the record as of its value.
  const block = blockOf(recordsOf([value(0), value(90), value(9_000), value(10), value(60)]))
  const ends = Array.from({ length: block.count }, (_, i) => {
    return slice.take(block.bytes, block.start, block.end, i + 1, block)
  })

  test('holds the whole records up to where its bytes end, whatever stood there before', () => {
    const noise = [0, 1, 2, 0x22, 0x7d, 0x7f, 0x80, 0xff].map(byte => Buffer.alloc(block.end + 20, byte))
    const near = ends.flatMap(end => [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5].map(away => end + away))
    const cuts = [...near, ...Array.from({ length: ends[1] as number }, (_, i) => i)].filter(cut => cut <= block.end)
    for (const before of [...noise, block.bytes]) {
      for (const cut of cuts) {
        slice.take(before, 0, Math.min(before.length, block.end + 20), 0, block)
        const end = slice.take(block.bytes, 0, cut, block.count, block)
        const whole = ends.filter(each => each <= cut)
        expect([cut, slice.size, end]).toEqual([cut, whole.length, whole.at(-1) ?? 0])
        for (let row = 0; row < slice.size; row++) expect(slice.read(row, event)).toBe(true)
      }
    }
  })

  test('reads nothing behind a value, were it the very rest of it', () => {
    const text = JSON.stringify({ ...JSON.parse(String(generated(1, 0)[0])), y: 'z'.repeat(80), timestamp: 1694479551 })
    const whole = blockOf(recordsOf([text]))
    for (let length = 1; length < text.length; length++) {
      slice.take(whole.bytes, whole.start, whole.end, 1, whole)
      expect(slice.read(0, event)).toBe(true)
      const cut = blockOf(recordsOf([text.slice(0, length)]))
      slice.take(cut.bytes, cut.start, cut.end, 1, cut)
      // The part of the block's number of headers is all that differs from the whole behind the cut.
      expect([length, slice.size, slice.read(0, event)]).toEqual([length, 1, false])
    }
  })

  test('holds so many records at most, and as many more slices hold the rest', () => {
    const records = recordsOf(Array.from({ length: 2 * LAYOUT.MOST_ROWS + 76 }, (_, i) => holding('user_id', `${i}`)))
    const sizes: number[] = []
    eachRow(slice, records, (row, record) => {
      if (row === 0) sizes.push(slice.size)
      expect([slice.offset(row), slice.read(row, event), event.userId]).toEqual([record, true, `${record}`])
    })
    expect(sizes).toEqual([LAYOUT.MOST_ROWS, LAYOUT.MOST_ROWS, 76])
  })

  test('holds a record of all its bytes, and none of a longer one', () => {
    const around = blockOf(recordsOf([value(60_000)])).end - 60_000
    const sizes = [0, 1].map(more => {
      const { bytes, start, end, ...base } = blockOf(recordsOf([value(LAYOUT.INPUT_BYTES - around + more), value(0)]))
      return [slice.take(bytes, start, end, 2, base) - start, slice.size]
    })
    expect(sizes).toEqual([
      [LAYOUT.INPUT_BYTES, 1],
      [0, 0],
    ])
    const { bytes, start, end, ...base } = blockOf(recordsOf([value(40_000), value(40_000), value(0)]))
    const next = slice.take(bytes, start, end, 3, base)
    expect([slice.size, slice.read(0, event), event.fields?.x]).toEqual([1, true, 'y'.repeat(40_000)])
    expect([slice.take(bytes, next, end, 2, base), slice.size, slice.offset(1)]).toEqual([end, 2, 2])
  })

  test('keeps to its own rules beside others', () => {
    const [strict, loose] = [new EventSlice({ ...RULES, validationRequired: ['locale'] }, false), slice]
    const { bytes, start, end, count, ...base } = blockOf(recordsOf([holding('x', '1')]))
    for (const [own, reads, members] of [
      [strict, false, null],
      [loose, true, 2],
      [strict, false, null],
    ] as const) {
      own.take(bytes, start, end, count, base)
      expect([own.read(0, event), reads ? event.memberCount : null]).toEqual([reads, members])
    }
  })
})
