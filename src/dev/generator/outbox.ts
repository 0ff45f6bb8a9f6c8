import type { SentMessage } from './batchSender.ts'

export type Batch = { readonly partition: number; readonly messages: readonly SentMessage[] }

/** Messages that wait to be sent, by partition. A batch is due when it is full, or its first message has waited enough. */
export class Outbox {
  readonly #batchSize: number
  readonly #batchBytes: number
  readonly #lingerMs: number
  readonly #waiting = new Map<number, Waiting>()
  #size = 0

  /**
   * @param batchSize messages of one send at most
   * @param batchBytes bytes from which a batch is full
   */
  constructor(batchSize: number, batchBytes: number, lingerMs: number) {
    this.#batchSize = batchSize
    this.#batchBytes = batchBytes
    this.#lingerMs = lingerMs
  }

  get size(): number {
    return this.#size
  }

  /** @returns true when the partition's batch has become full: it should be taken before more is added */
  add(partition: number, message: SentMessage): boolean {
    let waiting = this.#waiting.get(partition)
    if (waiting === undefined) {
      waiting = { messages: [], bytes: 0 }
      this.#waiting.set(partition, waiting)
    }
    waiting.messages.push(message)
    waiting.bytes += sizeOf(message)
    this.#size++
    return this.#isFull(waiting)
  }

  /** A full batch before the one that has waited longest; null when none is due. `always` takes what there is. */
  take(now: number, always = false): Batch | null {
    let chosen: number | null = null
    let earliest = always ? Number.POSITIVE_INFINITY : now - this.#lingerMs
    for (const [partition, waiting] of this.#waiting) {
      const since = this.#isFull(waiting) ? Number.NEGATIVE_INFINITY : waiting.messages[0]!.timestamp
      if (since > earliest) continue
      earliest = since
      chosen = partition
    }
    if (chosen === null) return null
    const { messages } = this.#waiting.get(chosen)!
    this.#waiting.delete(chosen)
    this.#size -= messages.length
    return { partition: chosen, messages }
  }

  #isFull({ messages, bytes }: Waiting): boolean {
    return messages.length >= this.#batchSize || bytes >= this.#batchBytes
  }
}

type Waiting = { readonly messages: SentMessage[]; bytes: number }

/** About what a message comes to in a record batch. */
function sizeOf({ key, value, headers }: SentMessage): number {
  let bytes = RECORD_OVERHEAD_BYTES + key.length + (value?.length ?? 0)
  for (const [name, content] of headers) bytes += name.length + (content?.length ?? 0) + 2
  return bytes
}

const RECORD_OVERHEAD_BYTES = 16
