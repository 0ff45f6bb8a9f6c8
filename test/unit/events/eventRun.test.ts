import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashText } from '../../../src/aggregate/hash.ts'
import { EventSlice, type RunRules } from '../../../src/events/eventSlice.ts'
import { emptyEvent } from '../../../src/events/parse.ts'
import type { TermField } from '../../../src/events/textSlots.ts'
import { WINDOW_RUNS, type WindowRun } from '../../../src/events/windowRun.ts'
import type { RecordHeader } from '../../../src/tasks/recordBatch.ts'
import { blockOf } from '../recordBlock.ts'
import { SEED } from '../support.ts'

const SIZE_MS = 10_000
/** Where the first of the windows begins. */
const START_MS = 1_694_479_200_000
const END_MS = START_MS + WINDOW_RUNS.length * SIZE_MS
const FIELDS: readonly TermField[] = [0, 1, 2]
const slice = new EventSlice({ maxEventBytes: 1 << 20, validationRequired: [] }, false)
const event = emptyEvent()

/** What a run has to say of one window's events. */
type Counted = {
  events: number
  lastRow: number
  addresses: number[]
  /** By field and text, those that are missing being `unknown`. */
  readonly terms: Record<string, number>[]
  readonly missing: Record<number, number>
  readonly logins: { readonly user: number; readonly time: number; readonly device: number }[]
}
type Run = { readonly end: number; readonly clock: number; readonly windows: readonly (Counted | null)[] }

/** A window that takes events while the clock stands before the first number, and users up to the second; or none. */
type Admitted = readonly [closesAtMs: number, ceiling: number] | null

function countedOf(run: WindowRun): Counted | null {
  const hasCounted = run.hasCounted
  const terms = FIELDS.map(field => {
    const counts: Record<string, number> = {}
    run.takeTerms(field, {
      add(term, events = 1) {
        counts[term.text] = (counts[term.text] ?? 0) + events
      },
    })
    return counts
  })
  const missing: Record<number, number> = {}
  run.takeMissing((fields, events) => {
    missing[fields] = events
  })
  const { events, lastRow, loginCount } = run
  expect([hasCounted, run.hasCounted]).toEqual([events > 0, false])
  if (events === 0) return null
  const { users, times, devices } = run.logins
  const logins = Array.from({ length: loginCount }, (_, i) => {
    return { user: users[i] as number, time: times[i] as number, device: devices[i] as number }
  })
  return { events, lastRow, addresses: [...run.addresses.subarray(0, events)], terms, missing, logins }
}

function runBySlice(first: number, rules: RunRules, admitted: readonly Admitted[], clock: number): Run {
  for (const [i, run] of WINDOW_RUNS.entries()) {
    const window = admitted[i] ?? null
    if (window === null) run.refuse()
    else run.admit(...window)
  }
  const end = slice.countRun(first, rules, clock)
  return { end, clock: slice.runClock, windows: WINDOW_RUNS.map(countedOf) }
}

/** The same, a row after the other. @param isRead whether a row was read when the slice was taken */
function runByRows(
  first: number,
  rules: RunRules,
  admitted: readonly Admitted[],
  clock: number,
  isRead: readonly boolean[],
  traced: readonly boolean[],
): Run {
  const windows = WINDOW_RUNS.map((): Counted | null => null)
  let [row, latest] = [first, clock]
  for (; row < slice.size && isRead[row] && slice.offset(row) < rules.limit; row++) {
    slice.read(row, event)
    const stamp = slice.timestamp(row)
    const { timeMs, missing } = event
    const number = Math.floor((timeMs - rules.startMs) / rules.sizeMs)
    const [closesAtMs, ceiling] = admitted[number] ?? [Number.NEGATIVE_INFINITY, 0]
    if (closesAtMs <= latest || timeMs > stamp + rules.skewMs) break
    if (rules.looksForTraces && traced[row]) break
    const counted = windows[number] ?? { ...EMPTY(), lastRow: row }
    windows[number] = counted
    counted.events++
    counted.lastRow = row
    counted.addresses.push(event.ipv4 < 0 ? 0 : event.ipv4 | 0)
    for (const [field, text] of [event.deviceType, event.locale, event.appVersion].entries()) {
      const counts = counted.terms[field] as Record<string, number>
      counts[text] = (counts[text] ?? 0) + 1
    }
    if (missing !== 0) counted.missing[missing] = (counted.missing[missing] ?? 0) + 1
    const device = event.deviceId === 'unknown' ? -1 : hashText(event.deviceId)
    if (event.userHash <= ceiling) counted.logins.push({ user: event.userHash, time: timeMs, device })
    latest = Math.max(latest, Math.min(timeMs, stamp))
  }
  return { end: row, clock: latest, windows }
}

const EMPTY = (): Omit<Counted, 'lastRow'> => ({
  events: 0,
  addresses: [],
  terms: FIELDS.map(() => ({})),
  missing: {},
  logins: [],
})

/** Times in the windows, some at their bounds, and just outside. */
const time = fc.oneof(
  { weight: 60, arbitrary: fc.nat(END_MS - START_MS - 1) },
  { weight: 4, arbitrary: fc.constantFrom(0, SIZE_MS - 1, SIZE_MS, 2 * SIZE_MS, 3 * SIZE_MS - 1) },
  { weight: 1, arbitrary: fc.constantFrom(-1, END_MS - START_MS - 1, END_MS - START_MS) },
)
const field = (name: string, texts: readonly string[]) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...texts).map(text => `,"${name}":"${text}"`) },
    { weight: 1, arbitrary: fc.constantFrom('', `,"${name}":null`, `,"${name}":""`) },
  )
/** Contexts by their flags, and other headers beside and before them. */
const header = fc
  .record({
    name: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom('x', 'traceparenT', 'ce_type', 'cf_traceparent', 'tracestate') },
      fc.constantFrom('traceparent', 'ce_traceparent'),
    ),
    flags: fc.constantFrom('00', '01', '02', '0e', '0f', '0A', '0', null),
  })
  .map(({ name, flags }): RecordHeader => {
    return [name, flags === null ? null : Buffer.from(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-${flags}`)]
  })

const record = fc
  .record({
    time,
    user: fc.nat(30),
    device: field('device_type', ['iPhone', 'Android', 'web', 'iPad']),
    locale: field('locale', ['NY', 'CA', 'unknown', 'L1', 'L2', 'L3']),
    version: field('app_version', ['1.2', '1.2.0', '2']),
    others: fc.constantFrom('', ',"ip":"1.2.3.4"', ',"ip":"250.0.0.7"'),
    device_id: fc.constantFrom(
      '',
      ',"device_id":""',
      ...['d', 'unknown', 'unknowm', 'é', '12-34-567', '12-34-568'].map(id => `,"device_id":"${id}"`),
    ),
    // Some are not read by slices.
    end: fc.oneof(
      { weight: 40, arbitrary: fc.constant('}') },
      { weight: 1, arbitrary: fc.constantFrom('', ',"x":[]}') },
    ),
    headers: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(header, { maxLength: 3 })),
    gap: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 50 }) }),
    ahead: fc.oneof(
      { weight: 60, arbitrary: fc.nat(500) },
      { weight: 1, arbitrary: fc.integer({ min: 495, max: 505 }) },
    ),
  })
  .map(({ time: ms, user, device, locale, version, others, device_id, end, headers, gap, ahead }) => ({
    value: Buffer.from(
      `{"user_id":"u${user}","timestamp":${START_MS + ms}${device}${locale}${version}${others}${device_id}${end}`,
    ),
    timestamp: START_MS + ms - ahead,
    headers,
    gap,
  }))

/** Whether one of them may be the context of a sampled trace: its last digit is an odd one, or none. */
function isTraced(headers: readonly RecordHeader[]): boolean {
  return headers.some(([name, value]) => {
    const digit = Buffer.from(value ?? '').toString('latin1', 54, 55)
    return /^(ce_)?traceparent$/.test(name) && digit !== '' && !/[02468ace]/.test(digit)
  })
}

const rules = fc.record({
  limit: fc.oneof(fc.constant(Number.MAX_SAFE_INTEGER), fc.nat(60)),
  skewMs: fc.constantFrom(500, 1_000_000),
  looksForTraces: fc.boolean(),
  admitted: fc.array(
    fc.option(
      fc.tuple(
        fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: START_MS, max: END_MS })),
        fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat(2 ** 53 - 1)),
      ),
      { freq: 9 },
    ),
    { minLength: WINDOW_RUNS.length, maxLength: WINDOW_RUNS.length },
  ),
  appendTime: fc.constantFrom(null, null, START_MS + 5_000),
  clockMs: fc.constantFrom(0, 0, START_MS - 1, START_MS + 5_000),
})

test('a run counts what its rows say, up to the first that is not simply one more of an open window', () => {
  let [rows, runs] = [0, 0]
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 80 }),
      rules,
      (given, { appendTime, clockMs, admitted, ...own }) => {
        const window = { ...own, startMs: START_MS, sizeMs: SIZE_MS }
        let offset = 10 - (given[0]?.gap ?? 0)
        const records = given.map(({ gap, ...each }) => {
          offset += gap
          return { ...each, offset }
        })
        const block = { ...blockOf(records), appendTime }
        // What is read for the first time is learned; the slice taken again then has all of it.
        const take = () => slice.take(block.bytes, block.start, block.end, block.count, block)
        take()
        const traced = given.map(({ headers }) => isTraced(headers))
        const isRead = records.map((_, row) => slice.read(row, event))
        take()
        for (let first = 0; first < slice.size; ) {
          const run = runBySlice(first, window, admitted, clockMs)
          expect(run).toEqual(runByRows(first, window, admitted, clockMs, isRead, traced))
          rows += run.end - first
          runs += Number(run.end > first)
          first = Math.max(run.end, first + 1)
        }
      },
    ),
    { seed: SEED, numRuns: 300 },
  )
  expect(runs).toBeGreaterThan(100)
  expect(rows).toBeGreaterThan(300)
})

test('terms and missing fields of runs add up until they are taken', () => {
  const value = Buffer.from(`{"user_id":"u","timestamp":${START_MS}}`)
  const block = blockOf([0, 1, 2].map(offset => ({ offset, timestamp: START_MS, value })))
  slice.take(block.bytes, block.start, block.end, block.count, block)
  const rules = { startMs: START_MS, sizeMs: SIZE_MS, skewMs: 0, limit: 3, looksForTraces: false }
  const [run] = WINDOW_RUNS as [WindowRun]
  for (const each of WINDOW_RUNS) each.refuse()
  run.admit(Number.POSITIVE_INFINITY, 0)
  expect([slice.countRun(0, rules, 0), slice.countRun(1, rules, 0)]).toEqual([3, 3])
  expect(run.events).toBe(2)
  expect(countedOf(run)).toMatchObject({ terms: FIELDS.map(() => ({ unknown: 5 })), missing: { 31: 5 } })
})

test('a limit that lies further on than numbers of records reach is none', () => {
  const value = Buffer.from(`{"user_id":"u","timestamp":${START_MS}}`)
  const block = blockOf([0, 1, 2 ** 31 - 1].map(offset => ({ offset, timestamp: START_MS, value })))
  slice.take(block.bytes, block.start, block.end, block.count, block)
  const own = { startMs: START_MS, sizeMs: 1, skewMs: 0, looksForTraces: false }
  const admitted = [[Number.POSITIVE_INFINITY, 0]] as const
  for (const limit of [2 ** 31, 2 ** 32, 2 ** 33 + 1, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
    const { end, windows } = runBySlice(0, { ...own, limit }, admitted, 0)
    // The very last one is left to who looks at each.
    expect([limit, end, windows[0]?.terms[1]]).toEqual([limit, 2, { unknown: 2 }])
  }
  expect(runBySlice(0, { ...own, limit: 1 }, admitted, 0).end).toBe(1)
  expect(runBySlice(0, { ...own, limit: -1 }, admitted, 0).end).toBe(0)
})
