import { expect, test } from 'vitest'
import { Recent } from '../../../src/lookups/recent.ts'

/** A cache of generations of `size`, and how often each text was made. */
function counting(size: number) {
  const recent = new Recent<string>(size)
  const made: string[] = []
  const get = (text: string) =>
    recent.get(text, asked => {
      made.push(asked)
      return asked.toUpperCase()
    })
  return { recent, made, get }
}

test('a text is made once while it is among the last ones', () => {
  const { made, get } = counting(3)
  expect(['a', 'b', 'c', 'a', 'd', 'a', 'b', 'c'].map(get)).toEqual(['A', 'B', 'C', 'A', 'D', 'A', 'B', 'C'])
  expect(made).toEqual(['a', 'b', 'c', 'd'])
})

test('it holds at most two generations', () => {
  const { made, get } = counting(2)
  for (const text of ['a', 'b', 'c', 'd', 'e']) get(text)
  get('c')
  expect(made).toEqual(['a', 'b', 'c', 'd', 'e'])
  get('a')
  expect(made).toEqual(['a', 'b', 'c', 'd', 'e', 'a'])
})

test('what is asked for again and again outlives what comes once', () => {
  const { made, get } = counting(4)
  for (let i = 0; i < 100; i++) {
    get('often')
    get(`once ${i}`)
  }
  expect(made.filter(text => text === 'often')).toHaveLength(1)
})

test('cleared, everything is made anew', () => {
  const { recent, made, get } = counting(1)
  for (const text of ['a', 'b']) get(text)
  recent.clear()
  for (const text of ['b', 'a']) get(text)
  expect(made).toEqual(['a', 'b', 'b', 'a'])
})
