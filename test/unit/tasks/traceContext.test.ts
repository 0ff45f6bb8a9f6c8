import { describe, expect, it } from 'vitest'
import type { FetchTimes } from '../../../src/tasks/recordBatch.ts'
import {
  formatTraceparent,
  MAX_FETCHES,
  MAX_LINKS,
  parseTraceparent,
  sampledContext,
  sampledContextOf,
  TraceIntake,
  WindowTraces,
} from '../../../src/tasks/traceContext.ts'
import { ArrayBatch, type TestRecord } from '../support.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const CONTEXT = `00-${TRACE}-${SPAN}-01`

/** The context of a span with that number in one trace. */
const contextOf = (n: number) => `00-${TRACE}-${n.toString(16).padStart(16, '0')}-01`

function batchOf(...headers: Readonly<Record<string, string>>[]): ArrayBatch {
  return new ArrayBatch(headers.map((each, i): TestRecord => ({ offset: i, timestamp: 0, value: {}, headers: each })))
}

/** What an intake takes from records with these headers. */
function linksOf(...headers: Readonly<Record<string, string>>[]): readonly string[] {
  const intake = new TraceIntake()
  const batch = batchOf(...headers)
  while (batch.next()) intake.record(batch)
  return intake.take().links
}

describe('a traceparent', () => {
  it('is taken apart and written again', () => {
    const ids = parseTraceparent(CONTEXT)
    expect(ids).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true })
    expect(ids && formatTraceparent(ids)).toBe(CONTEXT)
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)?.sampled).toBe(false)
    // Only the lowest flag is about sampling.
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-02`)?.sampled).toBe(false)
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-03`)?.sampled).toBe(true)
  })

  it('of a later version may have more to say, and is handed on as what we know', () => {
    expect(sampledContext(`01-${TRACE}-${SPAN}-01-what-may-come`)).toBe(CONTEXT)
  })

  it.each([
    ['nothing', ''],
    ['no context', '00-1'],
    ['upper case', CONTEXT.toUpperCase()],
    ['more than version 00 has', `${CONTEXT}-more`],
    ['the version that is none', `ff-${TRACE}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['one digit too few', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a blank behind it', `${CONTEXT} `],
  ])('that is %s is none', (_, text) => {
    expect(parseTraceparent(text)).toBeNull()
  })
})

describe('the context of a record', () => {
  it('is in its header, or in that of a CloudEvent whose attributes are headers', () => {
    const batch = batchOf({ traceparent: CONTEXT }, { ce_traceparent: contextOf(2) }, {})
    const read: (string | null)[] = []
    while (batch.next()) read.push(sampledContextOf(batch))
    expect(read).toEqual([CONTEXT, contextOf(2), null])
  })

  it('is of no use when it is not sampled', () => {
    expect(linksOf({ traceparent: `00-${TRACE}-${SPAN}-00` }, { traceparent: 'no context' })).toEqual([])
  })
})

describe('what leads to a capture', () => {
  it('is linked once, in the order in which it came', () => {
    const [a, b] = [{ traceparent: contextOf(1) }, { traceparent: contextOf(2) }]
    expect(linksOf(b, a, b, {}, a)).toEqual([contextOf(2), contextOf(1)])
  })

  it('is linked up to the cap, and all of it is counted', () => {
    const intake = new TraceIntake()
    const batch = batchOf(...Array.from({ length: MAX_LINKS + 9 }, (_, i) => ({ traceparent: contextOf(i + 1) })))
    while (batch.next()) intake.record(batch, null, 1_000 + batch.offset)
    const { links, records, sinceMs } = intake.take()
    expect(links).toEqual(Array.from({ length: MAX_LINKS }, (_, i) => contextOf(i + 1)))
    expect([records, sinceMs]).toEqual([MAX_LINKS + 9, 1_000])
    expect(intake.take()).toEqual({ links: [], records: 0, sinceMs: null, fetches: [] })
  })

  it('names the fetches that brought it, the first of many, with how much each brought', () => {
    const intake = new TraceIntake()
    const times = (n: number) => ({ askedMs: n, cameMs: n + 5 })
    const feed = (fetch: FetchTimes | null, records: number) => {
      const batch = Object.assign(batchOf(...Array.from({ length: records }, () => ({}))), { fetch })
      while (batch.next()) intake.record(batch)
    }
    const first = times(100)
    feed(first, 2)
    feed(first, 1)
    feed(null, 7)
    feed(times(200), 1)
    expect(intake.take().fetches).toEqual([
      { askedMs: 100, cameMs: 105, records: 3 },
      { askedMs: 200, cameMs: 205, records: 1 },
    ])
    // What one fetch brought may be told by two captures.
    feed(first, 4)
    for (let n = 1; n < 2 * MAX_FETCHES; n++) feed(times(n), 1)
    const { fetches, records } = intake.take()
    expect(fetches).toHaveLength(MAX_FETCHES)
    expect(fetches.slice(0, 2)).toEqual([
      { askedMs: 100, cameMs: 105, records: 4 },
      { askedMs: 1, cameMs: 6, records: 1 },
    ])
    expect(records).toBe(4 + 2 * MAX_FETCHES - 1)
    expect(intake.take().fetches).toEqual([])
  })

  it('may stand in the value, where no header says otherwise', () => {
    const intake = new TraceIntake()
    const batch = batchOf({}, { traceparent: contextOf(1) })
    while (batch.next()) intake.record(batch, contextOf(7 + batch.offset))
    expect(intake.take().links).toEqual([contextOf(7), contextOf(1)])
  })

  it.each([...'0123456789abcdef'])('with flags that end in %s is taken exactly when it is sampled', digit => {
    const traceparent = `00-${TRACE}-${SPAN}-0${digit}`
    const intake = new TraceIntake()
    const batch = batchOf({}, { traceparent })
    while (batch.next()) intake.record(batch)
    const sampled = parseTraceparent(traceparent)?.sampled
    expect(intake.take().links).toEqual(sampled ? [`00-${TRACE}-${SPAN}-01`] : [])
  })

  it('is not looked for without end among contexts that nobody sampled', () => {
    const intake = new TraceIntake()
    let looks = 0
    const headerByte = () => {
      looks++
      return -1
    }
    const record = { headerCount: 1, header: () => null, headerByte }
    for (let i = 0; i < 20_000; i++) intake.record(record as never)
    expect(looks).toBeLessThan(10_000)
    expect(intake.take().records).toBe(20_000)
  })
})

describe('the contexts of a window', () => {
  it('are told when they are new, and once more all of them when it is final', () => {
    const traces = new WindowTraces()
    traces.add(contextOf(1))
    expect(traces.take(false)).toEqual([contextOf(1)])
    traces.add(contextOf(2))
    expect(traces.take(false)).toEqual([contextOf(2)])
    expect(traces.take(false)).toEqual([])
    expect(traces.take(true)).toEqual([contextOf(1), contextOf(2)])
  })

  it('are at most as many as a span may link to', () => {
    const traces = new WindowTraces()
    for (let i = 1; i <= 2 * MAX_LINKS; i++) traces.add(contextOf(i))
    expect(traces.take(true)).toHaveLength(MAX_LINKS)
  })
})
