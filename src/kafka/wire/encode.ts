import { crc32c } from '@node-rs/crc32'
import type { RecordHeader } from '../../tasks/recordBatch.ts'
import { ATTRIBUTES_AT, CRC_AT, LENGTH_AT, LOG_OVERHEAD, RECORDS_AT, TRANSACTIONAL } from './batchHeader.ts'
import { codecName, compress } from './codecs.ts'
import { PackedSlice } from './packedSlice.ts'
import { varintBytes, Writer } from './writer.ts'

/** A record to be written. */
export type WireMessage = {
  /** UTF-8 text or bytes. */
  readonly key?: string | Uint8Array | null
  readonly value: string | Uint8Array | null
  readonly headers?: readonly RecordHeader[]
  /** Epoch milliseconds; the moment of encoding when left out. */
  readonly timestamp?: number | string
}

/** The records of one batch, in their order. */
export type BatchRecords = readonly WireMessage[] | PackedSlice

/** What all batches of one produce request share; -1 stands for none, as on the wire. */
export type ProducerState = {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly transactional: boolean
  /** The number of a codec: see CODEC_IDS. */
  readonly compression: number
}

const MAGIC = 2
/** The reader's to fill in, and no leader epoch. */
const BASE_OFFSET = 0n
const NO_LEADER_EPOCH = -1

/**
 * Writes one record batch of version 2. Nothing is allocated for a record.
 * @param now what records without a timestamp get, epoch milliseconds
 */
export function writeRecordBatch(
  writer: Writer,
  records: BatchRecords,
  firstSequence: number,
  state: ProducerState,
  now: number,
): void {
  const codec = codecName(state.compression) ?? 'none'
  const start = writer.length
  const [baseTimestamp, maxTimestamp] = records instanceof PackedSlice ? [now, now] : timestampsOf(records, now)
  writer.int64(BASE_OFFSET)
  writer.int32(0)
  writer.int32(NO_LEADER_EPOCH)
  writer.int8(MAGIC)
  writer.int32(0)
  writer.int16(state.compression | (state.transactional ? TRANSACTIONAL : 0))
  writer.int32(records.length - 1)
  writer.int64(BigInt(baseTimestamp))
  writer.int64(BigInt(maxTimestamp))
  writer.int64(state.producerId)
  writer.int16(state.producerEpoch)
  writer.int32(firstSequence)
  writer.int32(records.length)
  if (records instanceof PackedSlice) writePacked(writer, records)
  else {
    for (let i = 0; i < records.length; i++) {
      const message = records[i] as WireMessage
      writeRecord(writer, message, i, timestampOf(message, now) - baseTimestamp)
    }
  }
  if (codec !== 'none') {
    const packed = compress(codec, writer.view(start + RECORDS_AT))
    writer.cut(start + RECORDS_AT)
    writer.part(packed, packed.length)
  }
  writer.int32At(start + LENGTH_AT, writer.length - start - LOG_OVERHEAD)
  writer.uint32At(start + CRC_AT, crc32c(writer.view(start + ATTRIBUTES_AT)))
}

/** Packed records have the layout of a batch's from their keys on, and no timestamps of their own. */
function writePacked(writer: Writer, { bytes, packed, indices, isRun }: PackedSlice): void {
  if (isRun) {
    const [first, last] = [indices[0] as number, indices.at(-1) as number]
    writer.range(bytes, packed.wholeStartOf(first), packed.endOf(last))
    return
  }
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number
    const start = packed.startOf(index)
    const end = packed.endOf(index)
    // Before the key come attributes, the timestamp's delta and the offset's: a byte of 0, another, and a varint.
    writer.varint(2 + varintBytes(i) + end - start)
    writer.int8(0)
    writer.int8(0)
    writer.varint(i)
    writer.range(bytes, start, end)
  }
}

function writeRecord(writer: Writer, message: WireMessage, index: number, timestampDelta: number): void {
  const { key = null, value, headers = [] } = message
  const keyLength = lengthOf(key)
  const valueLength = lengthOf(value)
  let bytes = 1 + varintBytes(timestampDelta) + varintBytes(index) + partBytes(keyLength) + partBytes(valueLength)
  bytes += varintBytes(headers.length)
  for (const [name, text] of headers) bytes += partBytes(lengthOf(name)) + partBytes(lengthOf(text))
  writer.varint(bytes)
  writer.int8(0)
  writer.varint(timestampDelta)
  writer.varint(index)
  writePart(writer, key, keyLength)
  writePart(writer, value, valueLength)
  writer.varint(headers.length)
  for (const [name, text] of headers) {
    writePart(writer, name, lengthOf(name))
    writePart(writer, text, lengthOf(text))
  }
}

function writePart(writer: Writer, part: string | Uint8Array | null, length: number): void {
  writer.varint(length)
  if (part !== null) writer.part(part, length)
}

/** In bytes; -1 for null. */
function lengthOf(part: string | Uint8Array | null): number {
  if (part === null) return -1
  return typeof part === 'string' ? Buffer.byteLength(part) : part.length
}

const partBytes = (length: number) => varintBytes(length) + Math.max(0, length)

const timestampOf = (message: WireMessage | undefined, now: number) =>
  message?.timestamp === undefined ? now : Number(message.timestamp)

/** The first timestamp and the greatest. */
function timestampsOf(messages: readonly WireMessage[], now: number): readonly [number, number] {
  const first = timestampOf(messages[0], now)
  return [first, messages.reduce((greatest, message) => Math.max(greatest, timestampOf(message, now)), first)]
}

/** A produce request as kafkajs asks for it. */
export type ProduceRequest = {
  readonly acks: number
  readonly timeout: number
  readonly transactionalId?: string | null
  /** A Long of kafkajs's. */
  readonly producerId?: { toString(): string }
  readonly producerEpoch?: number
  readonly compression?: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly firstSequence?: number
      readonly messages: BatchRecords
    }[]
  }[]
}

/**
 * Writes the body of a produce request, versions 3 to 7: transactional id, acks, timeout, topics with partitions, each with
 * the length of its record batch and the batch.
 * @returns a view of it, good until the writer's next write
 */
export function encodeProduceRequest(request: ProduceRequest, now: number, writer = new Writer()): Buffer {
  const { transactionalId = null, producerId, producerEpoch = -1, compression = 0 } = request
  const state: ProducerState = {
    producerId: BigInt(producerId?.toString() ?? -1),
    producerEpoch,
    transactional: transactionalId !== null,
    compression,
  }
  const start = writer.length
  writer.shortText(transactionalId)
  writer.int16(request.acks)
  writer.int32(request.timeout)
  writer.int32(request.topicData.length)
  for (const { topic, partitions } of request.topicData) {
    writer.shortText(topic)
    writer.int32(partitions.length)
    for (const { partition, firstSequence = -1, messages } of partitions) {
      writer.int32(partition)
      const lengthAt = writer.skip(4)
      writeRecordBatch(writer, messages, firstSequence, state, now)
      writer.int32At(lengthAt, writer.length - lengthAt - 4)
    }
  }
  return writer.view(start)
}

const MESSAGE_BYTES = 512
const BATCH_BYTES = 128
const PACKED_OVERHEAD_BYTES = 10

/** About what a produce request comes to before its batches are compressed. */
export function produceRequestBytes({ topicData }: Pick<ProduceRequest, 'topicData'>): number {
  let bytes = 0
  for (const { partitions } of topicData) {
    for (const { messages } of partitions) {
      bytes += BATCH_BYTES
      bytes +=
        messages instanceof PackedSlice
          ? messages.byteLength + PACKED_OVERHEAD_BYTES * messages.length
          : MESSAGE_BYTES * messages.length
    }
  }
  return bytes
}
