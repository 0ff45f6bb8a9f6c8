import type { ProducerBatch, RecordMetadata, TopicMessages } from 'kafkajs'
import { invariant } from '../errors.ts'
import { PackedRecords } from '../tasks/packedRecords.ts'
import type { Output, OutputRecord, OutputTopic } from '../tasks/task.ts'
import type { Message, PackedMessage } from './produce.ts'

/** The partials' topics are named by level. */
export type TopicNames = Readonly<Record<Exclude<OutputTopic, 'partials'>, string>> & {
  readonly partials: readonly string[]
}

/** The most that a record batch of a topic may come to; DEFAULT_BATCH_BYTES where it is not known. */
export type BatchLimits = Partial<Readonly<Record<OutputTopic, number>>>

/** A record as it is sent. */
export type RecordMessage = Message

export type TopicRecords = { readonly topic: string; readonly messages: readonly (Message | PackedMessage)[] }

/** One record batch is made of all that one request sends to a partition, and brokers take 1 MiB unless told otherwise. */
const DEFAULT_BATCH_BYTES = 768 * 1024
/** Brokers take 100 MiB; what is under way is also held in memory. */
const REQUEST_BYTES = 8 * 1024 * 1024
const RECORD_OVERHEAD_BYTES = 32
const BATCH_OVERHEAD_BYTES = 128

/** What a send that is being filled holds for one topic. */
type TopicFill = {
  readonly messages: (Message | PackedMessage)[]
  readonly limit: number
  /** By partition; records that leave it to their key may all have the same key, so together they must fit into one batch. */
  readonly batchBytes: Map<number | null, number>
}

/**
 * Splits records into sends that no broker finds too large, in their order; one large record goes alone. Packed records
 * stay together: they are cut where the partitions of their keys are known.
 */
export function toRequests(records: readonly Output[], names: TopicNames, limits: BatchLimits = {}): TopicRecords[][] {
  const requests: TopicRecords[][] = []
  let fills = new Map<string, TopicFill>()
  let bytes = 0
  const fillOf = (record: Output, size: number): TopicFill => {
    const topic = topicOf(record, names)
    const packed = record instanceof PackedRecords
    const partition = packed ? null : record.partition
    let fill = fills.get(topic) ?? emptyFill(limits[record.topic])
    const full = !packed && (fill.batchBytes.get(partition) ?? 0) + size > fill.limit
    if (full || bytes + size > REQUEST_BYTES) {
      if (fills.size > 0) requests.push(toRequest(fills))
      fills = new Map()
      fill = emptyFill(limits[record.topic])
      bytes = 0
    }
    fills.set(topic, fill)
    fill.batchBytes.set(partition, (fill.batchBytes.get(partition) ?? 0) + (packed ? 0 : size))
    bytes += size
    return fill
  }
  for (const record of records) {
    if (record instanceof PackedRecords) {
      const fill = fillOf(record, record.byteLength)
      fill.messages.push({ packed: record, maxBatchBytes: fill.limit, value: null })
    } else fillOf(record, sizeOf(record)).messages.push(record)
  }
  if (fills.size > 0) requests.push(toRequest(fills))
  return requests
}

function emptyFill(maxBatchBytes = DEFAULT_BATCH_BYTES): TopicFill {
  const limit = Math.min(DEFAULT_BATCH_BYTES, maxBatchBytes - BATCH_OVERHEAD_BYTES)
  return { messages: [], limit, batchBytes: new Map() }
}

function toRequest(fills: ReadonlyMap<string, TopicFill>): TopicRecords[] {
  return [...fills].map(([topic, { messages }]) => ({ topic, messages }))
}

/** The name of the topic that a record goes to. */
export function topicOf(record: Output, names: TopicNames): string {
  if (record.topic !== 'partials') return names[record.topic]
  const { level = 0 } = record
  const name = names.partials[level]
  invariant(name !== undefined, `there is no level ${level}`)
  return name
}

/**
 * Sends what one request holds; resolves once all of it is acknowledged, with the answers of its batches.
 *
 * @param compression the number of a codec: see CODEC_IDS
 * @throws whatever `send` throws: a partition that does not exist or cannot be reached is no success (produce.ts)
 */
export async function sendRequest(
  send: (batch: ProducerBatch) => Promise<RecordMetadata[]>,
  topicRecords: readonly TopicRecords[],
  compression = 0,
): Promise<RecordMetadata[]> {
  // kafkajs hands the messages on as they are: it is produce.ts and encode.ts that read them.
  return await send({ acks: -1, compression, topicMessages: topicRecords as unknown as TopicMessages[] })
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
