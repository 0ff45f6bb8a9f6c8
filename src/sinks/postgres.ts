import pg from 'pg'
import { invariant, TidemarkError } from '../errors.ts'
import type { Database, Sql } from './database.ts'

export type PostgresOptions = {
  /** As DATABASE_URL. */
  readonly url: string
  /** Told when a connection that nobody used was cut. */
  readonly onIdleError?: (error: Error) => void
  /** How long a statement may take, milliseconds. */
  readonly statementLimitMs?: number
  /** How long a transaction may wait for our next statement, milliseconds. */
  readonly idleLimitMs?: number
}

/** Partitions write at the same time, but more connections than this only wait for the same disk. */
const CONNECTIONS = 4
const CONNECT_LIMIT_MS = 5_000
const STATEMENT_LIMIT_MS = 20_000
const LOCK_LIMIT_MS = 10_000
/** A process that stops amid a transaction must not hold up the next owner, who waits for LOCK_LIMIT_MS. */
const IDLE_LIMIT_MS = 5_000
/** The server's own limit comes first; past ours it is taken for gone. */
const SILENCE_MS = 5_000
const CLOSE_LIMIT_MS = 2_000

/**
 * A pool of connections to PostgreSQL, opened when they are needed.
 * @throws TidemarkError `bad_setting` for what is no URL of PostgreSQL
 */
export function openPostgres(options: PostgresOptions): Database {
  const statementLimitMs = options.statementLimitMs ?? STATEMENT_LIMIT_MS
  const where = whereOf(options.url)
  const pool = createPool(options.url, statementLimitMs + SILENCE_MS)
  // Without a listener the cut of an idle connection would end the process.
  pool.on('error', error => options.onIdleError?.(error))
  // Set by statement: poolers before the database refuse settings at connection.
  const begin = `BEGIN;
    SET LOCAL statement_timeout = ${statementLimitMs};
    SET LOCAL lock_timeout = ${LOCK_LIMIT_MS};
    SET LOCAL idle_in_transaction_session_timeout = ${options.idleLimitMs ?? IDLE_LIMIT_MS}`
  return {
    where,
    async transaction(work) {
      const client = await pool.connect()
      // Between two statements a cut is told by this alone; the next statement then fails.
      const onError = () => {}
      client.on('error', onError)
      try {
        await client.query(begin)
        const done = await work(sqlOf(client))
        const { command } = await client.query('COMMIT')
        invariant(command === 'COMMIT', 'a transaction with a failed statement is never committed')
        client.off('error', onError)
        client.release()
        return done
      } catch (error) {
        // The server ends the transaction with the connection, in whatever state both are.
        client.release(true)
        throw error
      }
    },
    async close() {
      await Promise.race([pool.end(), new Promise(resolve => setTimeout(resolve, CLOSE_LIMIT_MS).unref())])
    },
  }
}

function createPool(url: string, queryLimitMs: number): pg.Pool {
  try {
    return new pg.Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: queryLimitMs,
      keepAlive: true,
      application_name: 'tidemark-sink',
    })
  } catch (cause) {
    throw badUrl(cause)
  }
}

function sqlOf(client: pg.PoolClient): Sql {
  return {
    query: async (statement, parameters = []) => (await client.query(statement, [...parameters])).rows,
    script: async statements => void (await client.query(statements)),
  }
}

/** `host:port/database` of a URL. */
function whereOf(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw badUrl()
  }
  if (!/^postgres(?:ql)?:$/.test(parsed.protocol)) throw badUrl()
  const host = parsed.searchParams.get('host') ?? (parsed.hostname || 'localhost')
  return `${host}:${parsed.port || '5432'}${parsed.pathname}`
}

/** The value may hold a password: it is not repeated, and neither is the cause. */
function badUrl(cause?: unknown): TidemarkError {
  const reason = (cause as { code?: unknown } | undefined)?.code
  const why = typeof reason === 'string' ? ` (${reason})` : ''
  const allowed = 'allowed is a PostgreSQL URL, as postgresql://user:password@host:5432/database'
  return new TidemarkError('bad_setting', `DATABASE_URL cannot be used${why}; ${allowed}`)
}
