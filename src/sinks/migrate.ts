import { createHash } from 'node:crypto'
import { TidemarkError } from '../errors.ts'
import type { Database, Sql } from './database.ts'
import { MIGRATIONS } from './migrations/all.ts'
import type { Migration } from './migrations/migration.ts'

/** One at a time, whoever else migrates the same database. Any number, but the same in every release. */
const LOCK = 7_459_221_803
/** The views use date_bin. */
const OLDEST_SERVER = 140_000

const BOOTSTRAP = `
CREATE TABLE IF NOT EXISTS tidemark.migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
`

/**
 * Brings the schema `tidemark` up to this release, in one transaction: all migrations that are due, or none.
 * @returns the versions that were applied now
 * @throws TidemarkError `refused_schema` when the database is of a newer release or of other migrations than ours, or its
 * server is too old; else what the database throws
 */
export function migrate(database: Database, migrations: readonly Migration[] = MIGRATIONS): Promise<readonly number[]> {
  return database.transaction(async sql => {
    await checkServer(sql, database.where)
    // Looked at without the lock first: a user without the right to change the schema can then use a finished one.
    if (due(await appliedIn(sql), migrations, database.where).length === 0) return []
    await sql.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
    const found = await appliedIn(sql)
    const open = due(found, migrations, database.where)
    if (open.length === 0) return []
    // CREATE SCHEMA IF NOT EXISTS would ask for the right to create one even where it exists.
    if (!(await exists(sql, "to_regnamespace('tidemark')"))) await sql.script('CREATE SCHEMA tidemark')
    await sql.script(BOOTSTRAP)
    for (const migration of open) {
      await sql.script(migration.sql)
      await sql.query('INSERT INTO tidemark.migrations (version, name, checksum) VALUES ($1, $2, $3)', [
        migration.version,
        migration.name,
        checksumOf(migration),
      ])
    }
    return open.map(({ version }) => version)
  })
}

async function checkServer(sql: Sql, where: string): Promise<void> {
  const [row] = await sql.query(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding",
  )
  if (Number(row?.version) < OLDEST_SERVER) {
    throw new TidemarkError('refused_schema', `database ${where} is older than PostgreSQL 14, which the views need`)
  }
  if (row?.encoding === 'UTF8') return
  const message = `database ${where} is encoded as ${row?.encoding}, which cannot hold all values; create one with ENCODING 'UTF8'`
  throw new TidemarkError('refused_schema', message)
}

async function exists(sql: Sql, expression: string): Promise<boolean> {
  const [row] = await sql.query(`SELECT ${expression} IS NOT NULL AS found`)
  return row?.found === true
}

/** Checksums by version. */
async function appliedIn(sql: Sql): Promise<ReadonlyMap<number, string>> {
  if (!(await exists(sql, "to_regclass('tidemark.migrations')"))) return new Map()
  const rows = await sql.query('SELECT version, checksum FROM tidemark.migrations')
  return new Map(rows.map(({ version, checksum }) => [Number(version), String(checksum)]))
}

function due(applied: ReadonlyMap<number, string>, migrations: readonly Migration[], where: string): Migration[] {
  const newest = Math.max(0, ...applied.keys())
  const known = migrations.length
  if (newest > known) {
    const remedy = 'run that release, or name another database in DATABASE_URL and fill it by `tidemark sink --rebuild`'
    const message = `the schema of database ${where} is version ${newest}, of a newer release; this one knows ${known}: ${remedy}`
    throw new TidemarkError('refused_schema', message)
  }
  for (const migration of migrations) {
    const checksum = applied.get(migration.version)
    if (checksum === undefined || checksum === checksumOf(migration)) continue
    const message = `version ${migration.version} (${migration.name}) of the schema of database ${where} was applied with other statements than this release has: name another database in DATABASE_URL`
    throw new TidemarkError('refused_schema', message)
  }
  return migrations.filter(({ version }) => !applied.has(version))
}

function checksumOf({ sql }: Migration): string {
  return createHash('sha256').update(sql).digest('hex')
}
