import type { Sql } from './database.ts'

/**
 * The database takes the texts apart itself, so that nothing is taken apart twice. In the order of the keys: two writers
 * never wait for each other in a circle.
 */
const WRITE = `
WITH incoming AS MATERIALIZED (
  SELECT r, r -> 'window' AS w, r -> 'users' AS u, r -> 'users' -> 'logins_per_user' AS l, r -> 'sessions' AS s,
    r -> 'most_popular' AS most, r -> 'least_popular' AS least
  FROM jsonb_array_elements($1::jsonb) AS r
), written AS (
  INSERT INTO tidemark.windows AS held (
    size, window_start, window_end, size_seconds, generation, revision, status, exact, result_time, batch_size,
    users_distinct, users_exact, users_relative_error, user_devices, logins_min, logins_avg, logins_max,
    sessions_started, sessions_active, session_avg_seconds, events_per_session,
    most_popular_device_type, most_popular_locale, most_popular_app_version,
    least_popular_device_type, least_popular_locale, least_popular_app_version, result)
  SELECT w ->> 'size', (w ->> 'start')::timestamptz, (w ->> 'end')::timestamptz,
    extract(epoch FROM (w ->> 'end')::timestamptz - (w ->> 'start')::timestamptz),
    (r ->> 'generation')::integer, (r ->> 'revision')::bigint, (r ->> 'status')::tidemark.window_status,
    (r ->> 'exact')::boolean, (r ->> 'current_time')::timestamptz, (r ->> 'batch_size')::bigint,
    (u ->> 'distinct')::bigint, (u ->> 'exact')::boolean, (u ->> 'relative_error')::double precision,
    (u ->> 'devices')::bigint, (l ->> 'min')::bigint, (l ->> 'avg')::double precision, (l ->> 'max')::bigint,
    (s ->> 'started')::bigint, (s ->> 'active')::bigint, (s ->> 'avg_seconds')::double precision,
    (s ->> 'events_per_session')::double precision,
    most ->> 'device_type', most ->> 'locale', most ->> 'app_version',
    least ->> 'device_type', least ->> 'locale', least ->> 'app_version', r
  FROM incoming ORDER BY 1, 2
  ON CONFLICT (size, window_start) DO UPDATE SET
    window_end = excluded.window_end, size_seconds = excluded.size_seconds, generation = excluded.generation,
    revision = excluded.revision, status = excluded.status, exact = excluded.exact,
    result_time = excluded.result_time, batch_size = excluded.batch_size,
    users_distinct = excluded.users_distinct, users_exact = excluded.users_exact,
    users_relative_error = excluded.users_relative_error, user_devices = excluded.user_devices,
    logins_min = excluded.logins_min, logins_avg = excluded.logins_avg, logins_max = excluded.logins_max,
    sessions_started = excluded.sessions_started, sessions_active = excluded.sessions_active,
    session_avg_seconds = excluded.session_avg_seconds, events_per_session = excluded.events_per_session,
    most_popular_device_type = excluded.most_popular_device_type,
    most_popular_locale = excluded.most_popular_locale,
    most_popular_app_version = excluded.most_popular_app_version,
    least_popular_device_type = excluded.least_popular_device_type,
    least_popular_locale = excluded.least_popular_locale,
    least_popular_app_version = excluded.least_popular_app_version, result = excluded.result
  WHERE (excluded.generation, excluded.revision, excluded.status) > (held.generation, held.revision, held.status)
  RETURNING 1
)
SELECT count(*)::int AS windows FROM written
`

/**
 * Writes results; one that does not stand higher than the row of its window changes nothing.
 * @param results JSON of one result each, at most one of each window
 * @returns how many rows were written
 */
export async function writeResults(sql: Sql, results: readonly string[]): Promise<number> {
  if (results.length === 0) return 0
  const [row] = await sql.query(WRITE, [`[${results.map(storable).join()}]`])
  return Number(row?.windows)
}

/** JSON that may hold text which no PostgreSQL text can: NUL, or half a surrogate pair (JSON.stringify escapes both). */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/

function storable(result: string): string {
  return UNSTORABLE.test(result) ? JSON.stringify(mended(JSON.parse(result))) : result
}

/** U+FFFD takes the place of what cannot be stored; counts whose names then are the same are added up. */
function mended(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '\uFFFD')
  if (Array.isArray(value)) return value.map(mended)
  if (typeof value !== 'object' || value === null) return value
  const fields = new Map<string, unknown>()
  for (const [name, field] of Object.entries(value)) {
    const key = mended(name) as string
    const present = fields.get(key)
    const isSum = typeof present === 'number' && typeof field === 'number'
    fields.set(key, isSum ? present + field : mended(field))
  }
  return Object.fromEntries(fields)
}
