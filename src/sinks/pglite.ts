import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PGlite, type Transaction } from '@electric-sql/pglite'
import { TidemarkError } from '../errors.ts'
import type { Database, Sql } from './database.ts'

const LOCK_FILE = 'tidemark.pid'

/** The locks that this process holds. */
const held = new Set<string>()

/**
 * PostgreSQL inside this process; it takes about 3 s and several hundred MB to begin.
 * @param folder where its files are kept, by one process at a time; null for memory
 * @throws TidemarkError `refused_database` when another process uses the folder, `bad_setting` when it cannot be used
 */
export async function openPglite(folder: string | null): Promise<Database> {
  const unlock = folder === null ? () => {} : lockFolder(folder)
  let database: PGlite
  try {
    // The server wants a folder for itself.
    database = await (folder === null ? PGlite.create() : PGlite.create({ dataDir: join(folder, 'data') }))
  } catch (cause) {
    unlock()
    throw badFolder(folder ?? 'memory', cause)
  }
  return {
    where: folder === null ? 'inside this process, in memory' : `inside this process, in ${folder}`,
    transaction: work => database.transaction(transaction => work(sqlOf(transaction))),
    async close() {
      await database.close()
      unlock()
    },
  }
}

function sqlOf(transaction: Transaction): Sql {
  return {
    query: async (statement, parameters = []) => {
      return (await transaction.query<Record<string, unknown>>(statement, [...parameters])).rows
    },
    script: async statements => void (await transaction.exec(statements)),
  }
}

/** Two servers on the same files would destroy them. */
function lockFolder(folder: string): () => void {
  const path = join(resolve(folder), LOCK_FILE)
  try {
    if (held.has(path)) throw Object.assign(new Error('held by this process'), { code: 'EEXIST' })
    mkdirSync(folder, { recursive: true })
    if (!isRunning(ownerOf(path))) rmSync(path, { force: true })
    const file = openSync(path, 'wx')
    writeSync(file, `${process.pid}\n`)
    closeSync(file)
    held.add(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw badFolder(folder, cause)
    const message = `DATABASE_DIR ${folder} is in use by process ${ownerOf(path)} (${path}); stop that one first`
    throw new TidemarkError('refused_database', message, { cause })
  }
  return () => {
    held.delete(path)
    rmSync(path, { force: true })
  }
}

function ownerOf(path: string): number | null {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || null
  } catch {
    return null
  }
}

function isRunning(pid: number | null): boolean {
  // In a container each start has the same number: a lock of that number which we do not hold is one left behind.
  if (pid === null || pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function badFolder(folder: string, cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new TidemarkError('bad_setting', `the database in ${folder} (DATABASE_DIR) cannot be opened: ${reason}`, {
    cause,
  })
}
