import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventSlice, type RunRules, type TermField } from '../../../src/events/eventSlice.ts'
import { emptyEvent } from '../../../src/events/parse.ts'
import { blockOf } from '../recordBlock.ts'
import { SEED } from '../support.ts'

const START_MS = 1_694_479_200_000
const SIZE_MS = 10_000
const FIELDS: readonly TermField[] = [0, 1, 2]
const slice = new EventSlice({ maxEventBytes: 1 << 20, validationRequired: [] }, false)
const event = emptyEvent()

/** What a run has to say of its rows. */
type Run = {
  readonly end: number
  readonly clock: number
  /** By field and text, those that are missing being `unknown`. */
  readonly terms: readonly Readonly<Record<string, number>>[]
  readonly missing: Readonly<Record<number, number>>
  readonly userRows: readonly number[]
}

function runBySlice(first: number, rules: RunRules, clock: number): Run {
  const end = slice.countRun(first, rules, clock)
  const terms = FIELDS.map(field => {
    const counts: Record<string, number> = {}
    slice.takeTerms(field, {
      add(term, events = 1) {
        counts[term.text] = (counts[term.text] ?? 0) + events
      },
    })
    return counts
  })
  const missing: Record<number, number> = {}
  slice.takeMissing((fields, events) => {
    missing[fields] = events
  })
  const userRows = Array.from({ length: slice.runUsers }, (_, i) => slice.runUserRow(i))
  return { end, clock: slice.runClock, terms, missing, userRows }
}

/** The same, a row after the other. @param isRead whether a row was read when the slice was taken */
function runByRows(first: number, rules: RunRules, clock: number, isRead: readonly boolean[]): Run {
  const terms = FIELDS.map((): Record<string, number> => ({}))
  const missing: Record<number, number> = {}
  const userRows: number[] = []
  let [row, latest] = [first, clock]
  for (; row < slice.size && isRead[row] && slice.offset(row) < rules.limit; row++) {
    slice.read(row, event)
    const stamp = slice.timestamp(row)
    if (event.timeMs < rules.startMs || event.timeMs >= rules.endMs || event.timeMs > stamp + rules.skewMs) break
    for (const [field, text] of [event.deviceType, event.locale, event.appVersion].entries()) {
      const counts = terms[field] as Record<string, number>
      counts[text] = (counts[text] ?? 0) + 1
    }
    if (event.missing !== 0) missing[event.missing] = (missing[event.missing] ?? 0) + 1
    if (event.userHash <= rules.ceiling) userRows.push(row)
    latest = Math.max(latest, Math.min(event.timeMs, stamp))
  }
  return { end: row, clock: latest, terms, missing, userRows }
}

/** Times around a window's bounds, nearly all of them within. */
const time = fc.oneof(
  { weight: 60, arbitrary: fc.nat(SIZE_MS - 1) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0, SIZE_MS - 1, SIZE_MS) },
)
const field = (name: string, texts: readonly string[]) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...texts).map(text => `,"${name}":"${text}"`) },
    { weight: 1, arbitrary: fc.constantFrom('', `,"${name}":null`, `,"${name}":""`) },
  )
const record = fc
  .record({
    time,
    user: fc.nat(30),
    device: field('device_type', ['iPhone', 'Android', 'web', 'iPad']),
    locale: field('locale', ['NY', 'CA', 'unknown', 'L1', 'L2', 'L3']),
    version: field('app_version', ['1.2', '1.2.0', '2']),
    others: fc.constantFrom('', '', ',"ip":"1.2.3.4"', ',"device_id":"d"'),
    // Some are not read by slices.
    end: fc.oneof(
      { weight: 40, arbitrary: fc.constant('}') },
      { weight: 1, arbitrary: fc.constantFrom('', ',"x":[]}') },
    ),
    gap: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 50 }) }),
    ahead: fc.oneof(
      { weight: 60, arbitrary: fc.nat(500) },
      { weight: 1, arbitrary: fc.integer({ min: 495, max: 505 }) },
    ),
  })
  .map(({ time: ms, user, device, locale, version, others, end, gap, ahead }) => ({
    value: Buffer.from(`{"user_id":"u${user}","timestamp":${START_MS + ms}${device}${locale}${version}${others}${end}`),
    timestamp: START_MS + ms - ahead,
    gap,
  }))
const rules = fc.record({
  limit: fc.oneof(fc.constant(Number.MAX_SAFE_INTEGER), fc.nat(60)),
  skewMs: fc.constantFrom(500, 1_000_000),
  ceiling: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat(2 ** 53 - 1)),
  appendTime: fc.constantFrom(null, null, START_MS + 5_000),
  clockMs: fc.constantFrom(0, START_MS - 1, START_MS + 5_000, START_MS + SIZE_MS + 7),
})

test('a run counts what its rows say, up to the first that is not simply one more of its window', () => {
  let [rows, runs] = [0, 0]
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 80 }), rules, (given, { appendTime, clockMs, ...own }) => {
      const window = { ...own, startMs: START_MS, endMs: START_MS + SIZE_MS }
      let offset = 10 - (given[0]?.gap ?? 0)
      const records = given.map(({ gap, ...each }) => {
        offset += gap
        return { ...each, offset }
      })
      const block = { ...blockOf(records), appendTime }
      // What is read for the first time is learned; the slice taken again then has all of it.
      const take = () => slice.take(block.bytes, block.start, block.end, block.count, block)
      take()
      const isRead = records.map((_, row) => slice.read(row, event))
      take()
      for (let first = 0; first < slice.size; ) {
        const run = runBySlice(first, window, clockMs)
        expect(run).toEqual(runByRows(first, window, clockMs, isRead))
        rows += run.end - first
        runs += Number(run.end > first)
        first = Math.max(run.end, first + 1)
      }
    }),
    { seed: SEED, numRuns: 300 },
  )
  expect(runs).toBeGreaterThan(100)
  expect(rows).toBeGreaterThan(300)
})

test('a limit that lies further on than numbers of records reach is none', () => {
  const value = Buffer.from(`{"user_id":"u","timestamp":${START_MS}}`)
  const block = blockOf([0, 1, 2 ** 31 - 1].map(offset => ({ offset, timestamp: START_MS, value })))
  slice.take(block.bytes, block.start, block.end, block.count, block)
  const own = { startMs: START_MS, endMs: START_MS + 1, skewMs: 0, ceiling: 0 }
  for (const limit of [2 ** 31, 2 ** 32, 2 ** 33 + 1, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
    const { end, terms } = runBySlice(0, { ...own, limit }, 0)
    // The very last one is left to who looks at each.
    expect([limit, end, terms[1]]).toEqual([limit, 2, { unknown: 2 }])
  }
  expect(runBySlice(0, { ...own, limit: 1 }, 0).end).toBe(1)
  expect(runBySlice(0, { ...own, limit: -1 }, 0).end).toBe(0)
})
