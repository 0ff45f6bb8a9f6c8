import { describe, expect, test } from 'vitest'
import type { Audited } from '../../../src/audit/audit.ts'
import { auditJson, auditText } from '../../../src/audit/print.ts'
import { queryOf } from '../../../src/audit/sql.ts'
import { WindowTally } from '../../../src/audit/tally.ts'
import type { Database } from '../../../src/sinks/database.ts'
import { RULES, START, storedResult } from './support.ts'

const result = storedResult(new WindowTally(RULES, START + 10_000).recounted(), { coverage: { 3: [10, null, 20] } })
const KEY = '10s/2026-01-31T00:00:00.000Z'
const EQUAL: Audited = { key: KEY, result, differences: [], missing: [], deviceStats: true }
const DIFFERENCES = [
  { field: 'device_stats.tv', stored: undefined, recounted: 2 },
  { field: 'sessions.avg_seconds', stored: 1.5, recounted: 1.23456 },
]
const MISSING = [{ partition: 3, from: 10, through: 20, start: 15, end: 90 }]

describe('a window for people', () => {
  test('that is equal is one line', () => {
    expect(auditText(EQUAL)).toBe(`equal        ${KEY}  final, revision 1, 0 events, device stats too\n`)
  })

  test('that differs has a line for each difference', () => {
    const lines = auditText({ ...EQUAL, differences: DIFFERENCES })
      .trimEnd()
      .split('\n')
    expect(lines.map(line => line.trim())).toEqual([
      expect.stringMatching(/^different {4}10s/),
      'device_stats.tv is nothing, the log has 2',
      'sessions.avg_seconds is 1.5, the log has 1.235',
    ])
  })

  test('that is beyond the log names partition and offsets', () => {
    const text = auditText({ ...EQUAL, missing: MISSING })
    expect(text).toMatch(/^unreachable/)
    expect(text).toContain('it covers offsets 10 to 19 of partition 3, whose log holds 15 to 89')
    const empty = auditText({ ...EQUAL, missing: [{ ...MISSING[0]!, start: 90 }] })
    expect(empty).toContain('whose log holds nothing')
  })

  test('shows the gaps that the result names itself, and no more differences than fit', () => {
    const coverage = { 3: { ...result.coverage[3]!, gaps: [[12, 14]] as const } }
    const many = Array.from({ length: 60 }, (_, i) => ({ field: `f${i}`, stored: 0, recounted: 1 }))
    const text = auditText({ ...EQUAL, result: { ...result, coverage }, differences: many })
    expect(text).toContain('does not vouch for offsets 12 to 13 of partition 3')
    expect(text).toContain('10 more differences (--json shows all)')
    expect(text).not.toContain('f50 ')
  })
})

test('a line of JSON says all of it', () => {
  expect(JSON.parse(auditJson({ ...EQUAL, differences: DIFFERENCES, missing: MISSING }))).toEqual({
    key: KEY,
    verdict: 'unreachable',
    generation: 1,
    status: 'final',
    revision: 1,
    exact: true,
    device_stats: true,
    differences: [
      { field: 'device_stats.tv', stored: null, recounted: 2 },
      { field: 'sessions.avg_seconds', stored: 1.5, recounted: 1.23456 },
    ],
    missing: MISSING,
    gaps: [],
  })
})

describe('a database', () => {
  const databaseOf = (query: () => Promise<readonly Record<string, unknown>[]>): Database => ({
    where: 'db:5432/x',
    transaction: work => work({ query, script: async () => {} }),
    close: async () => {},
  })

  test('that no sink has filled is refused', async () => {
    await expect(queryOf(databaseOf(async () => [{ found: false }]))).rejects.toMatchObject({ code: 'refused_schema' })
  })

  test('that fails later says so by its place, never by its URL', async () => {
    let calls = 0
    const query = await queryOf(
      databaseOf(async () => {
        if (calls++ === 0) return [{ found: true }]
        throw Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
      }),
    )
    const wanted = { code: 'unreachable', message: expect.stringContaining('db:5432/x') }
    await expect(query('select 1', [])).rejects.toMatchObject(wanted)
  })
})
