import type { Sql } from './database.ts'

/** A partition of the results topic. */
export type Partition = { readonly topic: string; readonly partition: number }

/** The next offset to be written; null when nothing of the partition ever was. */
export async function readPosition(sql: Sql, { topic, partition }: Partition): Promise<number | null> {
  const [row] = await sql.query('SELECT next_offset FROM tidemark.positions WHERE topic = $1 AND partition = $2', [
    topic,
    partition,
  ])
  return row === undefined ? null : Number(row.next_offset)
}

/** Writes a position as it stands: fails when the database takes no writes. */
export async function touchPosition(sql: Sql, { topic, partition }: Partition): Promise<void> {
  await sql.query('UPDATE tidemark.positions SET next_offset = next_offset WHERE topic = $1 AND partition = $2', [
    topic,
    partition,
  ])
}

/**
 * Moves a position on, iff it still stands where its owner left it, and holds its row until the transaction ends: what a
 * former owner still has to say is refused here (a-zombie-changes-nothing).
 * @returns false when it stands elsewhere
 */
export async function movePosition(
  sql: Sql,
  { topic, partition }: Partition,
  from: number | null,
  to: { readonly offset: number; readonly generation: number },
): Promise<boolean> {
  const parameters = [topic, partition, to.offset, to.generation]
  const rows =
    from === null
      ? await sql.query(
          `INSERT INTO tidemark.positions (topic, partition, next_offset, generation) VALUES ($1, $2, $3, $4)
           ON CONFLICT DO NOTHING RETURNING 1`,
          parameters,
        )
      : await sql.query(
          `UPDATE tidemark.positions SET next_offset = $3, generation = $4
           WHERE topic = $1 AND partition = $2 AND next_offset = $5 AND $3 >= next_offset RETURNING 1`,
          [...parameters, from],
        )
  return rows.length === 1
}
