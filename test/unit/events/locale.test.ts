import { expect, test } from 'vitest'
import { localeKindOf } from '../../../src/events/locale.ts'

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
const PAIRS = LETTERS.flatMap(a => LETTERS.map(b => a + b))

test.each([
  ['NY', 'state'],
  ['ny', 'state'],
  ['DC', 'state'],
  ['CA', 'state'],
  ['DE', 'state'],
  ['US-NY', 'state'],
  ['us_ca', 'state'],
  ['RU', 'country'],
  ['gb', 'country'],
  ['PR', 'country'],
  ['US', 'country'],
  ['en-US', 'country'],
  ['en_CA', 'country'],
  ['zh-Hant-TW', 'country'],
  ['en', 'other'],
  ['XX', 'other'],
  ['US-XX', 'other'],
  ['New York', 'other'],
  ['en-XX', 'other'],
  ['unknown', 'unknown'],
  ['Unknown', 'other'],
  ['__proto__', 'other'],
])('%s: %s', (locale, kind) => expect(localeKindOf(locale)).toBe(kind))

test('there are 50 states and the District of Columbia, and 249 countries', () => {
  const kinds = PAIRS.map(pair => localeKindOf(pair))
  expect(kinds.filter(kind => kind === 'state')).toHaveLength(51)
  expect(PAIRS.filter(pair => localeKindOf(`en-${pair}`) === 'country')).toHaveLength(249)
})

test('every country has a name', () => {
  const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
  for (const pair of PAIRS) if (localeKindOf(`en-${pair}`) === 'country') expect(names.of(pair)).toBeTruthy()
})
