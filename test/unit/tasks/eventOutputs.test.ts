import { describe, expect, it } from 'vitest'
import { CODE_MEANINGS } from '../../../src/events/codes.ts'
import type { AggregateTaskSettings } from '../../../src/tasks/aggregateStart.ts'
import type { AggregateTask } from '../../../src/tasks/aggregateTask.ts'
import type { EnrichText } from '../../../src/tasks/eventOutputs.ts'
import type { Capture, OutputRecord } from '../../../src/tasks/task.ts'
import { bytesOf, headersOf, recordsIn, type TestRecord } from '../support.ts'
import { ALL, BASE, capture, event, feed, partialsOf, progressOf, restore, settings } from './aggregateSupport.ts'

const enrich: EnrichText = ({ userId, locale }, now, maxBytes) => ({
  userId,
  text: JSON.stringify({ locale, now, fits: maxBytes > 0 }),
})

/** A task of partition 3 that writes enriched events. */
function writing(changed: Partial<AggregateTaskSettings['outputs']> = {}, keyId: string | null = null): AggregateTask {
  const enriched = { enrich, maxBytes: 10_000, userIdKeyId: keyId }
  const task = restore(null, ALL, { outputs: { ...settings.outputs, enriched, ...changed } })
  capture(task)
  return task
}

const recordsOf = (captured: Capture | null, topic: OutputRecord['topic']) =>
  recordsIn(captured).filter(record => record.topic === topic)

function letterOf(record: TestRecord, changed: Partial<AggregateTaskSettings['outputs']> = {}): OutputRecord {
  const task = writing(changed)
  feed(task, record)
  const letters = recordsOf(capture(task), 'deadLetters')
  expect(letters).toHaveLength(1)
  return letters[0]!
}

describe('an accepted event', () => {
  it('is written enriched, keyed by its user, with its own headers first and then where it came from', () => {
    const task = writing({}, 'k7')
    feed(task, { ...event(5, 100), headers: { traceparent: '00-1', 'source.offset': 'theirs' } })
    const [record, ...others] = recordsOf(capture(task), 'enriched')
    expect(others).toEqual([])
    expect(record).toMatchObject({ partition: null, key: 'u' })
    expect(JSON.parse(String(record?.value))).toEqual({ locale: 'unknown', now: BASE, fits: true })
    expect(record?.headers?.map(([name]) => name)).toEqual([
      'traceparent',
      'source.offset',
      'source.topic',
      'source.partition',
      'source.offset',
      'user_id.key',
    ])
    expect(headersOf(record)).toMatchObject({
      'source.topic': 'user-login',
      'source.partition': '3',
      'source.offset': '5',
      'user_id.key': 'k7',
    })
  })

  it('is written once, in the order of the log', () => {
    const task = writing()
    feed(task, event(0, 100), event(1, 200))
    const offsets = (captured: Capture | null) =>
      recordsOf(captured, 'enriched').map(record => headersOf(record)['source.offset'])
    expect(offsets(capture(task))).toEqual(['0', '1'])
    feed(task, event(2, 300))
    expect(offsets(capture(task))).toEqual(['2'])
  })

  it('is only counted when enriched events are off', () => {
    const task = restore()
    capture(task)
    feed(task, event(0, 100))
    expect(recordsOf(capture(task), 'enriched')).toEqual([])
  })

  it('goes without its headers when these leave it no room', () => {
    const task = writing({ enriched: { enrich, maxBytes: 2_000, userIdKeyId: null } })
    feed(task, { ...event(0, 100), headers: { large: 'x'.repeat(1_000) } })
    const [record] = recordsOf(capture(task), 'enriched')
    expect(record?.headers?.map(([name]) => name)).toEqual(['source.topic', 'source.partition', 'source.offset'])
  })

  it('is not written again by the next owner, who replays it', () => {
    const task = writing()
    feed(task, event(0, 100), { offset: 1, timestamp: BASE, value: 'no json' })
    const { commit } = capture(task)!
    const enriched = { enrich, maxBytes: 10_000, userIdKeyId: null }
    const next = restore(commit, ALL, { outputs: { ...settings.outputs, enriched } })
    expect(next.position).toBe(0)
    feed(next, event(0, 100), { offset: 1, timestamp: BASE, value: 'no json' }, event(2, 300))
    const captured = capture(next)
    expect(recordsOf(captured, 'enriched').map(record => headersOf(record)['source.offset'])).toEqual(['2'])
    expect(recordsOf(captured, 'deadLetters')).toEqual([])
    expect(captured?.tally).toEqual({ accepted: 1, late: 0, rejected: {} })
  })
})

describe('a dead letter', () => {
  const bad = { offset: 7, timestamp: BASE + 5, key: 'k', value: '{"user_id":1}', headers: { a: 'b' } }

  it('is the record as it was, then why and where from', () => {
    const letter = letterOf(bad)
    expect(letter).toMatchObject({ partition: 3, key: bytesOf('k'), value: bytesOf('{"user_id":1}') })
    expect(letter.headers).toEqual([
      ['a', bytesOf('b')],
      ['error.code', 'missing_timestamp'],
      ['error.message', CODE_MEANINGS.missing_timestamp],
      ['source.topic', 'user-login'],
      ['source.partition', '3'],
      ['source.offset', '7'],
      ['source.timestamp', String(BASE + 5)],
      ['failed.at', new Date(BASE).toISOString()],
    ])
  })

  it('keeps an absent key and an absent value absent', () => {
    expect(letterOf({ offset: 0, timestamp: BASE, value: null })).toMatchObject({ key: null, value: null })
  })

  it('lies in the partition of the same number, modulo', () => {
    expect(letterOf(bad, { deadLetterPartitions: 2 }).partition).toBe(1)
  })

  it.each([
    ['late', event(0, 9_000), event(1, 0, 9_000)],
    ['future_timestamp', event(0, 0), event(1, 1_001, 0)],
  ])('has the code %s', (code, first, second) => {
    const task = writing()
    feed(task, first, second)
    const captured = capture(task)
    expect(recordsOf(captured, 'deadLetters').map(letter => headersOf(letter)['error.code'])).toEqual([code])
    expect(recordsOf(captured, 'enriched')).toHaveLength(1)
  })

  it('that is too large for its topic is cut, and says how long it was', () => {
    const value = 'x'.repeat(5_000)
    const letter = letterOf({ ...bad, value }, { deadLetterMaxBytes: 3_000 })
    expect(letter.value?.length).toBeGreaterThan(1_000)
    expect(letter.value?.length).toBeLessThan(3_000)
    expect(value.startsWith(Buffer.from(letter.value!).toString())).toBe(true)
    expect(headersOf(letter)).toMatchObject({ a: 'b', 'value.bytes': '5000' })
  })

  it('goes without key and headers when these alone are too large', () => {
    const letter = letterOf({ ...bad, headers: { a: 'x'.repeat(3_000) } }, { deadLetterMaxBytes: 3_000 })
    expect(letter.key).toBeNull()
    expect(letter.value).toEqual(bytesOf('{"user_id":1}'))
    expect(letter.headers?.[0]?.[0]).toBe('error.code')
    expect(headersOf(letter)['value.bytes']).toBe('13')
  })
})

it('a capture tallies what came since the one before', () => {
  const task = writing()
  feed(task, event(0, 100), { offset: 1, timestamp: BASE, value: '[]' })
  expect(capture(task)?.tally).toEqual({ accepted: 1, late: 0, rejected: { not_an_object: 1 } })
  feed(task, event(2, 100), event(3, 100))
  expect(capture(task)?.tally).toEqual({ accepted: 2, late: 0, rejected: {} })
})

it('what waits is about as many bytes as it comes to', () => {
  const task = writing()
  feed(task, ...Array.from({ length: 10 }, (_, offset) => event(offset, 100)))
  const bytes = recordsOf(capture(task), 'enriched').reduce((sum, { value }) => sum + value!.length, 0)
  feed(task, ...Array.from({ length: 10 }, (_, i) => event(10 + i, 100)))
  expect(task.pendingBytes).toBeGreaterThan(bytes)
  expect(task.pendingBytes).toBeLessThan(bytes + 10 * 600)
  capture(task)
  expect(task.pendingBytes).toBe(0)
})

describe('a batch that cannot be read, skipped', () => {
  it('ends what was counted before it, tells the gap and commits, before what comes behind it', () => {
    const task = writing()
    feed(task, event(0, 100), event(1, 100))
    task.skipCorrupt({ from: 2, to: 6, bytes: new Uint8Array([1, 2]) }, BASE)
    feed(task, event(6, 100))
    const first = capture(task)
    expect(partialsOf(first)).toMatchObject([{ from: 0, through: 2, aggregate: { n: 2 } }])
    expect(progressOf(first)[0]).toMatchObject({ through: 6, gaps: [{ from: 2, to: 6 }] })
    expect(first?.commit.offset).toBe(6)
    expect(recordsOf(first, 'enriched')).toHaveLength(2)
    const [letter] = recordsOf(first, 'deadLetters')
    expect(letter).toMatchObject({ key: null, value: new Uint8Array([1, 2]) })
    expect(headersOf(letter)).toMatchObject({
      'error.code': 'corrupt_batch',
      'source.offset': '2',
      'source.next_offset': '6',
    })
    expect(first?.notices).toContainEqual({ kind: 'gap', from: 2, to: 6 })
    const second = capture(task)
    expect(partialsOf(second)).toMatchObject([{ from: 6, through: 7, aggregate: { n: 1 } }])
    // Its records were never delivered: the gap tells of them, not the totals.
    expect(first?.tally).toEqual({ accepted: 3, late: 0, rejected: {} })
  })

  it('that a chunk ends before leaves each chunk its own partials', () => {
    const task = writing()
    feed(task, event(15, 100))
    task.skipCorrupt({ from: 18, to: 20, bytes: null }, BASE)
    feed(task, event(20, 100))
    expect(partialsOf(capture(task))).toMatchObject([{ from: 0, through: 16 }])
    expect(partialsOf(capture(task))).toMatchObject([{ from: 20, through: 21 }])
  })

  it('is not met again by the next owner, who begins behind it', () => {
    const task = writing()
    feed(task, event(0, 100))
    task.skipCorrupt({ from: 1, to: 4, bytes: null }, BASE)
    feed(task, event(4, 200))
    capture(task)
    const next = restore(capture(task)!.commit)
    expect(next.position).toBe(4)
  })

  it('in what is read again loses only what no earlier owner has told', () => {
    const task = writing()
    feed(task, event(0, 100), event(1, 200), event(2, 300))
    const { commit } = capture(task)!
    const next = restore(commit)
    feed(next, event(0, 100))
    next.skipCorrupt({ from: 1, to: 2, bytes: null }, BASE)
    expect([next.live, next.position]).toEqual([true, 3])
    feed(next, event(2, 300), event(3, 400))
    const first = capture(next)
    expect([partialsOf(first), first?.commit.offset]).toEqual([[], 3])
    expect(progressOf(first)[0]?.gaps).toEqual([])
    expect(partialsOf(capture(next))).toMatchObject([{ from: 3, through: 4, aggregate: { n: 1 } }])
  })

  it('that reaches from what is read again into what is new loses the new part', () => {
    const task = writing()
    feed(task, event(0, 100), event(1, 200))
    const next = restore(capture(task)!.commit)
    next.skipCorrupt({ from: 0, to: 5, bytes: null }, BASE)
    expect(next.position).toBe(5)
    expect(progressOf(capture(next))[0]).toMatchObject({ through: 5, gaps: [{ from: 2, to: 5 }] })
  })
})
