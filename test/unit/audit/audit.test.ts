import { describe, expect, test } from 'vitest'
import { type Audited, auditResults, type LogRanges } from '../../../src/audit/audit.ts'
import type { RecountRecord } from '../../../src/audit/event.ts'
import { WindowsRecount } from '../../../src/audit/windowsRecount.ts'
import { TidemarkError } from '../../../src/errors.ts'
import type { ReadAllOptions } from '../../../src/kafka/readAll.ts'
import type { DeviceStats, Result } from '../../../src/results/result.ts'
import {
  login,
  memoryLog,
  placeOf,
  RULES,
  START,
  type StoredOptions,
  storedDeviceStats,
  storedResult,
} from './support.ts'

/** The result of all records that are accepted into [start, start + seconds), counted apart from the audit's reading. */
function resultOf(records: readonly RecountRecord[], options: StoredOptions): Result {
  const { start = 0, seconds = 10 } = options
  const partitions = [...new Set(records.map(({ partition }) => partition))]
  const coverage = new Map(partitions.map(p => [p, { from: 0, through: Number.MAX_SAFE_INTEGER, clock: 0 }]))
  const window = { key: 'w', startMs: START + start * 1000, endMs: START + (start + seconds) * 1000, coverage }
  const recount = new WindowsRecount(RULES, placeOf, [window])
  for (const p of partitions) recount.begin(p, 0, 0)
  for (const record of records) recount.add(record)
  return storedResult(recount.recounted('w'), options)
}

async function audit(
  records: readonly RecountRecord[],
  results: readonly Result[],
  logs: LogRanges = [
    { start: 0, end: 1_000 },
    { start: 0, end: 1_000 },
  ],
  deviceStats: readonly DeviceStats[] = [],
  log: Pick<ReturnType<typeof memoryLog>, 'readAll'> = memoryLog(records),
): Promise<Audited[]> {
  const audited: Audited[] = []
  await auditResults(
    { reader: log, sourceTopic: 'logins', rules: RULES, placeOf, logsNow: async () => logs },
    results,
    new Map(deviceStats.map(stats => [`${stats.window.size}/${stats.window.start}`, stats])),
    each => void audited.push(each),
  )
  return audited
}

const fieldsOf = ({ differences }: Audited) => differences.map(({ field }) => field)

/** Two partitions; 0 has a late login for the first window and one from the future. */
const RECORDS = [
  login(0, 0, 1, { device_type: 'tv', device_id: 'd1' }),
  login(0, 1, 3, { user_id: 'v', locale: 'NY' }),
  login(0, 2, 12),
  login(0, 3, 400, {}, 13),
  login(0, 5, 39),
  login(0, 6, 9, {}, 39),
  login(0, 7, 40),
  login(0, 8, 9, {}, 40),
  login(1, 0, 2, { user_id: 'w' }),
  login(1, 1, 65, { user_id: 'w' }),
]
const WHOLE: StoredOptions = { coverage: { 0: [0, null, 9], 1: [0, null, 2] } }

describe('a window', () => {
  test('that says what the log says is equal, late and future logins left out', async () => {
    const result = resultOf(RECORDS, WHOLE)
    expect(result.batch_size).toBe(4)
    const [audited] = await audit(RECORDS, [result])
    expect(audited).toMatchObject({ differences: [], missing: [], deviceStats: false })
  })

  test.each<[string, Partial<Result>, string[]]>([
    ['batch_size', { batch_size: 5 }, ['batch_size']],
    ['a value too many', { device_stats: { tv: 1, unknown: 3, ios: 1 } }, ['device_stats.ios']],
    ['a value too few', { device_stats: { unknown: 3 } }, ['device_stats.tv']],
    ['a zero', { location_stats: { NY: 1, unknown: 3, CA: 0 } }, ['location_stats.CA']],
    ['exact', { exact: false }, ['exact']],
    [
      'popular',
      { most_popular: { device_type: 'ios', locale: 'NY', app_version: null } },
      ['most_popular.device_type'],
    ],
  ])('that differs is told, and where: %s', async (_, change, fields) => {
    const [audited] = await audit(RECORDS, [{ ...resultOf(RECORDS, WHOLE), ...change }])
    expect(fieldsOf(audited!)).toEqual(fields)
  })

  test('may differ in an average by what rounding takes, and no more', async () => {
    const result = resultOf(RECORDS, WHOLE)
    const changed = (by: number) => ({
      ...result,
      sessions: { ...result.sessions, avg_seconds: result.sessions.avg_seconds + by },
    })
    expect(fieldsOf((await audit(RECORDS, [changed(0)]))[0]!)).toEqual([])
    expect(fieldsOf((await audit(RECORDS, [changed(0.001)]))[0]!)).toEqual(['sessions.avg_seconds'])
  })

  test('counts only what its coverage holds, beginning with the clock stored there', async () => {
    // From offset 5 on the clock of 39 s is not yet reached: with the right clock offset 6 counts and 8 is late.
    const options: StoredOptions = { coverage: { 0: [5, 12, 9] } }
    const result = resultOf(
      RECORDS.filter(({ partition, offset }) => partition === 0 && offset >= 5),
      options,
    )
    expect(result.batch_size).toBe(1)
    expect(fieldsOf((await audit(RECORDS, [result]))[0]!)).toEqual([])
    const ahead = {
      ...result,
      coverage: { 0: { ...result.coverage[0]!, clock_at_from: new Date(START + 50_000).toISOString() } },
    }
    expect(fieldsOf((await audit(RECORDS, [ahead]))[0]!)).toContain('batch_size')
  })
})

describe('windows together', () => {
  const first = resultOf(RECORDS, WHOLE)
  const later = resultOf(RECORDS, { start: 30, coverage: { 0: [2, 3, 9] } })
  const minute = resultOf(RECORDS, { seconds: 60, size: '1m', coverage: WHOLE.coverage! })
  const sliding = resultOf(RECORDS, { start: 30, seconds: 40, size: '40s', coverage: WHOLE.coverage! })

  test('of every length are equal, and their ranges read once', async () => {
    const log = memoryLog(RECORDS)
    const audited = await audit(RECORDS, [first, later, minute, sliding], undefined, [], log)
    expect(audited.map(({ key, differences }) => [key.split('/')[0], differences])).toEqual([
      ['10s', []],
      ['10s', []],
      ['40s', []],
      ['1m', []],
    ])
    expect([minute.batch_size, sliding.batch_size]).toEqual([7, 3])
    expect([...log.reads.values()].every(count => count === 1)).toBe(true)
  })

  test('whose stored clocks contradict the log are told', async () => {
    const wrong = {
      ...later,
      coverage: { 0: { ...later.coverage[0]!, clock_at_from: new Date(START + 4_000).toISOString() } },
    }
    const [, audited] = await audit(RECORDS, [first, wrong])
    expect(fieldsOf(audited!)).toEqual(['coverage.0.clock_at_from'])
    // Alone it begins with the clock that it was given.
    expect(fieldsOf((await audit(RECORDS, [wrong]))[0]!)).toEqual([])
  })

  test('sessions run across the borders of shorter windows', () => {
    const records = [login(0, 0, 5), login(0, 1, 15), login(0, 2, 25)]
    const sessions = (options: StoredOptions) => resultOf(records, options).sessions
    expect(sessions({})).toMatchObject({ started: 1, avg_seconds: 0 })
    expect(sessions({ seconds: 60, size: '1m' })).toMatchObject({ started: 1, avg_seconds: 20, events_per_session: 3 })
  })
})

test('more users than the sample holds: estimates are equal too', async () => {
  const records = Array.from({ length: 300 }, (_, i) => {
    return login(i % 2, Math.floor(i / 2), 5, { user_id: `user-${i % 200}`, device_id: `d${i % 3}` })
  })
  const result = resultOf(records, { coverage: { 0: [0, null, 150], 1: [0, null, 150] } })
  expect(result.users).toMatchObject({ exact: false })
  expect(fieldsOf((await audit(records, [result]))[0]!)).toEqual([])
  const distinct = result.users.distinct + 1
  expect(fieldsOf((await audit(records, [{ ...result, users: { ...result.users, distinct } }]))[0]!)).toEqual([
    'users.distinct',
  ])
})

describe('device stats', () => {
  const result = resultOf(RECORDS, WHOLE)
  const stats = storedDeviceStats(result)

  test('of the same revision are compared', async () => {
    expect((await audit(RECORDS, [result], undefined, [stats]))[0]).toMatchObject({
      differences: [],
      deviceStats: true,
    })
    const wrong = { ...stats, users: 9, logins_by_hour: { 1: 4 } }
    expect(fieldsOf((await audit(RECORDS, [result], undefined, [wrong]))[0]!)).toEqual([
      'user-device-stats users',
      'user-device-stats logins_by_hour.0',
      'user-device-stats logins_by_hour.1',
    ])
  })

  test('of another revision are left alone', async () => {
    const [audited] = await audit(RECORDS, [result], undefined, [{ ...stats, users: 9, revision: 2 }])
    expect(audited).toMatchObject({ differences: [], deviceStats: false })
  })
})

describe('a log', () => {
  test.each<[string, LogRanges]>([
    [
      'that begins later',
      [
        { start: 1, end: 9 },
        { start: 0, end: 2 },
      ],
    ],
    [
      'that ends earlier',
      [
        { start: 0, end: 8 },
        { start: 0, end: 2 },
      ],
    ],
    ['without the partition', []],
  ])('%s: the window cannot be recounted, others can', async (_, logs) => {
    const beyond = resultOf(RECORDS, WHOLE)
    // Nothing of this window is left in the log, and nothing of it was ever there.
    const empty = resultOf(RECORDS, { start: 90, coverage: { 0: [9, 40, 9] } })
    const [audited, other] = await audit(RECORDS, [beyond, empty], logs)
    expect(audited!.differences).toEqual([])
    expect(audited!.missing[0]).toEqual({ partition: 0, from: 0, through: 9, ...(logs[0] ?? { start: 0, end: 0 }) })
    expect(other).toMatchObject({ missing: [], differences: [] })
  })

  test('that retention cuts while it is read counts as cut', async () => {
    const result = resultOf(RECORDS, WHOLE)
    const both = [
      { start: 0, end: 9 },
      { start: 0, end: 2 },
    ]
    const seen: Audited[] = []
    let calls = 0
    const logsNow = async () => (calls++ === 0 ? both : [{ start: 4, end: 9 }, both[1]!])
    const auditor = { reader: memoryLog(RECORDS), sourceTopic: 'logins', rules: RULES, placeOf, logsNow }
    await auditResults(auditor, [result], new Map(), audited => void seen.push(audited))
    expect(seen[0]!.missing).toEqual([{ partition: 0, from: 0, through: 9, start: 4, end: 9 }])
  })
})

describe('a batch that cannot be read', () => {
  /** Offset 2 of partition 0 cannot be read. */
  const damaged = {
    async readAll(options: ReadAllOptions) {
      const [from, to] = [options.fromOffsets?.get(0) ?? 0, options.toOffsets?.get(0) ?? 0]
      if (from <= 2 && to > 2) throw new TidemarkError('corrupt_batch', 'offsets from 2 to 2 cannot be read')
      await memoryLog(RECORDS).readAll(options)
    },
  }
  const readable = RECORDS.filter(({ partition, offset }) => partition !== 0 || offset !== 2)
  const result = resultOf(readable, { ...WHOLE, exact: false })

  test('is left out when the result names it as a gap', async () => {
    const coverage = { ...result.coverage, 0: { ...result.coverage[0]!, gaps: [[2, 3] as const] } }
    const [audited] = await audit(RECORDS, [{ ...result, coverage }], undefined, [], damaged)
    expect(audited!.differences).toEqual([])
  })

  test('refuses the audit when it does not', async () => {
    await expect(audit(RECORDS, [result], undefined, [], damaged)).rejects.toMatchObject({
      code: 'refused_replay_lost',
      message: expect.stringContaining('offsets from 2 to 2'),
    })
  })
})

test('many windows are counted in groups, each of its own ranges', async () => {
  const records = Array.from({ length: 200 }, (_, i) => login(0, i, i * 10 + 1))
  const results = records.map((_, i) => {
    const clock = i === 0 ? null : (i - 1) * 10 + 1
    return resultOf(records.slice(i, i + 1), { start: i * 10, coverage: { 0: [i, clock, i + 1] } })
  })
  const log = memoryLog(records)
  const audited = await audit(records, results, undefined, [], log)
  expect(audited.filter(({ differences }) => differences.length > 0)).toEqual([])
  expect([audited.length, log.reads.size]).toEqual([200, 200])
})
