import type { SentMessage } from './batchSender.ts'

export type Batch = { readonly partition: number; readonly messages: readonly SentMessage[] }

/** Messages that wait to be sent, by partition. A batch is due when it is full, or its first message has waited enough. */
export class Outbox {
  readonly #batchSize: number
  readonly #lingerMs: number
  readonly #waiting = new Map<number, SentMessage[]>()
  #size = 0

  /** @param batchSize messages of one send at most */
  constructor(batchSize: number, lingerMs: number) {
    this.#batchSize = batchSize
    this.#lingerMs = lingerMs
  }

  get size(): number {
    return this.#size
  }

  /** @returns true when the partition's batch has become full: it should be taken before more is added */
  add(partition: number, message: SentMessage): boolean {
    const messages = this.#waiting.get(partition) ?? []
    if (messages.push(message) === 1) this.#waiting.set(partition, messages)
    this.#size++
    return messages.length >= this.#batchSize
  }

  /** A full batch before the one that has waited longest; null when none is due. `always` takes what there is. */
  take(now: number, always = false): Batch | null {
    let chosen: number | null = null
    let earliest = always ? Number.POSITIVE_INFINITY : now - this.#lingerMs
    for (const [partition, messages] of this.#waiting) {
      const since = messages.length >= this.#batchSize ? Number.NEGATIVE_INFINITY : messages[0]!.timestamp
      if (since > earliest) continue
      earliest = since
      chosen = partition
    }
    if (chosen === null) return null
    const messages = this.#waiting.get(chosen)!
    this.#waiting.delete(chosen)
    this.#size -= messages.length
    return { partition: chosen, messages }
  }
}
