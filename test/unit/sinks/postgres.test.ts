import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EmbeddedPostgres, startPostgres } from '../../../src/dev/postgres.ts'
import type { Database } from '../../../src/sinks/database.ts'
import { databaseError } from '../../../src/sinks/databaseErrors.ts'
import { persistently } from '../../../src/sinks/persistence.ts'
import { openPostgres, type PostgresOptions } from '../../../src/sinks/postgres.ts'
import { ResultDatabase } from '../../../src/sinks/resultDatabase.ts'
import { levelsOf } from '../../../src/windows/levels.ts'
import { databaseContract } from './contract.ts'
import { resultOf, rowsOf } from './results.ts'

const LEVELS = levelsOf({ windowSizeMs: 10_000, rollupsMs: [], slidingWindows: [] })
const AT = { topic: 'results', partition: 0 }

let server: EmbeddedPostgres
let database: Database
const opened: Database[] = []

const open = (url: string, limits: Omit<PostgresOptions, 'url'> = {}): Database => {
  const made = openPostgres({ url, ...limits })
  opened.push(made)
  return made
}

beforeAll(async () => {
  server = await startPostgres()
  database = open(server.url())
}, 60_000)
afterAll(async () => {
  await Promise.all(opened.map(each => each.close()))
  await server?.stop()
}, 60_000)

describe('PostgreSQL', () => databaseContract(() => database))

describe('what somebody has to change is refused, without the password', () => {
  const attempt = (url: string) => new ResultDatabase(open(url), 1).prepare(LEVELS)

  it('a wrong password', async () => {
    const refusal = await attempt(server.url().replace(/:[^:@]*@/, ':guessed@')).catch(error => error)
    expect(refusal).toMatchObject({ code: 'refused_database', message: expect.stringContaining('password') })
    expect(refusal.message).not.toContain('guessed')
  })

  it('no password', async () => {
    const refusal = attempt(server.url().replace(/:[^:@]*@/, '@'))
    await expect(refusal).rejects.toMatchObject({ code: 'refused_database' })
  })

  it('a database that is not there', async () => {
    await expect(attempt(server.url('elsewhere'))).rejects.toMatchObject({
      code: 'refused_database',
      message: expect.stringContaining('elsewhere'),
    })
  })

  it('no right to make the schema', async () => {
    await server.createDatabase('guarded')
    await server.run('guarded', "CREATE ROLE guest LOGIN PASSWORD 'guest'")
    const url = server.url('guarded').replace(/\/\/[^@]*@/, '//guest:guest@')
    await expect(attempt(url)).rejects.toMatchObject({
      code: 'refused_database',
      message: expect.stringContaining('permission denied'),
    })
  })

  it('an encoding that does not hold all text', async () => {
    await server.run('postgres', "CREATE DATABASE narrow ENCODING 'LATIN1' TEMPLATE template0")
    await expect(attempt(server.url('narrow'))).rejects.toMatchObject({ code: 'refused_schema' })
  })

  it.each(['mysql://u:hidden@h/d', 'nonsense hidden', 'postgresql://u:hidden@h:port/d'])('%s', url => {
    const refusal = expect.objectContaining({ code: 'bad_setting', message: expect.not.stringContaining('hidden') })
    expect(() => open(url)).toThrow(refusal)
  })
})

describe('what passes is tried again', () => {
  const prepared = async (name: string, limits: Omit<PostgresOptions, 'url'> = {}) => {
    await server.createDatabase(name)
    const results = new ResultDatabase(open(server.url(name), limits), 1)
    await results.prepare(LEVELS)
    return results
  }
  const write = (results: ResultDatabase) => results.write({ ...AT, rows: rowsOf(resultOf()), from: null, to: 1 })

  it('a read-only database', async () => {
    await prepared('frozen')
    await server.run('frozen', 'ALTER DATABASE frozen SET default_transaction_read_only = on')
    const told: string[] = []
    const on = { up: () => void told.push('up'), down: () => void told.push('down') }
    const results = new ResultDatabase(open(server.url('frozen')), 1, on)
    await expect(write(results)).rejects.toMatchObject({ code: 'unreachable', retriable: true })
    // It can be read: that is not said to be the end of it.
    await expect(results.readPosition(AT)).rejects.toMatchObject({ code: 'unreachable' })
    expect(told).toEqual(['down', 'down'])
    const writing = persistently(() => write(results))
    await server.run('frozen', 'SET default_transaction_read_only = off', 'ALTER DATABASE frozen RESET ALL')
    // Connections keep the setting with which they began.
    await server.run('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'frozen'")
    expect(await writing).toBe(1)
  })

  it('a row that others hold', async () => {
    const results = await prepared('held', { statementLimitMs: 300 })
    const other = open(server.url('held'))
    await results.write({ ...AT, rows: [], from: null, to: 0 })
    await other.transaction(async sql => {
      await sql.query('SELECT 1 FROM tidemark.positions FOR UPDATE')
      const stuck = results.write({ ...AT, rows: rowsOf(resultOf()), from: 0, to: 1 })
      await expect(stuck).rejects.toMatchObject({ code: 'unreachable' })
    })
    expect(await results.write({ ...AT, rows: rowsOf(resultOf()), from: 0, to: 1 })).toBe(1)
  })

  it('a row that a process holds which has stopped amid its transaction', async () => {
    const results = await prepared('asleep')
    await results.write({ ...AT, rows: [], from: null, to: 0 })
    const { promise: slept, resolve: wake } = Promise.withResolvers<void>()
    const { promise: locked, resolve: tellLocked } = Promise.withResolvers<void>()
    const sleeper = open(server.url('asleep'), { idleLimitMs: 200 }).transaction(async sql => {
      await sql.query('SELECT 1 FROM tidemark.positions FOR UPDATE')
      tellLocked()
      await slept
      await sql.query('UPDATE tidemark.positions SET next_offset = 77')
    })
    const died = expect(sleeper).rejects.toThrow()
    await locked
    expect(await results.write({ ...AT, rows: rowsOf(resultOf()), from: 0, to: 1 })).toBe(1)
    wake()
    await died
    expect(await results.readPosition(AT)).toBe(1)
  })

  it('a transaction in which this process could do nothing for too long', async () => {
    await server.createDatabase('blocked')
    const blocked = open(server.url('blocked'), { idleLimitMs: 100 }).transaction(async sql => {
      await sql.query('SELECT 1')
      // The server's word of it waits in the socket, and answers the next statement.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
      await sql.query('SELECT 2')
    })
    const error = await blocked.catch(cause => cause)
    expect(databaseError(error, 'h/d')).toMatchObject({ code: 'unreachable', retriable: true })
  })

  it('a server that dies, and is back on its data', async () => {
    const results = await prepared('mortal')
    await write(results)
    await server.kill()
    const next = { ...AT, rows: rowsOf(resultOf({ revision: 2 })), from: 1, to: 2 }
    await expect(results.write(next)).rejects.toMatchObject({ code: 'unreachable' })
    await server.start()
    expect(await persistently(() => results.readPosition(AT))).toBe(1)
    expect(await results.write(next)).toBe(1)
  }, 30_000)
})
