import { describe, expect, test } from 'vitest'
import { Aggregate } from '../../../src/aggregate/aggregate.ts'
import { createHourReader } from '../../../src/events/hours.ts'
import type { Message } from '../../../src/tasks/messages.ts'
import { createReduceTaskFactory, type ReduceTask } from '../../../src/tasks/reduceTask.ts'
import { ArrayBatch, login, messageRecords } from '../support.ts'
import { BASE } from './reduceSupport.ts'

/** Windows of 1 s, 1 s of lateness, 10 s for corrections. */
const settings = {
  generation: 1,
  configHash: 'abc',
  level: BASE,
  above: [],
  allowedLatenessMs: 1_000,
  correctionHorizonMs: 10_000,
  maxWindows: 20,
  limits: { dimensionValues: 10, qualityFields: 5, userSample: 16, sessionGapMs: 1_800_000 },
  hourOf: createHourReader('UTC'),
  partialsPartitions: 2,
  idleTimeoutMs: 5_000,
  partialsTopic: 'login-partials',
  deadLetterPartitions: 4,
}

const task = (changed = {}) =>
  createReduceTaskFactory({ ...settings, ...changed }).restore(0, null, { start: 0, end: 1_000 }, 0)

function partial(w: number, n: number): Message {
  const aggregate = new Aggregate(settings.limits)
  for (let i = 0; i < n; i++) aggregate.add(login(), '1', 'US', 'unknown')
  const through = { from: 0, clockAtFrom: 0, through: n, last: n }
  return { kind: 'partial', generation: 1, w, p: 0, ...through, aggregate: aggregate.toJSON(), coverage: null }
}

function progress(p: number, clock: number, idleAsOf: number | null = null): Message {
  const totals = { accepted: 1, late: 0, rejected: {} }
  return { kind: 'progress', generation: 1, p, of: 2, through: 100, clock, idleAsOf, totals, gaps: [] }
}

function feed(to: ReduceTask, messages: readonly Message[]): void {
  to.process(new ArrayBatch(messageRecords(messages, to.position, 7_000), { baseOffset: to.position }))
}

const told = (by: ReduceTask) => by.capture({ now: 5_000, sourcePartitions: 2, idleAsOf: null })?.told

describe('a survey', () => {
  test('knows of nothing before the sources have told', () => {
    expect(task().survey()).toEqual({
      size: BASE.name,
      windows: { provisional: 0, final: 0, corrected: 0 },
      clockMs: null,
      finalEndMs: null,
      sources: new Map(),
    })
  })

  test('tells windows by status, and how far each source and all of them have come', () => {
    const one = task()
    feed(one, [partial(3, 1), partial(5, 1), partial(9, 1), progress(0, 8_500), progress(1, 2_000, 7_500)])
    expect(one.survey().windows).toEqual({ provisional: 3, final: 0, corrected: 0 })
    expect(told(one)).toEqual({ size: BASE.name, provisional: 1, final: 2, corrected: 0 })
    // The second source is idle: the time at which that was known, as far as its record was appended by then.
    const sources = new Map([
      [0, 8_500],
      [1, 7_000],
    ])
    const clockMs = 7_000
    const windows = { provisional: 1, final: 2, corrected: 0 }
    expect(one.survey()).toEqual({ size: BASE.name, windows, clockMs, finalEndMs: 6_000, sources })
    feed(one, [partial(5, 4)])
    expect(one.survey().windows).toEqual({ provisional: 1, final: 1, corrected: 1 })
    expect(told(one)).toEqual({ size: BASE.name, provisional: 0, final: 0, corrected: 1 })
  })

  test('above the base level names no source partitions', () => {
    const one = task({ level: { ...BASE, number: 1, name: '1m', below: 0 } })
    feed(one, [partial(3, 1), progress(0, 8_500), progress(1, 9_000)])
    expect(one.survey()).toMatchObject({ size: '1m', clockMs: 8_500, sources: new Map() })
  })
})
