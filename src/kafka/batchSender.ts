import type { KafkaSettings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import type { RecordHeader } from '../tasks/recordBatch.ts'
import { fetchPartitionCounts } from './admin.ts'
import { createKafka, javaPartitioner, type KafkaLog } from './client.ts'
import { deliveryError } from './kafkaErrors.ts'
import { sendRequest } from './outgoing.ts'
import { withAdmin } from './topics.ts'

export type BatchSenderMessage = {
  readonly key: string | Buffer | null
  readonly value: string | Buffer | null
  /** Epoch milliseconds; the time of sending by default. */
  readonly timestamp?: number
  readonly headers?: readonly RecordHeader[]
}

export type KafkaBatchSender = {
  /**
   * Sends one record batch to a partition, once (idempotent), after those asked for before.
   * @returns the offset of its first record, once all in-sync replicas have it; the others follow without a gap
   */
  send(topic: string, partition: number, messages: readonly BatchSenderMessage[]): Promise<{ baseOffset: number }>
  /** Waits for the sends under way and disconnects. */
  close(): Promise<void>
}

const NO_LOG: KafkaLog = () => {}

/** Sends one batch at a time, whoever asks: kafkajs loses one of two concurrent idempotent sends after an error. */
export async function createBatchSender(settings: KafkaSettings, log: KafkaLog = NO_LOG): Promise<KafkaBatchSender> {
  const kafka = createKafka(settings, log)
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: javaPartitioner,
    // Fewer could give up on a batch whose outcome is unknown, and a repeat under a new producer id is a duplicate.
    retry: { retries: Number.MAX_SAFE_INTEGER },
  })
  await producer.connect()
  const known = new Set<string>()
  // kafkajs would ask for an unknown topic for ever.
  const checkTopic = async (topic: string) => {
    if (known.has(topic)) return
    const counts = await withAdmin(kafka, admin => fetchPartitionCounts(admin, [topic]))
    if (!counts.has(topic))
      throw new TidemarkError('refused_topic', `topic ${topic} does not exist; run 'tidemark topics'`)
    known.add(topic)
  }
  let last: Promise<unknown> = Promise.resolve()
  const sendOne = async (topic: string, partition: number, messages: readonly BatchSenderMessage[]) => {
    try {
      await checkTopic(topic)
      const toSend = messages.map(message => ({ ...message, partition }))
      const [result] = await sendRequest(producer.sendBatch, [{ topic, messages: toSend }])
      return { baseOffset: Number(result?.baseOffset) }
    } catch (cause) {
      throw deliveryError(`send to ${topic}/${partition}`, cause)
    }
  }
  return {
    send(topic, partition, messages) {
      const sent = last.then(() => sendOne(topic, partition, messages))
      last = sent.catch(() => {})
      return sent
    },
    async close() {
      await last
      await producer.disconnect()
    },
  }
}
