import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { compareStanding, type Result, type ResultStatus } from '../../../src/results/result.ts'
import type { Database, Row } from '../../../src/sinks/database.ts'
import { migrate } from '../../../src/sinks/migrate.ts'
import { MIGRATIONS } from '../../../src/sinks/migrations/all.ts'
import { ResultDatabase } from '../../../src/sinks/resultDatabase.ts'
import { prune } from '../../../src/sinks/retention.ts'
import { levelsOf } from '../../../src/windows/levels.ts'
import { SEED } from '../support.ts'
import { DAY_MS, keyOf, type ResultOver, resultOf, rowsOf } from './results.ts'

const LEVELS = levelsOf({
  windowSizeMs: 10_000,
  rollupsMs: [60_000, 3_600_000],
  slidingWindows: [{ sizeMs: 120_000, hopMs: 60_000 }],
})
const AT = { topic: 'results', partition: 0 }
const MINUTE_MS = 60_000

/** What every database has to do for the sink. `open` is called once in each test and may give the same one each time. */
export function databaseContract(open: () => Database): void {
  let database: Database
  let results: ResultDatabase
  let refused: string[]
  /** Where the position of AT stands. */
  let position: number | null

  const generation = (number: number) =>
    new ResultDatabase(database, number, { refused: key => void refused.push(key) })
  const select = (statement: string): Promise<readonly Row[]> => database.transaction(sql => sql.query(statement))
  const write = async (...batch: readonly Result[]): Promise<number> => {
    const to = (position ?? 0) + batch.length
    const written = await results.write({ ...AT, rows: rowsOf(...batch), from: position, to })
    position = to
    return written
  }
  const stored = async (): Promise<Result[]> =>
    (await select('SELECT result FROM tidemark.windows ORDER BY size, window_start')).map(row => row.result as Result)

  beforeEach(async () => {
    database = open()
    await database.transaction(sql => sql.script('DROP SCHEMA IF EXISTS tidemark CASCADE'))
    refused = []
    position = null
    results = generation(1)
  })

  describe('the schema', () => {
    it('is applied once', async () => {
      expect(await results.prepare(LEVELS)).toEqual(MIGRATIONS.map(({ version }) => version))
      expect(await results.prepare(LEVELS)).toEqual([])
      expect(await select('SELECT size, tiles FROM tidemark.levels ORDER BY size_ms')).toEqual([
        { size: '10s', tiles: true },
        { size: '1m', tiles: true },
        { size: '2m', tiles: false },
        { size: '1h', tiles: true },
      ])
    })

    it('of an older release is brought up to date, with its rows', async () => {
      await migrate(database, MIGRATIONS.slice(0, 1))
      await write(resultOf())
      expect(await results.prepare(LEVELS)).toEqual([2, 3])
      expect(await select('SELECT logins::int FROM tidemark.history')).toEqual([{ logins: 3 }])
    })

    it('of a newer release is refused, saying what to do', async () => {
      await results.prepare(LEVELS)
      const newer = { version: MIGRATIONS.length + 1, name: 'later', sql: 'CREATE TABLE tidemark.later ()' }
      expect(await migrate(database, [...MIGRATIONS, newer])).toEqual([newer.version])
      await expect(results.prepare(LEVELS)).rejects.toMatchObject({
        code: 'refused_schema',
        message: expect.stringContaining('newer release'),
      })
    })

    it('that others have changed is refused', async () => {
      await results.prepare(LEVELS)
      await select("UPDATE tidemark.migrations SET checksum = 'x' WHERE version = 2 RETURNING 1")
      await expect(results.prepare(LEVELS)).rejects.toMatchObject({ code: 'refused_schema' })
    })

    it('is left as it was by a migration that fails', async () => {
      await migrate(database, MIGRATIONS.slice(0, 1))
      const broken = { version: 2, name: 'broken', sql: 'CREATE TABLE tidemark.half (); SELECT no_such_thing()' }
      await expect(migrate(database, [...MIGRATIONS.slice(0, 1), broken])).rejects.toThrow()
      expect(await select("SELECT to_regclass('tidemark.half') AS half")).toEqual([{ half: null }])
    })
  })

  describe('a window', () => {
    beforeEach(() => results.prepare(LEVELS))

    it('is a row with all that its result says', async () => {
      const result = resultOf({ missing: { ip: 2 }, locales: { NY: 2, CA: 1 } })
      expect(await write(result)).toBe(1)
      expect(await stored()).toEqual([result])
      const [row] = await select('SELECT * FROM tidemark.windows')
      expect(row).toMatchObject({
        size: '10s',
        size_seconds: 10,
        window_start: new Date(result.window.start),
        window_end: new Date(result.window.end),
        status: 'provisional',
        exact: true,
        users_exact: true,
        logins_avg: 1.5,
        session_avg_seconds: 61.5,
        events_per_session: 1.25,
        most_popular_device_type: 'android',
        least_popular_app_version: null,
      })
      const values = await select(
        'SELECT dimension, value, count::int FROM tidemark.window_values ORDER BY dimension COLLATE "C", value COLLATE "C"',
      )
      expect(values.map(({ dimension, value, count }) => `${dimension} ${value} ${count}`)).toEqual([
        'app_version 2.3.0 3',
        'country US 3',
        'day_part night 3',
        'device_type android 2',
        'device_type ios 1',
        'hour 0 3',
        'locale CA 1',
        'locale NY 2',
        'missing ip 2',
        'region unknown 3',
        'version_category 2.3 3',
      ])
      expect(await select('SELECT field, missing::int, unusable_share FROM tidemark.quality')).toEqual([
        { field: 'ip', missing: 2, unusable_share: 2 / 3 },
      ])
    })

    it('loses the values that a later result no longer has', async () => {
      await write(resultOf({ revision: 1, devices: { android: 2, tv: 1 } }))
      await write(resultOf({ revision: 2, devices: { android: 4 } }))
      const devices = "SELECT value, count::int FROM tidemark.window_values WHERE dimension = 'device_type'"
      expect(await select(devices)).toEqual([{ value: 'android', count: 4 }])
    })

    it('ends as its greatest result, whatever the order and the repeats', async () => {
      const statuses: readonly ResultStatus[] = ['provisional', 'final', 'corrected']
      const over: fc.Arbitrary<ResultOver> = fc.record({
        startMs: fc.integer({ min: 0, max: 2 }).map(window => DAY_MS + window * 10_000),
        generation: fc.integer({ min: 1, max: 2 }),
        revision: fc.integer({ min: 1, max: 4 }),
        status: fc.constantFrom(...statuses),
      })
      const batches = fc.array(fc.array(over, { minLength: 1, maxLength: 4 }), { maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(batches, async drawn => {
          await database.transaction(sql => sql.script('TRUNCATE tidemark.windows, tidemark.positions'))
          position = null
          const greatest = new Map<string, Result>()
          for (const batch of drawn) {
            const byKey = new Map(batch.map(each => resultOf(each)).map(result => [keyOf(result), result]))
            await write(...byKey.values())
            for (const [key, result] of byKey) {
              const known = greatest.get(key)
              if (known === undefined || compareStanding(result, known) > 0) greatest.set(key, result)
            }
          }
          const wanted = [...greatest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, result]) => result)
          expect(await stored()).toEqual(wanted)
        }),
        { seed: SEED, numRuns: 15 },
      )
    }, 60_000)

    it('may have values that are no text to the database', async () => {
      await write(resultOf({ locales: { 'N\0Y': 1, 'N\uFFFDY': 2, '\\u0000': 1, ü: 1 } }))
      const locales =
        'SELECT value, count::int FROM tidemark.window_values WHERE dimension = \'locale\' ORDER BY value COLLATE "C"'
      expect(await select(locales)).toEqual(
        [
          { value: '\\u0000', count: 1 },
          { value: 'N\uFFFDY', count: 3 },
          { value: 'ü', count: 1 },
        ].sort((a, b) => Buffer.compare(Buffer.from(a.value), Buffer.from(b.value))),
      )
    })

    it('that the database does not take holds nobody up', async () => {
      const bad = { key: 'bad', json: JSON.stringify({ ...resultOf({ startMs: DAY_MS + 10_000 }), status: 'guessed' }) }
      const rows = [...rowsOf(resultOf()), bad, ...rowsOf(resultOf({ startMs: DAY_MS + 20_000 }))]
      expect(await results.write({ ...AT, rows, from: null, to: 3 })).toBe(2)
      expect(refused).toEqual(['bad'])
      expect(await results.readPosition(AT)).toBe(3)
    })
  })

  describe('a position', () => {
    beforeEach(() => results.prepare(LEVELS))

    it('moves with the rows', async () => {
      expect(await results.readPosition(AT)).toBeNull()
      await write(resultOf())
      expect(await results.readPosition(AT)).toBe(1)
      expect(await results.readPosition({ ...AT, partition: 1 })).toBeNull()
    })

    it.each([
      ['has not seen the first commit', null],
      ['stands behind', 3],
      ['stands ahead', 9],
    ])('a zombie that %s changes nothing', async (_, from) => {
      await results.write({ ...AT, rows: rowsOf(resultOf()), from: null, to: 5 })
      const late = rowsOf(resultOf({ revision: 9 }), resultOf({ startMs: DAY_MS + 10_000 }))
      await expect(results.write({ ...AT, rows: late, from, to: 12 })).rejects.toMatchObject({ code: 'fenced' })
      expect(await stored()).toEqual([resultOf()])
      expect(await results.readPosition(AT)).toBe(5)
    })

    it('never goes back', async () => {
      await results.write({ ...AT, rows: [], from: null, to: 5 })
      await expect(results.write({ ...AT, rows: [], from: 5, to: 4 })).rejects.toMatchObject({ code: 'fenced' })
    })
  })

  describe('a generation', () => {
    beforeEach(() => results.prepare(LEVELS))

    it('that is greater overwrites, and the smaller one is then refused until all is cleared', async () => {
      await write(resultOf({ revision: 9 }))
      await generation(2).prepare(LEVELS)
      await write(resultOf({ generation: 2, revision: 1 }))
      expect(await write(resultOf({ revision: 10 }))).toBe(0)
      await expect(results.prepare(LEVELS)).rejects.toMatchObject({
        code: 'refused_generation',
        message: expect.stringContaining('STREAM_GENERATION=2'),
      })
      await results.clear()
      expect(await results.prepare(LEVELS)).toEqual([])
      expect(await results.readPosition(AT)).toBeNull()
    })
  })

  describe('retention', () => {
    beforeEach(() => results.prepare(LEVELS))
    const starts = async () =>
      (await select('SELECT window_start FROM tidemark.windows ORDER BY size, window_start')).map(
        row => ((row.window_start as Date).getTime() - DAY_MS) / 10_000,
      )
    const finals = (count: number) =>
      Array.from({ length: count }, (_, i) => resultOf({ startMs: DAY_MS + i * 10_000, status: 'final' }))

    it('keeps the latest windows of each size', async () => {
      await write(...finals(8), resultOf({ sizeMs: 3_600_000, startMs: DAY_MS - 3_600_000, status: 'final' }))
      expect(await prune(database, new Map(), 5)).toBe(3)
      expect(await starts()).toEqual([3, 4, 5, 6, 7, -360])
      expect(await prune(database, new Map(), 5)).toBe(0)
    })

    it('keeps the windows of a time', async () => {
      await write(...finals(8))
      expect(await prune(database, new Map([[10_000, 30_000]]))).toBe(5)
      expect(await starts()).toEqual([5, 6, 7])
    })

    it('deletes more than one batch', async () => {
      await write(...finals(2_500))
      expect(await prune(database, new Map(), 10)).toBe(2_490)
    })

    it('keeps what is provisional, and what a provisional window stands on', async () => {
      const [first, ...others] = finals(14)
      await write({ ...(first as Result), status: 'provisional' }, ...others)
      await write(resultOf({ sizeMs: MINUTE_MS, startMs: DAY_MS + MINUTE_MS }))
      await prune(database, new Map([[10_000, 10_000]]))
      expect(await starts()).toEqual([0, 6, 7, 8, 9, 10, 11, 13, 6])
    })
  })

  describe('all of history', () => {
    beforeEach(() => results.prepare(LEVELS))
    const base = (index: number, over: ResultOver = {}) => resultOf({ startMs: DAY_MS + index * 10_000, ...over })
    const logins = async (view: string) =>
      (await select(`SELECT logins::int FROM tidemark.${view}`)).map(row => row.logins)

    it('adds no login twice: a final window stands for those in it, a provisional one does not', async () => {
      const minute = (index: number, status: ResultStatus, count: number) =>
        resultOf({ sizeMs: MINUTE_MS, startMs: DAY_MS + index * MINUTE_MS, status, devices: { android: count } })
      await write(
        ...[0, 1, 2].map(index => base(index, { status: 'final', devices: { android: 1 } })),
        minute(0, 'final', 3),
        ...[6, 7].map(index => base(index, { devices: { ios: 10 } })),
        minute(1, 'provisional', 4),
        resultOf({ sizeMs: 3_600_000, startMs: DAY_MS, devices: { android: 3 } }),
        // Of another size that slides, and of one that this generation no longer has.
        resultOf({ sizeMs: 2 * MINUTE_MS, startMs: DAY_MS, status: 'final', devices: { android: 1_000 } }),
        resultOf({ sizeMs: 86_400_000, startMs: DAY_MS, status: 'final', devices: { android: 1_000 } }),
      )
      expect(await logins('history')).toEqual([23])
      expect(await logins('usage_hourly')).toEqual([23])
      expect(await logins('usage_daily')).toEqual([23])
      const devices =
        "SELECT value, count::int FROM tidemark.history_values WHERE dimension = 'device_type' ORDER BY value"
      expect(await select(devices)).toEqual([
        { value: 'android', count: 3 },
        { value: 'ios', count: 20 },
      ])
      expect(await select('SELECT most_popular_device_type, least_popular_device_type FROM tidemark.history')).toEqual([
        { most_popular_device_type: 'ios', least_popular_device_type: 'android' },
      ])
    })

    it('of an empty database is one row of nothing', async () => {
      expect(await logins('history')).toEqual([0])
      expect(await logins('usage_hourly')).toEqual([])
    })

    it('says of each window what is popular', async () => {
      await write(base(0))
      const popular = `SELECT dimension, most_popular, most_popular_count::int, least_popular_count::int
        FROM tidemark.popular_values ORDER BY dimension DESC`
      expect(await select(popular)).toEqual([
        { dimension: 'locale', most_popular: 'NY', most_popular_count: 3, least_popular_count: 3 },
        { dimension: 'device_type', most_popular: 'android', most_popular_count: 2, least_popular_count: 1 },
        { dimension: 'app_version', most_popular: '2.3.0', most_popular_count: 3, least_popular_count: null },
      ])
    })
  })
}
