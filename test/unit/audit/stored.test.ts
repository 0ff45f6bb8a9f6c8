import { expect, test } from 'vitest'
import { loadDeviceStats, resultsInSql, resultsInTopic, type SqlQuery } from '../../../src/audit/stored.ts'
import { WindowTally } from '../../../src/audit/tally.ts'
import type { ReadMessage } from '../../../src/kafka/readAll.ts'
import { resultKey } from '../../../src/results/decode.ts'
import type { Result } from '../../../src/results/result.ts'
import { RULES, START, type StoredOptions, storedDeviceStats, storedResult } from './support.ts'

const result = (options: StoredOptions = {}): Result =>
  storedResult(new WindowTally(RULES, START + 10_000).recounted(), options)

type Given = readonly [key: string | null, value: unknown]

function topicOf(given: readonly Given[]) {
  return {
    async readAll({ onMessage }: { onMessage(message: ReadMessage): void | Promise<void> }): Promise<void> {
      for (const [offset, [key, value]] of given.entries()) {
        const bytes = value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
        const keyBytes = key === null ? null : Buffer.from(key)
        await onMessage({ partition: 0, offset, timestamp: 0, key: keyBytes, value: bytes, headers: [] })
      }
    },
  }
}

const keyed = (value: Result): Given => [resultKey(value), value]

test('the newest record of a window counts, wherever it stands, and what is no result is left alone', async () => {
  const [early, newest] = [result({ revision: 1 }), result({ revision: 2, status: 'corrected' })]
  const other = result({ start: 10, status: 'provisional' })
  const foreign: Given[] = [
    [null, early],
    ['10s/elsewhere', early],
    [resultKey(early), 'no json'],
    [resultKey(early), null],
    [resultKey(early), { ...early, v: 9, revision: 99 }],
  ]
  const stored = resultsInTopic(
    topicOf([keyed(early), keyed(newest), keyed(early), keyed(other), ...foreign]),
    'results',
  )
  const asked: number[] = []
  const entries = await stored.list(({ revision }) => asked.push(revision) > 0)
  expect(entries.map(({ key, status, within }) => [key, status, within])).toEqual([
    [resultKey(newest), 'corrected', true],
    [resultKey(other), 'provisional', true],
  ])
  expect(await stored.load(new Set([resultKey(newest), '10s/nowhere']))).toEqual(new Map([[resultKey(newest), newest]]))
})

test('the rows of the table are read page by page, and found by their keys', async () => {
  const rows = Array.from({ length: 1_201 }, (_, i) => result({ start: i * 10 }))
  let statements = 0
  const query: SqlQuery = async (text, params) => {
    statements++
    const starts = new Set(params[1] as readonly string[])
    const fitting = text.includes('unnest')
      ? rows.filter(({ window }) => starts.has(window.start))
      : rows.filter(({ window }) => params[0] === '' || window.start > String(params[1])).slice(0, 500)
    return fitting.map(row => ({ size: row.window.size, start: row.window.start, result: row }))
  }
  const stored = resultsInSql(query)
  expect(await stored.list(() => false)).toHaveLength(1_201)
  expect(statements).toBe(3)
  const keys = new Set(rows.slice(0, 600).map(resultKey))
  expect([...(await stored.load(keys)).keys()]).toEqual([...keys])
})

test('device stats are found by key, the newest of each', async () => {
  const [old, newest] = [storedDeviceStats(result()), storedDeviceStats(result({ revision: 5 }))]
  const key = resultKey(result())
  const topic = topicOf([
    [key, newest],
    [key, old],
    [key, '{'],
    [key, { v: 2 }],
    ['10s/other', newest],
  ])
  expect(await loadDeviceStats(topic, 'stats', new Set([key]))).toEqual(new Map([[key, newest]]))
})
