import { expect, test } from 'vitest'
import { classifyLocale } from '../../../src/events/locale.ts'

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
const PAIRS = LETTERS.flatMap(a => LETTERS.map(b => a + b))

test.each([
  ['NY', 'us_state', 'NY'],
  ['ny', 'us_state', 'NY'],
  ['DC', 'us_state', 'DC'],
  ['CA', 'us_state', 'CA'],
  ['DE', 'us_state', 'DE'],
  ['US-NY', 'us_state', 'NY'],
  ['us_ca', 'us_state', 'CA'],
  ['RU', 'country', 'RU'],
  ['gb', 'country', 'GB'],
  ['PR', 'country', 'PR'],
  ['US', 'country', 'US'],
  ['en-US', 'country', 'US'],
  ['en_CA', 'country', 'CA'],
  ['zh-Hant-TW', 'country', 'TW'],
  ['en', 'other', 'en'],
  ['XX', 'other', 'XX'],
  ['US-XX', 'other', 'US-XX'],
  ['New York', 'other', 'New York'],
  ['en-XX', 'other', 'en-XX'],
  ['unknown', 'other', 'unknown'],
  ['__proto__', 'other', '__proto__'],
])('%s is a %s: %s', (locale, kind, code) => expect(classifyLocale(locale)).toEqual({ kind, code }))

test('there are 50 states and the District of Columbia, and 249 countries', () => {
  const kinds = PAIRS.map(pair => classifyLocale(pair).kind)
  expect(kinds.filter(kind => kind === 'us_state')).toHaveLength(51)
  expect(PAIRS.filter(pair => classifyLocale(`en-${pair}`).kind === 'country')).toHaveLength(249)
})

test('every country has a name', () => {
  const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
  for (const pair of PAIRS) if (classifyLocale(`en-${pair}`).kind === 'country') expect(names.of(pair)).toBeTruthy()
})
