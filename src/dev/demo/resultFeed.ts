import type { TopicReader } from '../../kafka/admin.ts'
import { decodeMessage, type ProgressMessage } from '../../tasks/messages.ts'
import type { Result } from '../../tasks/result.ts'
import { createRecount, type RecountResult, type RecountRules } from '../recount.ts'
import { ResultTable } from '../verdict.ts'

/** Follows the results topic: each call of `poll` reads what has come since the last. */
export class ResultFeed {
  readonly table = new ResultTable()
  readonly #reader: TopicReader
  readonly #topic: string
  readonly #next = new Map<number, number>()

  constructor(reader: TopicReader, topic: string) {
    this.#reader = reader
    this.#topic = topic
  }

  async poll(): Promise<void> {
    await this.#reader.readAll({
      topic: this.#topic,
      readCommitted: true,
      fromOffsets: this.#next,
      onMessage: ({ partition, offset, key, value }) => {
        this.#next.set(partition, offset + 1)
        if (key !== null && value !== null) this.table.add(String(key), JSON.parse(String(value)) as Result)
      },
    })
  }
}

/** Recounts a whole source topic with the naive implementation. */
export async function recountTopic(reader: TopicReader, topic: string, rules: RecountRules): Promise<RecountResult> {
  const recount = createRecount(rules)
  await reader.readAll({ topic, readCommitted: true, onMessage: message => void recount.add(message) })
  return recount.result()
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
