import type { Settings } from '../../config/settings.ts'
import type { TopicReader } from '../../kafka/admin.ts'
import { openGeo } from '../../lookups/geo.ts'
import type { DeviceStats, Result } from '../../results/result.ts'
import { decodeMessage, type ProgressMessage } from '../../tasks/messages.ts'
import type { RecountResult } from '../recount.ts'
import { createResultRecount } from '../recountResults.ts'
import { ResultTable } from '../resultTable.ts'

/** Follows the results topic, and that of device stats when it is named: each call of `poll` reads what has come since the last. */
export class ResultFeed {
  readonly table = new ResultTable()
  readonly #reader: TopicReader
  readonly #topics: readonly [results: string, deviceStats: string | null]
  readonly #next = [new Map<number, number>(), new Map<number, number>()] as const

  constructor(reader: TopicReader, results: string, deviceStats: string | null = null) {
    this.#reader = reader
    this.#topics = [results, deviceStats]
  }

  async poll(): Promise<void> {
    const [results, deviceStats] = this.#topics
    await this.#read(results, this.#next[0], (key, json) => this.table.add(key, json as Result))
    if (deviceStats === null) return
    await this.#read(deviceStats, this.#next[1], (key, json) => this.table.addDeviceStats(key, json as DeviceStats))
  }

  async #read(topic: string, next: Map<number, number>, onJson: (key: string, json: unknown) => void): Promise<void> {
    await this.#reader.readAll({
      topic,
      readCommitted: true,
      fromOffsets: next,
      onMessage: ({ partition, offset, key, value }) => {
        next.set(partition, offset + 1)
        if (key !== null && value !== null) onJson(String(key), JSON.parse(String(value)))
      },
    })
  }
}

/** Recounts a whole source topic with the naive implementation: all that the results must say, of every size. */
export async function recountTopic(reader: TopicReader, topic: string, settings: Settings): Promise<RecountResult> {
  const geo = await openGeo({ file: settings.enriched.geoDatabase })
  try {
    const recount = createResultRecount(settings, geo.lookup)
    await reader.readAll({ topic, readCommitted: true, onMessage: message => recount.add(message) })
    return recount.result()
  } finally {
    geo.close()
  }
}

/** The last word of each source partition on its totals, as it stands in the partials topic. */
export async function lastProgress(reader: TopicReader, topic: string): Promise<Map<number, ProgressMessage>> {
  const last = new Map<number, ProgressMessage>()
  await reader.readAll({
    topic,
    readCommitted: true,
    onMessage: ({ value }) => {
      const message = value === null ? null : decodeMessage(value, 0, value.length)
      if (message?.kind !== 'progress') return
      const known = last.get(message.p)
      if (known === undefined || message.through >= known.through) last.set(message.p, message)
    },
  })
  return last
}
