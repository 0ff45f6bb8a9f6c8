import { describe, expect, it } from 'vitest'
import { decodeResult } from '../../../src/results/decode.ts'
import type { AggregateTaskSettings } from '../../../src/tasks/aggregateStart.ts'
import { encodeMessage, type Message } from '../../../src/tasks/messages.ts'
import { createReduceTaskFactory } from '../../../src/tasks/reduceTask.ts'
import { createSinkTaskFactory } from '../../../src/tasks/sinkTask.ts'
import { type Capture, type OutputRecord, type OutputTopic, recordsOf } from '../../../src/tasks/task.ts'
import { MAX_LOOKS } from '../../../src/tasks/traceContext.ts'
import { traced } from '../../../src/tasks/traced.ts'
import { keyOf, resultOf } from '../sinks/results.ts'
import { ArrayBatch, bytesOf, type TestRecord } from '../support.ts'
import { ALL, BASE, capture, event, feed, restore } from './aggregateSupport.ts'
import { partial, progress, reduceSettings } from './reduceSupport.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const contextOf = (n: number) => `00-${TRACE}-${n.toString(16).padStart(16, '0')}-01`
const CONTEXT = contextOf(9)
const inTrace = (record: TestRecord, n: number) => ({ ...record, headers: { traceparent: contextOf(n) } })
const recordFor = (topic: OutputTopic, value = '{}'): OutputRecord => ({ topic, partition: 0, key: 'k', value })

/** A capture without what it says of traces. */
function untraced(taken: Capture | null): unknown {
  if (taken === null) return null
  const { trace: _, ...told } = taken
  return told
}

describe('what is told under a span', () => {
  it('carries its context, save what carries the one that it came with', () => {
    const topics = ['partials', 'results', 'deviceStats', 'enriched', 'deadLetters'] as const
    const records = topics.map(topic => recordFor(topic, JSON.stringify({ v: 1 })))
    const told = recordsOf(traced(records, CONTEXT))
    const carriers = told.filter(({ headers }) =>
      headers?.some(([name, text]) => name === 'traceparent' && text === CONTEXT),
    )
    expect(carriers.map(({ topic }) => topic)).toEqual(['partials', 'results', 'deviceStats'])
    expect(told[3]).toEqual(recordFor('enriched', '{"v":1}'))
  })

  it('keeps its other headers, and all else', () => {
    const record: OutputRecord = { ...recordFor('partials'), level: 2, headers: [['a', 'b']] }
    expect(traced([record], CONTEXT)).toEqual([
      {
        ...record,
        headers: [
          ['a', 'b'],
          ['traceparent', CONTEXT],
        ],
      },
    ])
  })

  it('is a result with the ids in it, and the same result else', () => {
    const [told] = recordsOf(traced([recordFor('results', JSON.stringify(resultOf()))], CONTEXT))
    const { trace, ...rest } = decodeResult(bytesOf(told?.value) as Uint8Array) ?? {}
    expect(trace).toEqual({ trace_id: TRACE, span_id: CONTEXT.slice(36, 52) })
    expect(rest).toEqual(resultOf())
  })

  it.each([{}, { trace_id: TRACE }, { trace_id: TRACE, span_id: 'x' }, 'text', null])(
    'is no result with the ids %j',
    trace => {
      expect(decodeResult(bytesOf({ ...resultOf(), trace }) as Uint8Array)).toBeNull()
    },
  )
})

describe('an aggregate task', () => {
  const started = (changed: Partial<AggregateTaskSettings>) => {
    const task = restore(null, ALL, changed)
    capture(task)
    return task
  }

  it('finds the sampled among many events, wherever they are, and counts the same as without', () => {
    const marked = new Map([
      [0, 1],
      [1, 2],
      [700, 3],
      [5_999, 4],
    ])
    const unsampled = contextOf(9).replace(/.$/, '0')
    const events = Array.from({ length: 6_000 }, (_, offset) => {
      const plain = event(offset, offset)
      const number = marked.get(offset)
      if (number !== undefined) return inTrace(plain, number)
      return offset % 2 === 0 ? plain : { ...plain, headers: { traceparent: unsampled } }
    })
    const [looking, plain] = [started({ traced: true }), started({})]
    for (const task of [looking, plain]) feed(task, ...events)
    const told = capture(looking)
    expect(untraced(told)).toEqual(capture(plain))
    expect(told?.trace).toMatchObject({ links: [1, 2, 3, 4].map(contextOf), records: events.length })
  })

  it('looks no more, until the next capture, where as many as it looks at are of one trace', () => {
    const events = Array.from({ length: MAX_LOOKS + 500 }, (_, offset) => {
      return inTrace(event(offset, offset), offset < MAX_LOOKS ? 1 : 2)
    })
    const task = started({ traced: true })
    feed(task, ...events)
    expect(capture(task)?.trace).toMatchObject({ links: [contextOf(1)], records: events.length })
    feed(task, inTrace(event(events.length, 5), 7))
    expect(capture(task)?.trace).toMatchObject({ links: [contextOf(7)], records: 1 })
  })

  it('tells the contexts of the events since the last capture, of those rejected and late too', () => {
    const task = started({ traced: true })
    const broken = { offset: 1, timestamp: BASE, value: '{', headers: { traceparent: contextOf(2) } }
    feed(task, inTrace(event(0, 0), 1), broken, event(2, 0), inTrace(event(3, 0), 1))
    expect(capture(task)?.trace).toEqual({
      links: [contextOf(1), contextOf(2)],
      records: 4,
      sinceMs: BASE,
      fetches: [],
    })
    feed(task, inTrace(event(4, 0), 4))
    expect(capture(task)?.trace).toMatchObject({ links: [contextOf(4)], records: 1 })
  })

  it('finds the context of a structured CloudEvent in its envelope, and not in the next event', () => {
    const task = started({ traced: true })
    const data = { user_id: 'u', timestamp: BASE }
    feed(
      task,
      { offset: 0, timestamp: BASE, value: { specversion: '1.0', traceparent: contextOf(5), data } },
      event(1, 0),
    )
    expect(capture(task)?.trace).toMatchObject({ links: [contextOf(5)], records: 2 })
  })

  it('has no trace of a capture that tells nothing but progress', () => {
    const task = started({ traced: true })
    const idle = capture(task)
    expect(idle?.stages.map(stage => stage.length > 0)).toEqual([false, true])
    expect(idle).not.toHaveProperty('trace')
  })

  it('does not tell again of what is only read again', () => {
    const first = started({ traced: true })
    feed(first, inTrace(event(0, 0), 1))
    const commit = capture(first)?.commit ?? null
    const next = restore(commit, ALL, { traced: true })
    feed(next, inTrace(event(0, 0), 1), inTrace(event(1, 0), 2))
    expect(capture(next)?.trace).toMatchObject({ links: [contextOf(2)], records: 1 })
  })

  it('tells the same with and without', () => {
    const [on, off] = [started({ traced: true }), started({})]
    for (const task of [on, off]) feed(task, inTrace(event(0, 0), 1), event(1, 500))
    const [told, plain] = [capture(on), capture(off)]
    expect(untraced(told)).toEqual(plain)
    expect(plain).not.toHaveProperty('trace')
  })
})

describe('a reduce task', () => {
  const restored = (isTraced: boolean) =>
    createReduceTaskFactory({ ...reduceSettings, traced: isTraced }).restore(0, null, { start: 0, end: 100 }, 0)
  const record = (offset: number, message: Message, n: number): TestRecord => {
    return { offset, timestamp: 0, value: encodeMessage(message), headers: { traceparent: contextOf(n) } }
  }
  const input = { now: 0, sourcePartitions: 1, idleAsOf: null }

  it('links a provisional result to the partials that are new in it, and a final one to all', () => {
    const task = restored(true)
    task.process(
      new ArrayBatch([record(0, partial(4, 0, [0, 2], [0, 1]), 1), record(1, partial(4, 1, [0, 1], [0]), 2)]),
    )
    const trace = { links: [contextOf(1), contextOf(2)], records: 2, sinceMs: null, fetches: [] }
    expect(task.capture(input)?.trace).toEqual(trace)
    task.process(new ArrayBatch([record(2, partial(4, 0, [0, 3], [0, 1, 2]), 3)], { baseOffset: 2 }))
    expect(task.capture(input)?.trace).toMatchObject({ links: [contextOf(3)], records: 1 })
    const passed = progress(0, 1, 6_500, { through: 3 })
    task.process(new ArrayBatch([record(3, passed, 4)], { baseOffset: 3 }))
    expect(task.capture(input)?.trace).toMatchObject({ links: [contextOf(1), contextOf(2), contextOf(3)], records: 1 })
  })

  it('has no trace of a capture that tells nothing but its position', () => {
    const task = restored(true)
    task.process(new ArrayBatch([record(0, progress(0, 1, 0), 1)]))
    expect(task.capture(input)).not.toHaveProperty('trace')
    // What was processed for it is not told by the next.
    task.process(new ArrayBatch([record(1, partial(4, 0, [0, 2], [0, 1]), 2)], { baseOffset: 1 }))
    expect(task.capture(input)?.trace).toMatchObject({ links: [contextOf(2)], records: 1 })
  })

  it('does not link to a repeat', () => {
    const task = restored(true)
    const said = partial(4, 0, [0, 2], [0, 1])
    task.process(new ArrayBatch([record(0, said, 1), record(1, said, 2)]))
    expect(task.capture(input)?.trace?.links).toEqual([contextOf(1)])
  })

  it('tells the same with and without', () => {
    const [on, off] = [restored(true), restored(false)]
    for (const task of [on, off]) {
      task.process(new ArrayBatch([record(0, partial(4, 0, [0, 2], [0, 1]), 1), record(1, progress(0, 1, 9_000), 2)]))
    }
    const plain = off.capture(input)
    expect(untraced(on.capture(input))).toEqual(plain)
    expect(plain).not.toHaveProperty('trace')
  })
})

describe('a sink task', () => {
  it('tells the contexts of the results that it took in', () => {
    const task = createSinkTaskFactory('results', true).restore(0, null, { start: 0, end: 9 }, 0)
    const result = resultOf()
    task.process(new ArrayBatch([inTrace({ offset: 0, timestamp: 0, key: keyOf(result), value: result }, 1)]))
    expect(task.capture()?.trace).toEqual({ links: [contextOf(1)], records: 1, sinceMs: null, fetches: [] })
  })

  it('has no trace of a capture that writes nothing', () => {
    const task = createSinkTaskFactory('results', true).restore(0, null, { start: 0, end: 9 }, 0)
    task.capture()
    task.skipTo(5)
    expect(task.capture()).toEqual({ stages: [[]], commit: { offset: 5, metadata: '' }, tally: null, notices: [] })
  })
})
