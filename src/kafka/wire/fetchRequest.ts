import { Writer } from './writer.ts'

/** A fetch request, version 11, as kafkajs makes one of a consumer's. */
export type FetchRequest = {
  readonly replicaId: number
  /** Milliseconds, bytes. */
  readonly maxWaitTime: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isolationLevel?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly currentLeaderEpoch?: number
      readonly fetchOffset: string | number
      readonly logStartOffset?: number
      readonly maxBytes: number
    }[]
  }[]
  /** Of a session, which kafkajs never has. */
  readonly forgottenTopics?: readonly never[]
  readonly rackId?: string
}

const READ_COMMITTED = 1
const NO_EPOCH = -1
const NO_OFFSET = -1
/** For all but names and partitions. */
const LEAST_BYTES = 64
const PARTITION_BYTES = 4 + 4 + 8 + 8 + 4

/** @param headroom bytes to be left free in front */
export function encodeFetchRequest(request: FetchRequest, headroom: number): Buffer {
  const { topics, rackId = '' } = request
  const partitions = topics.reduce((sum, topic) => sum + topic.partitions.length, 0)
  const writer = new Writer(headroom + LEAST_BYTES + PARTITION_BYTES * partitions)
  writer.skip(headroom)
  writer.int32(request.replicaId)
  writer.int32(request.maxWaitTime)
  writer.int32(request.minBytes)
  writer.int32(request.maxBytes)
  writer.int8(request.isolationLevel ?? READ_COMMITTED)
  writer.int32(request.sessionId ?? 0)
  writer.int32(request.sessionEpoch ?? NO_EPOCH)
  writer.int32(topics.length)
  for (const { topic, partitions: wanted } of topics) {
    writer.shortText(topic)
    writer.int32(wanted.length)
    for (const one of wanted) {
      writer.int32(one.partition)
      writer.int32(one.currentLeaderEpoch ?? NO_EPOCH)
      writer.int64(BigInt(one.fetchOffset))
      writer.int64(BigInt(one.logStartOffset ?? NO_OFFSET))
      writer.int32(one.maxBytes)
    }
  }
  writer.int32(0)
  writer.shortText(rackId)
  return writer.view(headroom)
}
