import type { IHeaders, Message, ProducerBatch, RecordMetadata, TopicMessages } from 'kafkajs'
import { TidemarkError } from '../errors.ts'
import type { RecordHeader } from '../tasks/recordBatch.ts'
import type { OutputRecord, OutputTopic } from '../tasks/task.ts'

export type TopicNames = Readonly<Record<OutputTopic, string>>

/**
 * kafkajs makes one record batch of all that one request sends to a partition, and the broker refuses one of more than
 * max.message.bytes (1 MiB by default).
 */
const REQUEST_BYTES = 768 * 1024
const RECORD_OVERHEAD_BYTES = 32

/** Splits records into requests that no broker finds too large, in their order; one large record goes alone. */
export function toRequests(records: readonly OutputRecord[], names: TopicNames): TopicMessages[][] {
  const requests: TopicMessages[][] = []
  let messages = new Map<OutputTopic, Message[]>()
  let bytes = 0
  const close = () => {
    if (messages.size > 0)
      requests.push([...messages].map(([topic, list]) => ({ topic: names[topic], messages: list })))
    messages = new Map()
    bytes = 0
  }
  for (const record of records) {
    const size = sizeOf(record)
    if (bytes + size > REQUEST_BYTES) close()
    bytes += size
    const list = messages.get(record.topic)
    if (list === undefined) messages.set(record.topic, [toMessage(record)])
    else list.push(toMessage(record))
  }
  close()
  return requests
}

/**
 * Sends one request and checks that every partition named in it has answered: kafkajs leaves out messages for a partition
 * that its metadata does not know, and reports success.
 *
 * @throws TidemarkError `delivery_failed` when a partition was left out, and whatever `send` throws
 */
export async function sendRequest(
  send: (batch: ProducerBatch) => Promise<RecordMetadata[]>,
  topicMessages: TopicMessages[],
): Promise<RecordMetadata[]> {
  const answers = await send({ acks: -1, topicMessages })
  const answered = new Set(answers.map(({ topicName, partition }) => `${topicName}/${partition}`))
  for (const { topic, messages } of topicMessages) {
    for (const { partition } of messages) {
      if (partition === undefined || answered.has(`${topic}/${partition}`)) continue
      const message = `${topic} has no partition ${partition} that can be written to`
      throw new TidemarkError('delivery_failed', message, { retriable: true })
    }
  }
  return answers
}

function toMessage({ partition, key, value, headers }: OutputRecord): Message {
  const message: Message = { key: toBuffer(key), value: toBuffer(value) }
  if (partition !== null) message.partition = partition
  if (headers !== undefined) message.headers = toHeaders(headers)
  return message
}

/** kafkajs takes headers of one name together. */
function toHeaders(headers: readonly RecordHeader[]): IHeaders {
  const byName = new Map<string, Buffer[]>()
  for (const [name, value] of headers) {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value === null ? NOTHING : viewOf(value)
    const known = byName.get(name)
    if (known === undefined) byName.set(name, [bytes])
    else known.push(bytes)
  }
  return Object.fromEntries(byName)
}

const NOTHING = Buffer.alloc(0)

const viewOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const toBuffer = (bytes: OutputRecord['key']) => (bytes === null || typeof bytes === 'string' ? bytes : viewOf(bytes))

function sizeOf({ key, value, headers }: OutputRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, text] of headers ?? []) bytes += name.length + (text?.length ?? 0)
  return bytes
}
