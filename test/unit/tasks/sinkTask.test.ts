import { describe, expect, it } from 'vitest'
import type { Result } from '../../../src/results/result.ts'
import { createSinkTaskFactory } from '../../../src/tasks/sinkTask.ts'
import type { Capture } from '../../../src/tasks/task.ts'
import { DAY_MS, keyOf, resultOf } from '../sinks/results.ts'
import { ArrayBatch, jsonOf, recordsIn, type TestRecord } from '../support.ts'

const factory = createSinkTaskFactory('results')
const commit = (offset: number) => ({ offset, metadata: '' })
const begin = (committed: number | null = null, log = { start: 0, end: 100 }) =>
  factory.restore(0, committed === null ? null : commit(committed), log, 0)
const record = (offset: number, result: Result, key = keyOf(result)): TestRecord => {
  return { offset, timestamp: 0, key, value: result }
}
const rows = (capture: Capture | null) => recordsIn(capture).map(each => jsonOf<Result>(each))

describe('a batch', () => {
  it('becomes a row for each window, its greatest, and the position behind it', () => {
    const task = begin()
    const next = resultOf({ startMs: DAY_MS + 10_000 })
    const best = resultOf({ revision: 3 })
    task.process(
      new ArrayBatch([record(0, resultOf()), record(1, best), record(2, next), record(3, resultOf({ revision: 2 }))]),
    )
    const capture = task.capture()
    expect(rows(capture)).toEqual([best, next])
    expect(capture?.commit).toEqual(commit(4))
    expect(recordsIn(capture).map(({ key }) => key)).toEqual([keyOf(best), keyOf(next)])
    expect(task.capture()).toBeNull()
  })

  it('counts what is below the position once', () => {
    const task = begin(2)
    task.process(new ArrayBatch([record(1, resultOf({ revision: 9 })), record(2, resultOf())], { baseOffset: 1 }))
    expect(rows(task.capture())).toEqual([resultOf()])
  })

  it('of control records alone still moves the position', () => {
    const task = begin(2)
    task.skipTo(5)
    expect(task.capture()).toMatchObject({ stages: [[]], commit: commit(5) })
  })

  it.each([
    ['no JSON', '{'],
    ['not a result', { v: 1 }],
    ['of another version', { ...resultOf(), v: 2 }],
  ])('with a record that is %s leaves it out and says where', (_, value) => {
    const task = begin()
    task.process(
      new ArrayBatch([{ offset: 7, timestamp: 0, key: 'k', value }, record(8, resultOf())], { baseOffset: 0 }),
    )
    expect(task.capture()).toMatchObject({ notices: [{ kind: 'foreign_record', offset: 7 }], commit: commit(9) })
  })

  it('with a result under another key leaves it out', () => {
    const task = begin()
    task.process(new ArrayBatch([record(0, resultOf(), '10s/2023-09-12T00:00:10.000Z')]))
    expect(task.capture()).toMatchObject({ stages: [[]], notices: [{ kind: 'foreign_record', offset: 0 }] })
  })

  it('with a tombstone deletes nothing and says nothing', () => {
    const task = begin()
    task.process(
      new ArrayBatch([record(0, resultOf()), { offset: 1, timestamp: 0, key: keyOf(resultOf()), value: null }]),
    )
    expect(task.capture()).toMatchObject({ notices: [], commit: commit(2) })
  })
})

it('what waits is measured, and a backlog of one window stays one row', () => {
  const task = begin()
  expect(task.pendingBytes).toBe(0)
  const records = Array.from({ length: 50 }, (_, i) => record(i, resultOf({ revision: i + 1 })))
  task.process(new ArrayBatch(records))
  expect(task.pendingEvents).toBe(1)
  expect(task.pendingBytes).toBeLessThan(5_000)
  expect(task.pendingBytes).toBeGreaterThan(JSON.stringify(resultOf()).length)
  task.capture()
  expect(task.pendingBytes).toBe(0)
})

describe('a restore', () => {
  it('begins at the start of the log without a position, and at the position with one', () => {
    expect(begin(null, { start: 3, end: 9 }).position).toBe(3)
    expect(begin(5, { start: 3, end: 9 }).position).toBe(5)
  })

  it('goes on behind a gap, and says so', () => {
    const task = begin(5, { start: 8, end: 9 })
    expect(task.position).toBe(8)
    expect(task.capture()).toMatchObject({ commit: commit(8), notices: [{ kind: 'gap', from: 5, to: 8 }] })
  })

  it('refuses a log that ends before the position', () => {
    expect(() => begin(10, { start: 0, end: 9 })).toThrow(expect.objectContaining({ code: 'refused_beyond_log' }))
  })
})
