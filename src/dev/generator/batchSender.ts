import type { RecordHeader } from '../../tasks/recordBatch.ts'
import type { Traceparent } from '../../tasks/traceContext.ts'

/** A record to be sent. `timestamp` is the record's, epoch milliseconds. */
export type SentMessage = {
  readonly key: Buffer
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
  readonly timestamp: number
}

export type SentBatch = {
  /** The offset of the first message. */
  readonly baseOffset: number
  /** The context that the messages carry; left out when they belong to no trace. */
  readonly traceparent?: Traceparent
}

/** What the generator needs from Kafka; src/kafka implements it with an idempotent producer. */
export type BatchSender = {
  /**
   * Sends messages to one partition, in their order and without a gap, and waits until all in-sync replicas have them.
   *
   * @throws when it is unknown whether they were written
   */
  send(topic: string, partition: number, messages: readonly SentMessage[]): Promise<SentBatch>
  close(): Promise<void>
}
