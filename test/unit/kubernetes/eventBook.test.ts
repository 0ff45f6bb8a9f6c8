import { describe, expect, it } from 'vitest'
import { EventBook } from '../../../src/kubernetes/eventBook.ts'
import type { Report } from '../../../src/kubernetes/reports.ts'

function report(key: string): Report {
  return { type: 'Warning', reason: 'LogGap', action: 'Skip', note: key, key }
}

const told = (book: EventBook, nowMs: number) =>
  book.take(nowMs).map(({ report: { key }, count }) => `${key} x${count}`)

describe('a series', () => {
  it('is written at once, and then every half minute with what has come since', () => {
    const book = new EventBook()
    book.add(report('a'), 0)
    expect(book.hasNew).toBe(true)
    expect(told(book, 0)).toEqual(['a x1'])
    expect(book.hasNew).toBe(false)
    book.add(report('a'), 1_000)
    book.add(report('a'), 2_000)
    expect(told(book, 29_999)).toEqual([])
    expect(told(book, 30_000)).toEqual(['a x2'])
    expect(told(book, 60_000)).toEqual([])
  })

  it('that could not be written is tried again half a minute later, with its count', () => {
    const book = new EventBook()
    book.add(report('a'), 0)
    const [entry] = book.take(0)
    if (entry !== undefined) book.failed(entry)
    book.add(report('a'), 1_000)
    expect([told(book, 29_999), told(book, 30_000)]).toEqual([[], ['a x2']])
  })

  it('that has been still for ten minutes begins anew', () => {
    const book = new EventBook()
    book.add(report('a'), 0)
    book.take(0)
    book.take(600_001)
    book.add(report('a'), 600_002)
    expect(book.hasNew).toBe(true)
  })
})

it('a process writes 20 at once and then one in ten seconds, and loses none of those that wait', () => {
  const book = new EventBook()
  for (let i = 0; i < 25; i++) book.add(report(`r${i}`), 0)
  expect(told(book, 0)).toHaveLength(20)
  expect(told(book, 9_999)).toEqual([])
  expect(told(book, 30_000)).toEqual(['r20 x1', 'r21 x1', 'r22 x1'])
  expect(told(book, 600_000)).toEqual(['r23 x1', 'r24 x1'])
})

it('holds 200 series, and counts what finds no place', () => {
  const book = new EventBook()
  for (let i = 0; i < 205; i++) book.add(report(`r${i}`), 0)
  expect([book.takeDropped(), book.takeDropped()]).toEqual([5, 0])
})
