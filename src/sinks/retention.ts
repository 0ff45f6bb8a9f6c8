import { windowSizeText } from '../windows/windows.ts'
import type { Database, Sql } from './database.ts'

/** For how long windows are kept, in milliseconds by their size in milliseconds, counted from the last one's start. */
export type Retention = ReadonlyMap<number, number>

/** Windows of a size that are kept when nothing else is set. */
export const WINDOWS_KEPT = 20_000
/** Few enough for a transaction of a fraction of a second. */
const BATCH = 1_000
/** Of two processes one does it. */
const LOCK = 7_459_221_804

const OLDEST_KEPT = `
SELECT window_start FROM tidemark.windows WHERE size = $1 ORDER BY window_start DESC OFFSET $2 LIMIT 1
`
const OLDEST_IN_TIME = `
SELECT max(window_start) - make_interval(secs => $2::double precision) AS window_start
FROM tidemark.windows WHERE size = $1
`
/** A window that is provisional stays, and so do those within it, on which it stands: see the function tidemark.tiles. */
const DELETE = `
WITH old AS (
  SELECT size, window_start FROM tidemark.windows w
  WHERE size = $1 AND window_start <= $2 AND NOT EXISTS (
    SELECT FROM tidemark.windows p WHERE p.status = 'provisional'
      AND p.window_start <= w.window_start AND p.window_end >= w.window_end)
  ORDER BY window_start LIMIT ${BATCH}
), deleted AS (
  DELETE FROM tidemark.windows w USING old WHERE w.size = old.size AND w.window_start = old.window_start
  RETURNING 1
)
SELECT count(*)::int AS count FROM deleted
`

/**
 * Deletes the windows that are past their retention, a batch in each transaction; nothing when another process is at it.
 * @param keptCount of the sizes without a time
 * @returns how many windows were deleted
 */
export async function prune(database: Database, retention: Retention, keptCount = WINDOWS_KEPT): Promise<number> {
  const sizes = await database.transaction(sql => sql.query('SELECT DISTINCT size FROM tidemark.windows'))
  const timeBySize = new Map([...retention].map(([sizeMs, timeMs]) => [windowSizeText(sizeMs), timeMs]))
  let total = 0
  for (const size of sizes.map(row => String(row.size))) {
    for (let deleted = BATCH; deleted === BATCH; total += deleted) {
      deleted = await database.transaction(sql => pruneOnce(sql, size, timeBySize.get(size), keptCount))
    }
  }
  return total
}

async function pruneOnce(sql: Sql, size: string, timeMs: number | undefined, keptCount: number): Promise<number> {
  const [lock] = await sql.query('SELECT pg_try_advisory_xact_lock($1) AS got', [LOCK])
  if (lock?.got !== true) return 0
  const [row] =
    timeMs === undefined
      ? await sql.query(OLDEST_KEPT, [size, keptCount])
      : await sql.query(OLDEST_IN_TIME, [size, timeMs / 1000])
  if (row === undefined) return 0
  const [deleted] = await sql.query(DELETE, [size, row.window_start])
  return Number(deleted?.count)
}
