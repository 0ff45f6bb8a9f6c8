import type { TopicReader } from '../kafka/admin.ts'
import { WaitingResults } from '../tasks/sinkTask.ts'
import type { LogRange } from '../tasks/task.ts'
import { persistently } from './persistence.ts'
import type { ResultDatabase, ResultRow } from './resultDatabase.ts'

export type RebuildOptions = {
  readonly database: ResultDatabase
  readonly reader: Pick<TopicReader, 'readAll' | 'readLogRanges'>
  readonly topic: string
  /** Rows of a partition that come to more are written at once. */
  readonly maxBytes: number
  readonly onForeign: (partition: number, offset: number) => void
}

/** What was read of the topic. */
export type Rebuilt = { readonly records: number; readonly foreign: number }

/**
 * Fills a database that holds no rows from the topic's start to its present end. Positions go with the rows: cut off at
 * any point, a sink goes on from there.
 * @throws TidemarkError `fenced` when a sink writes at the same time, `corrupt_batch` when the topic cannot be read
 */
export async function rebuild({ database, reader, topic, maxBytes, onForeign }: RebuildOptions): Promise<Rebuilt> {
  const ranges = await reader.readLogRanges(topic)
  const lanes = ranges.map((range, partition) => new RebuildLane(database, topic, partition, range))
  let [records, foreign] = [0, 0]
  await reader.readAll({
    topic,
    readCommitted: true,
    toOffsets: new Map(ranges.map(({ end }, partition) => [partition, end])),
    onMessage: async ({ partition, offset, key, value }) => {
      const lane = lanes[partition] as RebuildLane
      records++
      if (!lane.waiting.add(key, value)) {
        foreign++
        onForeign(partition, offset)
      }
      if (lane.waiting.bytes > maxBytes) await lane.write(offset + 1)
    },
  })
  for (const lane of lanes) await lane.finish()
  return { records, foreign }
}

class RebuildLane {
  readonly waiting = new WaitingResults()
  readonly #database: ResultDatabase
  readonly #at: { readonly topic: string; readonly partition: number }
  readonly #end: number
  #position: number | null = null

  constructor(database: ResultDatabase, topic: string, partition: number, { end }: LogRange) {
    this.#database = database
    this.#at = { topic, partition }
    this.#end = end
  }

  async finish(): Promise<void> {
    await this.write(this.#end)
  }

  async write(to: number): Promise<void> {
    const rows = this.waiting.take().map<ResultRow>(({ key, value }) => ({ key: String(key), json: String(value) }))
    let isDoubtful = false
    await persistently(async () => {
      // After a failure the transaction may have been made all the same.
      if (isDoubtful && (await this.#database.readPosition(this.#at)) === to) return
      isDoubtful = true
      await this.#database.write({ ...this.#at, rows, from: this.#position, to })
    })
    this.#position = to
  }
}
