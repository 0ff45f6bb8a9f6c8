import type { RecordHeader } from '../../tasks/recordBatch.ts'

/** A record to be sent. `timestamp` is the record's, epoch milliseconds. */
export type SentMessage = {
  readonly key: Buffer
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
  readonly timestamp: number
}

/** What the generator needs from Kafka; src/kafka implements it with an idempotent producer. */
export type BatchSender = {
  /**
   * Sends messages to one partition, in their order and without a gap, and waits until all in-sync replicas have them.
   *
   * @returns the offset of the first message
   * @throws when it is unknown whether they were written
   */
  send(topic: string, partition: number, messages: readonly SentMessage[]): Promise<{ readonly baseOffset: number }>
  close(): Promise<void>
}
