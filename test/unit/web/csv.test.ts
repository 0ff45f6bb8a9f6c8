import fc from 'fast-check'
import { expect, it } from 'vitest'
import { csvOf } from '../../../src/web/csv.ts'
import { etagOf, isKnown, preferredForm } from '../../../src/web/negotiation.ts'
import { cursorOf, cursorText, momentOf, sizeMsOf } from '../../../src/web/parameters.ts'
import { SEED } from '../support.ts'

/** A reader of RFC 4180, written apart. */
function parsed(csv: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let cell = ''
  let quoted = false
  for (let i = 0; i < csv.length; i++) {
    const [char, next] = [csv.charAt(i), csv.charAt(i + 1)]
    if (quoted) {
      if (char === '"' && next !== '"') quoted = false
      else cell += char
      if (char === '"' && next === '"') i++
    } else if (char === '"') quoted = true
    else if (char === ',' || (char === '\r' && next === '\n')) {
      row.push(cell)
      cell = ''
      if (char === ',') continue
      rows.push(row)
      row = []
      i++
    } else cell += char
  }
  return rows
}

it('every text comes back from CSV, but for an apostrophe before what a spreadsheet would compute', () => {
  const cell = fc.oneof(fc.string(), fc.stringMatching(/^[=+\-@\t\r\n",'a]{0,6}$/))
  const rows = fc.array(fc.array(cell, { minLength: 2, maxLength: 2 }), { maxLength: 5 })
  fc.assert(
    fc.property(rows, rows => {
      const [head, ...found] = parsed(csvOf(['a', 'b'], rows))
      expect(head).toEqual(['a', 'b'])
      expect(found).toEqual(rows.map(row => row.map(text => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text))))
      for (const text of found.flat()) expect(text).not.toMatch(/^[=+\-@\t\r\n]/)
    }),
    { seed: SEED },
  )
})

it('numbers, booleans and nothing are as they are', () => {
  expect(csvOf(['a'], [[-1.5], [true], [null]])).toBe('a\r\n-1.5\r\ntrue\r\n\r\n')
})

it.each<[string, number | null]>([
  ['0', 0],
  ['1694476800000', 1_694_476_800_000],
  ['2023-09-12', 1_694_476_800_000],
  ['2023-09-12T00:00', 1_694_476_800_000],
  ['2023-09-12T00:00:00.5', 1_694_476_800_500],
  ['2023-09-12T00:00:00.123456Z', 1_694_476_800_123],
  ['2023-09-12T05:30:00+05:30', 1_694_476_800_000],
  ['2023-09-11T19:00:00-05:00', 1_694_476_800_000],
  ['2023-09-12T05:30:00 05:30', 1_694_476_800_000],
  ['2023-02-29', null],
  ['2023-13-01', null],
  ['2023-09-12T24:00', null],
  ['2023-09-12Z', null],
  ['-1', null],
  ['1e3', null],
  ['9999999999999999', null],
  ['', null],
])('the moment %j is %j', (text, wanted) => {
  expect(momentOf(text)).toBe(wanted)
})

it.each([
  ['10s', 10_000],
  ['1m', 60_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1500ms', 1_500],
  ['0s', null],
  ['1w', null],
  ['1.5m', null],
  ['', null],
])('the size %j is %j', (text, wanted) => {
  expect(sizeMsOf(text)).toBe(wanted)
})

it('a cursor comes back, and nothing else is one', () => {
  const cursor = { sizeMs: 60_000, order: 'desc', startMs: 1_694_476_800_000 } as const
  expect(cursorOf(cursorText(cursor))).toEqual(cursor)
  for (const text of ['', 'x', `${cursorText(cursor)}=`, Buffer.from('60000 up 5').toString('base64url')]) {
    expect(cursorOf(text)).toBeNull()
  }
})

it.each<[string | undefined, string | null]>([
  [undefined, 'json'],
  ['', 'json'],
  ['text/html, */*;q=0.1', 'json'],
  ['text/csv, application/json', 'json'],
  ['text/csv;q=1, application/json;q=0.9', 'csv'],
  ['application/*;q=0.2, text/csv;q=0.3', 'csv'],
  ['application/json;q=0, */*', 'csv'],
  ['TEXT/CSV', 'csv'],
  ['text/csv;q=2', null],
  ['text/html', null],
])('Accept %j gets %j', (accept, wanted) => {
  expect(preferredForm(accept, ['json', 'csv'])).toBe(wanted)
})

it('other bytes have another ETag', () => {
  expect(etagOf('a')).toBe(etagOf('a'))
  expect(etagOf('a')).not.toBe(etagOf('b'))
  expect([isKnown(undefined, '"a"'), isKnown('"b"', '"a"'), isKnown('"b", W/"a"', '"a"')]).toEqual([false, false, true])
})
