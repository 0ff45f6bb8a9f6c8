import type { Settings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import type { Database } from '../sinks/database.ts'
import { databaseError } from '../sinks/databaseErrors.ts'
import { openPostgres } from '../sinks/postgres.ts'
import type { SqlQuery } from './stored.ts'

/**
 * Opens the database of DATABASE_URL for reading.
 * @throws TidemarkError `usage` when none is set, `refused_schema` when no sink has ever filled it, and as the database's
 * errors are classified
 */
export async function openSqlQuery({
  databaseUrl,
}: Pick<Settings, 'databaseUrl'>): Promise<{ readonly run: SqlQuery; readonly close: () => Promise<void> }> {
  if (databaseUrl === null) {
    const why = 'the database inside of the sink cannot be read from outside'
    throw new TidemarkError('usage', `--from sql: DATABASE_URL (or DATABASE_URL_FILE) must be set; ${why}`)
  }
  const database = openPostgres({ url: databaseUrl })
  try {
    return { run: await queryOf(database), close: () => database.close() }
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Each statement in a transaction of its own. */
export async function queryOf(database: Database): Promise<SqlQuery> {
  const run: SqlQuery = async (text, params) => {
    try {
      return await database.transaction(sql => sql.query(text, params))
    } catch (error) {
      throw databaseError(error, database.where)
    }
  }
  const [row] = await run("select to_regclass('tidemark.windows') is not null as found", [])
  if (row?.found === true) return run
  throw new TidemarkError(
    'refused_schema',
    `database ${database.where} has no results: no \`tidemark sink\` has filled it`,
  )
}
