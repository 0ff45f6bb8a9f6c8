import { expect, test } from 'vitest'
import { createEventParser, emptyEvent } from '../../../src/events/parse.ts'
import { Term } from '../../../src/events/term.ts'
import { TERM_HASH, Terms } from '../../../src/events/terms.ts'

const MAX_TERMS = 4096
const LONGEST = 512

function hashOf(bytes: Uint8Array): number {
  let hash: number = TERM_HASH.first
  for (const byte of bytes) hash = Math.imul(hash ^ byte, TERM_HASH.factor)
  return hash
}

/** Looks for a text in the middle of other bytes. */
function find(terms: Terms, text: string | Uint8Array, hash?: number): Term | null {
  const own = Buffer.from(text as string)
  const bytes = Buffer.concat([Buffer.from('<<'), own, Buffer.from('>>')])
  return terms.find(bytes, 2, 2 + own.length, hash ?? hashOf(own))
}

const created = () => new Terms(LONGEST, (id, text) => new Term(id, text))

test('a text has one term as long as it is held, whoever asks, and each term an id of its own', () => {
  const terms = created()
  const texts = ['', 'NY', 'ny', 'N', '\u0000', 'é', 'e\u0301', '\u{1f600}', '\ufeffNY', 'x'.repeat(LONGEST)]
  const found = texts.map(text => find(terms, text) as Term)
  expect(found.map(({ text }) => text)).toEqual(texts)
  expect(new Set(found.map(({ id }) => id)).size).toBe(texts.length)
  expect(texts.map(text => find(terms, text))).toEqual(found)
  for (const [i, text] of texts.entries()) expect(terms.ofText(text)).toBe(found[i])
})

test('what is no UTF-8, or longer than the field may hold, has none', () => {
  const terms = created()
  expect(find(terms, Uint8Array.of(0xff))).toBeNull()
  expect(find(terms, Uint8Array.of(0xed, 0xa0, 0x80))).toBeNull()
  expect(find(terms, 'x'.repeat(LONGEST + 1))).toBeNull()
  expect(find(terms, 'é'.repeat(LONGEST + 1))).toBeNull()
  expect(find(terms, 'é'.repeat(LONGEST))?.text).toBe('é'.repeat(LONGEST))
})

test.each([
  ['more texts than are held', (i: number) => `text ${i}`],
  ['texts of more bytes than are held', (i: number) => `${i}`.padStart(LONGEST, 'x')],
])('of %s each is found, and ids stay small', (_, make) => {
  const terms = created()
  for (let i = 0; i < 3 * MAX_TERMS; i++) {
    const term = find(terms, make(i)) as Term
    expect(term.text).toBe(make(i))
    expect(term.id).toBeLessThan(MAX_TERMS)
    expect(find(terms, make(i))).toBe(term)
  }
})

test('texts that all fall together are told apart', () => {
  const terms = created()
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 100; i++) expect(find(terms, `text ${i}`, 7)?.text).toBe(`text ${i}`)
  }
})

test('short texts are told apart in events, however many there are and whatever stands behind them', () => {
  const parse = createEventParser({ maxEventBytes: 1000, validationRequired: [] })
  const event = emptyEvent()
  const alphabet = 'ab"\\é0'
  const texts = ['', 'unknown', 'unknow', '1234567', '12345678', '123456789']
  for (let i = 0; i < 6 ** 4; i++) texts.push([...i.toString(6)].map(digit => alphabet[Number(digit)]).join(''))
  for (const text of [...texts, ...texts.toReversed()]) {
    for (const fields of [
      { locale: text, user_id: 'u', timestamp: 1 },
      { user_id: 'u', timestamp: 1, locale: text },
    ]) {
      const bytes = Buffer.from(JSON.stringify(fields))
      expect(parse(bytes, 0, bytes.length, event)).toBeNull()
      expect(event.locale).toBe(text === '' ? 'unknown' : text)
    }
  }
})
