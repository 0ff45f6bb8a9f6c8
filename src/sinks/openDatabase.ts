import type { Settings } from '../config/settings.ts'
import type { Database } from './database.ts'
import { openPglite } from './pglite.ts'
import { openPostgres } from './postgres.ts'

/**
 * The database that the settings name: PostgreSQL under DATABASE_URL, else the one inside this process, in DATABASE_DIR or
 * in memory. PostgreSQL is not asked yet: an answer is for the first transaction.
 * @throws TidemarkError `bad_setting`, `refused_database`
 */
export async function openDatabase(settings: Pick<Settings, 'databaseUrl' | 'databaseDir'>): Promise<Database> {
  if (settings.databaseUrl !== null) return openPostgres({ url: settings.databaseUrl })
  return await openPglite(settings.databaseDir)
}
