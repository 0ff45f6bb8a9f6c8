import { TidemarkError } from '../errors.ts'
import type { Traceparent } from '../tasks/traceContext.ts'
import type { Level } from '../windows/levels.ts'
import type { Database, Sql } from './database.ts'
import { databaseError, troubleOf } from './databaseErrors.ts'
import { migrate } from './migrate.ts'
import { movePosition, type Partition, readPosition, touchPosition } from './positions.ts'
import { writeResults } from './resultSql.ts'
import { prune, type Retention } from './retention.ts'

export type ResultDatabaseListener = {
  /** The database does what is asked of it, again or for the first time. */
  readonly up?: () => void
  /** It does not: one call for each that failed. */
  readonly down?: (error: TidemarkError) => void
  /** A result that the database does not take was left out. */
  readonly refused?: (key: string, reason: TidemarkError, batch: PositionedRows) => void
}

/** A result to be written: JSON, under its key. */
export type ResultRow = { readonly key: string; readonly json: string }

/** A batch: rows of a partition, and the position that is true once they are written. */
export type PositionedRows = Partition & {
  readonly rows: readonly ResultRow[]
  /** Where the position has to stand before; null for nowhere. */
  readonly from: number | null
  readonly to: number
  /** The context under which they are written; null, the default, when they belong to no trace. */
  readonly context?: Traceparent | null
}

/** The tables of results as the sink uses them. All that is thrown is a TidemarkError: see databaseError. */
export class ResultDatabase {
  readonly #database: Database
  readonly #generation: number
  readonly #on: ResultDatabaseListener
  /** That it can be read then does not show that it is back: it may be read-only or full. */
  #writeFailed = false
  /** When the last call that failed ended, and when the last that succeeded began: milliseconds of one clock. */
  #failedAt = 0
  #succeededFrom = 0

  constructor(database: Database, generation: number, on: ResultDatabaseListener = {}) {
    this.#database = database
    this.#generation = generation
    this.#on = on
  }

  get where(): string {
    return this.#database.where
  }

  /**
   * Brings the schema up to date and writes down the window sizes of this generation.
   * @returns the versions of the schema that were applied now
   * @throws TidemarkError `refused_schema`; `refused_generation` when the rows are of a newer generation
   */
  prepare(levels: readonly Level[]): Promise<readonly number[]> {
    return this.#call(async database => {
      const applied = await migrate(database)
      await database.transaction(async sql => {
        await this.#refuseOlder(sql)
        await writeLevels(sql, levels, this.#generation)
      })
      return applied
    })
  }

  /** Brings the schema up to date and leaves the rows as they are. */
  migrate(): Promise<readonly number[]> {
    return this.#call(migrate)
  }

  /** How many windows there are. */
  countWindows(): Promise<number> {
    return this.#call(database =>
      database.transaction(async sql => {
        const [row] = await sql.query('SELECT count(*) AS count FROM tidemark.windows')
        return Number(row?.count)
      }),
    )
  }

  /** Deletes all rows and positions, in one transaction. */
  clear(): Promise<void> {
    return this.#call(database =>
      database.transaction(sql => sql.script('TRUNCATE tidemark.windows, tidemark.positions, tidemark.levels')),
    )
  }

  /** After a write that failed this shows, too, whether the next one may succeed. */
  readPosition(partition: Partition): Promise<number | null> {
    return this.#call(async database => {
      const isProbe = this.#writeFailed
      const position = await database.transaction(async sql => {
        if (isProbe) await touchPosition(sql, partition)
        return await readPosition(sql, partition)
      })
      if (isProbe) this.#writeFailed = false
      return position
    })
  }

  /**
   * Writes rows and position in one transaction. A row that the database does not take is left out and told: the others
   * must not wait for it for ever.
   * @returns how many windows changed
   * @throws TidemarkError `fenced` when the position stands elsewhere, and then nothing is written
   */
  async write(batch: PositionedRows): Promise<number> {
    try {
      const written = await this.#call(database => this.#writeOrSift(database, batch))
      this.#writeFailed = false
      return written
    } catch (error) {
      this.#writeFailed ||= error instanceof TidemarkError && error.code === 'unreachable'
      throw error
    }
  }

  /** @returns how many windows were past their retention and are deleted; its failures say nothing about writing */
  async prune(retention: Retention): Promise<number> {
    try {
      return await prune(this.#database, retention)
    } catch (error) {
      throw databaseError(error, this.where)
    }
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  async #writeOrSift(database: Database, batch: PositionedRows): Promise<number> {
    try {
      return await database.transaction(sql => this.#write(sql, batch, writeAll))
    } catch (error) {
      if (troubleOf(error) !== 'data') throw error
      const refused: [string, unknown][] = []
      const each = (sql: Sql, rows: readonly ResultRow[]) => {
        refused.length = 0
        return writeEach(sql, rows, (key, reason) => refused.push([key, reason]))
      }
      const written = await database.transaction(sql => this.#write(sql, batch, each))
      for (const [key, reason] of refused) this.#on.refused?.(key, databaseError(reason, database.where), batch)
      return written
    }
  }

  async #write(sql: Sql, batch: PositionedRows, write: typeof writeAll): Promise<number> {
    const { topic, partition, from, to, rows } = batch
    if (!(await movePosition(sql, batch, from, { offset: to, generation: this.#generation }))) {
      throw new TidemarkError('fenced', `another sink has written ${topic}/${partition} since offset ${from ?? 'none'}`)
    }
    return await write(sql, rows)
  }

  async #refuseOlder(sql: Sql): Promise<void> {
    const [row] = await sql.query(`
      SELECT greatest((SELECT max(generation) FROM tidemark.windows), (SELECT max(generation) FROM tidemark.levels),
        (SELECT max(generation) FROM tidemark.positions)) AS newest`)
    const newest = Number(row?.newest ?? 0)
    if (newest <= this.#generation) return
    const remedy = `set STREAM_GENERATION=${newest}, or begin again from this generation by \`tidemark sink --rebuild --yes\``
    const message = `database ${this.where} holds results of generation ${newest}, and STREAM_GENERATION is ${this.#generation}: ${remedy}`
    throw new TidemarkError('refused_generation', message)
  }

  async #call<T>(run: (database: Database) => Promise<T>): Promise<T> {
    const begunAt = performance.now()
    try {
      const result = await run(this.#database)
      // Calls of several partitions overlap: what began before the last failure, or success, says nothing new.
      if (begunAt >= this.#failedAt) {
        this.#succeededFrom = begunAt
        this.#on.up?.()
      }
      return result
    } catch (cause) {
      const error = databaseError(cause, this.where)
      if (error.code === 'unreachable' && begunAt >= this.#succeededFrom) {
        this.#failedAt = performance.now()
        this.#on.down?.(error)
      }
      throw error
    }
  }
}

function writeAll(sql: Sql, rows: readonly ResultRow[]): Promise<number> {
  return writeResults(
    sql,
    rows.map(({ json }) => json),
  )
}

/** One by one, each in a savepoint of its own. */
async function writeEach(
  sql: Sql,
  rows: readonly ResultRow[],
  onRefused: (key: string, reason: unknown) => void,
): Promise<number> {
  let windows = 0
  for (const { key, json } of rows) {
    await sql.script('SAVEPOINT one')
    try {
      const written = await writeResults(sql, [json])
      await sql.script('RELEASE one')
      windows += written
    } catch (error) {
      if (troubleOf(error) !== 'data') throw error
      await sql.script('ROLLBACK TO one')
      onRefused(key, error)
    }
  }
  return windows
}

async function writeLevels(sql: Sql, levels: readonly Level[], generation: number): Promise<void> {
  // Written only when they differ: then a start takes no lock and needs no more than a look.
  const wanted = levels.map(({ size, sizeMs, hopMs }) => ({
    size,
    size_ms: sizeMs,
    tiles: hopMs === sizeMs,
    generation,
  }))
  const sorted = (rows: readonly Record<string, unknown>[]) => {
    const texts = rows.map(row => [row.size, Number(row.size_ms), row.tiles, Number(row.generation)].join())
    return texts.sort().join(';')
  }
  const held = await sql.query('SELECT size, size_ms, tiles, generation FROM tidemark.levels')
  if (sorted(held) === sorted(wanted)) return
  await sql.script('LOCK TABLE tidemark.levels IN EXCLUSIVE MODE; DELETE FROM tidemark.levels')
  await sql.query(
    `INSERT INTO tidemark.levels (size, size_ms, tiles, generation)
     SELECT size, size_ms, tiles, generation FROM json_to_recordset($1::json)
       AS l (size text, size_ms bigint, tiles boolean, generation integer)`,
    [JSON.stringify(wanted)],
  )
}
