import { describe, expect, test } from 'vitest'
import type { RecountRecord } from '../../../src/audit/event.ts'
import { createRecount, type RecountResult } from '../../../src/dev/recount.ts'
import { createResultRecount, type ResultRules } from '../../../src/dev/recountResults.ts'
import { ResultTable } from '../../../src/dev/resultTable.ts'
import { judge } from '../../../src/dev/verdict.ts'
import type { Result } from '../../../src/results/result.ts'
import { login, placeOf, RULES, START, type StoredOptions, storedDeviceStats, storedResult } from '../audit/support.ts'

const SETTINGS: ResultRules = {
  ...RULES,
  rollupsMs: [60_000],
  slidingWindows: [{ sizeMs: 120_000, hopMs: 60_000 }],
}
const RECORDS = [
  login(0, 0, 1, { device_type: 'tv' }),
  login(0, 1, 12, { locale: 'NY' }),
  login(1, 0, 61, { user_id: 'v' }),
  login(1, 1, 1, { user_id: 'late' }, 62),
]
const KEYS: readonly (readonly [size: string, start: number, seconds: number])[] = [
  ['10s', 0, 10],
  ['10s', 10, 10],
  ['10s', 60, 10],
  ['1m', 0, 60],
  ['1m', 60, 60],
  ['2m', -60, 120],
  ['2m', 0, 120],
  ['2m', 60, 120],
]
const keyOf = (size: string, start: number) => `${size}/${new Date(START + start * 1000).toISOString()}`

function recountOf(records: readonly RecountRecord[]): RecountResult {
  const recount = createResultRecount(SETTINGS, placeOf)
  for (const record of records) recount.add(record)
  return recount.result()
}

const recount = recountOf(RECORDS)

/** A table of results as they must be, but for what `change` makes of one. */
function tableOf(change: (key: string, result: Result) => Result | null = (_, result) => result): ResultTable {
  const table = new ResultTable()
  for (const [size, start, seconds] of KEYS) {
    const key = keyOf(size, start)
    const options: StoredOptions = { size, start, seconds }
    const result = change(key, storedResult(recount.results![key]!, options))
    if (result === null) continue
    table.add(key, result)
    table.addDeviceStats(key, storedDeviceStats(result))
  }
  return table
}

const changed = (wanted: string, change: Partial<Result> | null) =>
  tableOf((key, result) => {
    if (key !== wanted) return result
    return change === null ? null : { ...result, ...change }
  })

test('every size is recounted: base windows, roll-ups and those that slide', () => {
  expect(Object.keys(recount.results!).sort()).toEqual(KEYS.map(([size, start]) => keyOf(size, start)).sort())
  const sizes = KEYS.map(([size, start]) => recount.results![keyOf(size, start)]!.batch_size)
  expect(sizes).toEqual([1, 1, 1, 2, 1, 2, 3, 1])
  expect(recount.partitions).toMatchObject({ 0: { accepted: 2 }, 1: { accepted: 1, late: 1 } })
})

test('a late login counts for no window', () => {
  const late = recountOf([...RECORDS.slice(0, 3), login(1, 1, 101), login(1, 2, 1)])
  expect(late.partitions[1]).toMatchObject({ accepted: 2, late: 1 })
  expect(late.results![keyOf('1m', 0)]!.batch_size).toBe(2)
})

describe('the verdict', () => {
  test('on results of every size that are as they must be', () => {
    const { differences, ...counts } = judge(recount, tableOf())
    expect(differences).toEqual([])
    expect(counts).toEqual({
      accepted: 3,
      late: 1,
      rejected: 0,
      counted: 3,
      windows: 3,
      final: 3,
      rollups: 5,
      rollupsFinal: 5,
      differenceCount: 0,
    })
  })

  test.each<[string, string, Partial<Result> | null, string]>([
    ['a wrong count', keyOf('10s', 0), { batch_size: 7 }, 'batch_size is 7, the log has 1'],
    [
      'a wrong country',
      keyOf('10s', 0),
      { country_stats: { NZ: 1 } },
      'country_stats.unknown is nothing, the log has 1',
    ],
    ['a roll-up that is not there', keyOf('1m', 0), null, 'no result, in the log there are 2 events'],
    ['a wrong roll-up', keyOf('1m', 0), { hour_stats: { 0: 1 } }, 'hour_stats.0 is 1, the log has 2'],
    ['a wrong sliding window', keyOf('2m', 0), { batch_size: 2 }, 'batch_size is 2, the log has 3'],
    [
      'a provisional base window that lacks events',
      keyOf('10s', 0),
      { status: 'provisional', batch_size: 0 },
      'batch_size is 0',
    ],
    [
      'a provisional roll-up with too many',
      keyOf('1m', 0),
      { status: 'provisional', batch_size: 3 },
      'batch_size.events is 3',
    ],
    ['one that is not exact', keyOf('1m', 0), { exact: false }, 'the result says that it is not exact'],
  ])('names %s', (_, key, change, text) => {
    const [first] = judge(recount, changed(key, change)).differences
    expect(first).toContain(`${key}: ${text}`)
  })

  test('lets a provisional roll-up hold a part', () => {
    const part = { status: 'provisional', batch_size: 1, hour_stats: { 0: 1 } } as const
    expect(judge(recount, changed(keyOf('1m', 0), part)).differences).toEqual([])
  })

  test('names a window of which the log knows nothing', () => {
    const table = tableOf()
    table.add(keyOf('10s', 500), { ...table.byKey.get(keyOf('10s', 0))!, batch_size: 9 })
    expect(judge(recount, table).differences[0]).toBe(`${keyOf('10s', 500)}: 9 events, in the log there are none`)
  })

  test('names wrong and missing device stats of final results', () => {
    const key = keyOf('1m', 0)
    const wrong = tableOf()
    wrong.deviceStats.set(key, { ...wrong.deviceStats.get(key)!, users: 8 })
    expect(judge(recount, wrong).differences).toEqual([`${key}: device stats: users is 8, the log has 1`])
    const missing = tableOf()
    missing.deviceStats.delete(key)
    expect(judge(recount, missing).differences).toEqual([`${key}: no device stats with revision 1, final`])
  })

  test('names two records that contradict each other, in any number', () => {
    const table = tableOf()
    const key = keyOf('10s', 0)
    const result = table.byKey.get(key)!
    table.add(key, { ...result, current_time: new Date(0).toISOString() })
    // A new owner tells the same again, under a trace of its own.
    table.add(key, { ...result, trace: { trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) } })
    expect(table.contradictions).toEqual([])
    table.add(key, { ...result, sessions: { ...result.sessions, started: 5 } })
    expect(table.contradictions).toEqual([`${key}: two different results with revision 1, final`])
    table.add(key, { ...result, revision: 0, batch_size: 4 })
    expect(table.contradictions).toHaveLength(1)
  })
})

test('a recount of base windows alone judges longer ones by their sums', () => {
  const base = createRecount(SETTINGS)
  for (const record of RECORDS) base.add(record)
  expect(judge(base.result(), tableOf()).differences).toEqual([])
  const table = changed(keyOf('1m', 0), { location_stats: { unknown: 2 } })
  expect(judge(base.result(), table).differences).toEqual([
    expect.stringContaining(`${keyOf('1m', 0)}: location_stats is [["unknown",2]], the log has`),
  ])
})
