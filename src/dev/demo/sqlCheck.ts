import { setTimeout as sleep } from 'node:timers/promises'
import { differencesOf, differenceText } from '../../audit/compare.ts'
import { openSqlQuery } from '../../audit/sql.ts'
import { resultsInSql } from '../../audit/stored.ts'
import { compareStanding, type Result } from '../../results/result.ts'

const LIMIT_MS = 20_000
const POLL_MS = 500

/** What the database holds, and where that is not what the results topic says; one line each. */
export type SqlVerdict = { readonly windows: number; readonly differences: readonly string[] }

/** Waits until the sink has written every result, for a time, and compares them all. */
export async function compareSql(databaseUrl: string, wanted: ReadonlyMap<string, Result>): Promise<SqlVerdict> {
  const deadline = Date.now() + LIMIT_MS
  const query = await openSqlQuery({ databaseUrl })
  try {
    for (;;) {
      const rows = await resultsInSql(query.run).load(new Set(wanted.keys()))
      const behind = [...wanted].filter(([key, result]) => {
        const row = rows.get(key)
        return row === undefined || compareStanding(row, result) < 0
      })
      if (behind.length > 0 && Date.now() < deadline) {
        await sleep(POLL_MS)
        continue
      }
      const late = behind.map(([key]) => `SQL: ${key} is not there, or an older one`)
      return { windows: rows.size, differences: [...late, ...contradictions(rows, wanted)] }
    }
  } finally {
    await query.close()
  }
}

/** A row that is newer than what was read of the topic is judged by the audit alone. */
function contradictions(rows: ReadonlyMap<string, Result>, wanted: ReadonlyMap<string, Result>): string[] {
  return [...rows].flatMap(([key, row]) => {
    const result = wanted.get(key)
    if (result === undefined || compareStanding(row, result) !== 0) return []
    const { current_time: _, stream_totals: __, coverage: ___, trace: ____, ...stored } = row
    const { current_time: _____, stream_totals: ______, coverage: _______, trace: ________, ...told } = result
    return differencesOf(stored, told).map(
      difference => `SQL: ${key}: ${differenceText(difference).replace('the log has', 'the topic has')}`,
    )
  })
}
