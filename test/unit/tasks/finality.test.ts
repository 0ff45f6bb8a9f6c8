import { describe, expect, it } from 'vitest'
import { headersOf } from '../support.ts'
import { partial, progress, Reducing } from './reduceSupport.ts'

const count = (w: number, p = 0) => partial(w, p, [0, 4], [1, 2])

describe('finality', () => {
  it('waits for every partition that any source has told of', () => {
    const reducing = new Reducing().read([count(3), progress(0, 1, 4_000), progress(1, 3, 9_000)])
    expect(reducing.tell()).toEqual(['3 provisional 2 4'])
    reducing.read([progress(0, 1, 9_000, { through: 9 })])
    expect(reducing.tell()).toEqual([])
    reducing.read([progress(2, 2, 5_000)])
    expect(reducing.tell()).toEqual(['3 final 2 4'])
  })

  it('waits for the slowest', () => {
    const reducing = new Reducing().read([count(3), progress(0, 2, 9_000), progress(1, 2, 4_999)])
    expect(reducing.tell()).toEqual(['3 provisional 2 4'])
  })

  it('is nobody’s before the first progress', () => {
    expect(new Reducing().read([count(0)]).tell()).toEqual(['0 provisional 2 4'])
  })

  it('is not taken back by a source that appears later', () => {
    const reducing = new Reducing().read([count(3), progress(0, 1, 5_000)])
    reducing.capture()
    reducing.read([progress(1, 2, 0), count(3, 1)])
    expect(reducing.tell()).toEqual(['3 corrected 4 8'])
  })

  it('is not undone by a progress that is older than one already read', () => {
    const reducing = new Reducing().read([count(3), progress(0, 1, 5_000, { through: 9 })])
    reducing.read([progress(0, 1, 0, { through: 8 })])
    expect(reducing.tell()).toEqual(['3 final 2 4'])
  })

  it('is never told from the marks of a commit alone: a window below them is only corrected', () => {
    const reducing = new Reducing().read([count(3), progress(0, 1, 5_000)])
    reducing.capture()
    reducing.restore()
    reducing.read()
    expect(reducing.tell()).toEqual([])
    reducing.read([partial(3, 0, [0, 5], [1, 2, 4])])
    expect(reducing.tell()).toEqual(['3 corrected 3 5'])
  })

  it.each([
    ['the time that it was proven', 5_000, 9_000, 'final'],
    ['the time that it was proven, not yet', 4_999, 9_000, 'provisional'],
    ['the broker’s time of the record', 9_000, 5_000, 'final'],
    ['the broker’s time of the record, not yet', 9_000, 4_999, 'provisional'],
  ])('of an idle source counts %s', (_, idleAsOf, appendedAt, status) => {
    const reducing = new Reducing().read([count(3)])
    reducing.read([progress(0, 1, 100, { idleAsOf })], appendedAt)
    expect(reducing.tell()).toEqual([`3 ${status} 2 4`])
  })

  it('an idle source is never behind its own clock, and one that is idle no more counts by its clock again', () => {
    const ahead = new Reducing().read([count(3), progress(0, 1, 5_000, { idleAsOf: 10 })])
    expect(ahead.tell()).toEqual(['3 final 2 4'])
    const awake = new Reducing().read([progress(0, 1, 100, { idleAsOf: 3_000 })])
    awake.read([count(3), progress(0, 1, 100, { through: 4 })])
    expect(awake.tell()).toEqual(['3 provisional 2 4'])
  })
})

describe('a partial of a window that is forgotten', () => {
  /** Window 3 is final, told and forgotten; source 0 has told everything below 50. */
  function forgotten(): Reducing {
    const reducing = new Reducing().read([count(3), progress(0, 1, 10_000, { through: 50 })])
    expect(reducing.tell()).toEqual(['3 final 2 4'])
    expect(reducing.task.windows).toBe(0)
    return reducing
  }

  it('is a repeat when its source had told of its last event', () => {
    const reducing = forgotten().read([count(3), partial(3, 0, [48, 60], [49])])
    expect(reducing.capture()).toMatchObject({ results: [], letters: [], notices: [] })
  })

  it('comes too late otherwise: one dead letter with the greatest claim', () => {
    const claims = [partial(3, 0, [48, 60], [50]), partial(3, 0, [48, 70], [50, 65]), partial(3, 0, [48, 60], [50])]
    const told = forgotten().read(claims, 7_777).capture(10_500)!
    expect(told.letters).toHaveLength(1)
    const letter = told.letters[0]!
    expect(letter).toMatchObject({ topic: 'deadLetters', partition: 0, key: '3/0/48' })
    expect(JSON.parse(Buffer.from(letter.value!).toString())).toMatchObject({ w: 3, from: 48, through: 70 })
    expect(headersOf(letter)).toMatchObject({
      'error.code': 'partial_too_late',
      'source.topic': 'login-partials',
      'source.partition': '0',
      'source.offset': '3',
      'source.timestamp': '7777',
      'failed.at': '1970-01-01T00:00:10.500Z',
    })
    expect(told.results).toEqual([])
    expect(told.notices[0]).toEqual({ kind: 'partial_too_late', window: 3, partition: 0, from: 48 })
  })

  it('of a source that told no progress yet comes too late', () => {
    const reducing = forgotten().read([partial(3, 1, [0, 2], [1])])
    expect(reducing.capture()!.letters).toMatchObject([{ partition: 1, key: '3/1/0' }])
  })

  it('is told once: neither again by the next capture nor by the next owner', () => {
    const reducing = forgotten().read([partial(3, 0, [48, 60], [50])])
    expect(reducing.capture()!.letters).toHaveLength(1)
    expect(reducing.capture()).toBeNull()
    reducing.restore()
    reducing.read([count(20)])
    expect(reducing.capture()).toMatchObject({ letters: [], results: [{ batch_size: 2 }] })
  })

  it('is not forgotten before the horizon has passed, to the millisecond', () => {
    const reducing = new Reducing().read([count(3), progress(0, 1, 9_999)])
    reducing.capture()
    reducing.read([partial(3, 0, [4, 6], [5])])
    expect(reducing.tell()).toEqual(['3 corrected 3 6'])
    expect(
      forgotten()
        .read([partial(3, 0, [50, 51], [50])])
        .capture()!.letters,
    ).toHaveLength(1)
  })

  it('notices are bounded, dead letters are not', () => {
    const claims = Array.from({ length: 20 }, (_, i) => partial(3, 0, [64 + i * 64, 65 + i * 64], [64 + i * 64]))
    const told = forgotten().read(claims).capture()!
    expect([told.letters.length, told.notices.length]).toEqual([20, 5])
  })
})
