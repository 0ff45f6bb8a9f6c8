import type { ProducerBatch, RecordMetadata, TopicMessages } from 'kafkajs'
import { invariant, TidemarkError } from '../errors.ts'
import type { OutputRecord, OutputTopic } from '../tasks/task.ts'
import type { WireMessage } from './wire/encode.ts'

/** The partials' topics are named by level. */
export type TopicNames = Readonly<Record<Exclude<OutputTopic, 'partials'>, string>> & {
  readonly partials: readonly string[]
}

/** The most that a record batch of a topic may come to; DEFAULT_BATCH_BYTES where it is not known. */
export type BatchLimits = Partial<Readonly<Record<OutputTopic, number>>>

/** A record for the partition named, or else for the one that its key's murmur2 chooses. */
export type RecordMessage = WireMessage & { readonly partition?: number | null }

export type TopicRecords = { readonly topic: string; readonly messages: readonly RecordMessage[] }

/** One record batch is made of all that one request sends to a partition, and brokers take 1 MiB unless told otherwise. */
const DEFAULT_BATCH_BYTES = 768 * 1024
/** Brokers take 100 MiB; what is under way is also held in memory. */
const REQUEST_BYTES = 8 * 1024 * 1024
const RECORD_OVERHEAD_BYTES = 32
const BATCH_OVERHEAD_BYTES = 128

/** Splits records into requests that no broker finds too large, in their order; one large record goes alone. */
export function toRequests(
  records: readonly OutputRecord[],
  names: TopicNames,
  limits: BatchLimits = {},
): TopicRecords[][] {
  const requests: TopicRecords[][] = []
  let messages = new Map<string, OutputRecord[]>()
  // Records without a partition may all have the same key: together they must fit into one batch.
  let batchBytes = new Map<string, number>()
  let bytes = 0
  const close = () => {
    if (messages.size > 0) requests.push([...messages].map(([topic, list]) => ({ topic, messages: list })))
    messages = new Map()
    batchBytes = new Map()
    bytes = 0
  }
  for (const record of records) {
    const size = sizeOf(record)
    const topic = topicOf(record, names)
    const batch = `${topic}/${record.partition}`
    const limit = Math.min(DEFAULT_BATCH_BYTES, (limits[record.topic] ?? DEFAULT_BATCH_BYTES) - BATCH_OVERHEAD_BYTES)
    if ((batchBytes.get(batch) ?? 0) + size > limit || bytes + size > REQUEST_BYTES) close()
    bytes += size
    batchBytes.set(batch, (batchBytes.get(batch) ?? 0) + size)
    const list = messages.get(topic)
    if (list === undefined) messages.set(topic, [record])
    else list.push(record)
  }
  close()
  return requests
}

/** The name of the topic that a record goes to. */
export function topicOf({ topic, level }: OutputRecord, names: TopicNames): string {
  if (topic !== 'partials') return names[topic]
  const name = names.partials[level ?? 0]
  invariant(name !== undefined, `there is no level ${level}`)
  return name
}

/**
 * Sends one request and checks that every partition named in it has answered: kafkajs leaves out messages for a partition
 * that its metadata does not know, and reports success.
 *
 * @param compression the number of a codec: see CODEC_IDS
 * @throws TidemarkError `delivery_failed` when a partition was left out, and whatever `send` throws
 */
export async function sendRequest(
  send: (batch: ProducerBatch) => Promise<RecordMetadata[]>,
  topicRecords: readonly TopicRecords[],
  compression = 0,
): Promise<RecordMetadata[]> {
  // kafkajs only groups messages by partition; our own encoder reads them.
  const topicMessages = topicRecords as unknown as TopicMessages[]
  const answers = await send({ acks: -1, compression, topicMessages })
  const answered = new Set(answers.map(({ topicName, partition }) => `${topicName}/${partition}`))
  for (const { topic, messages } of topicRecords) {
    for (const { partition } of messages) {
      if (partition === undefined || partition === null || answered.has(`${topic}/${partition}`)) continue
      const message = `${topic} has no partition ${partition} that can be written to`
      throw new TidemarkError('delivery_failed', message, { retriable: true })
    }
  }
  return answers
}

/** At least what the record adds to a batch, but for lengths and deltas. */
function sizeOf({ key, value, headers }: OutputRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + lengthOf(key) + lengthOf(value)
  for (const [name, text] of headers ?? []) bytes += 4 + lengthOf(name) + lengthOf(text)
  return bytes
}

function lengthOf(part: string | Uint8Array | null): number {
  if (part === null) return 0
  return typeof part === 'string' ? Buffer.byteLength(part) : part.length
}
