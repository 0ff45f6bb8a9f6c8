import type { Cluster } from 'kafkajs'
import { TidemarkError } from '../errors.ts'
import type { RecordHeader } from '../tasks/recordBatch.ts'
import { deliveryError, protocolTypeOf } from './kafkaErrors.ts'
import { FetchedBatch, type FetchedPartition } from './wire/fetchedBatch.ts'

/** A record as a reader of a whole topic sees it. Timestamp: epoch milliseconds. */
export type ReadMessage = {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** In their order; a name may come more than once. */
  readonly headers: readonly RecordHeader[]
}

export type ReadAllOptions = {
  readonly topic: string
  /** Leaves out what an open or aborted transaction wrote; the end is then the last stable offset. */
  readonly readCommitted: boolean
  /** Called in offset order within a partition; awaited when it returns a promise. */
  onMessage(message: ReadMessage): void | Promise<void>
  /** First offsets by partition; the log's start where absent or before it. */
  readonly fromOffsets?: ReadonlyMap<number, number>
  /** Ends (exclusive) by partition; the present end where absent. Only the partitions named are read when given. */
  readonly toOffsets?: ReadonlyMap<number, number>
}

type Range = { position: number; readonly end: number }

const FETCH_WAIT_MS = 100
const PARTITION_FETCH_BYTES = 1024 * 1024
const FETCH_BYTES = 16 * 1024 * 1024
const READ_COMMITTED = 1
const FAILURES_IN_A_ROW = 20
/** Reads of a batch before it is taken for damaged in the log: it may have been so on its way. */
const CORRUPT_TRIES = 3
const RETRY_MS = 250

/**
 * Reads a topic without a consumer group, each partition up to the end that it had at the call.
 * @throws TidemarkError `corrupt_batch`, naming offsets, when a record batch cannot be read
 */
export async function readAll(cluster: Cluster, options: ReadAllOptions): Promise<void> {
  const { topic } = options
  await cluster.addTargetTopic(topic)
  let ranges: Map<number, Range> | null = null
  let failures = 0
  let corruptTries = 0
  for (;;) {
    try {
      // A topic that was just made has partitions without a leader for a moment.
      ranges ??= await openRanges(cluster, options)
      const opened = ranges
      const pending = [...opened].filter(([, { position, end }]) => position < end).map(([partition]) => partition)
      if (pending.length === 0) return
      const before = sumOfPositions(opened)
      const leaders = Object.entries(cluster.findLeaderForPartitions(topic, pending))
      const reads = leaders.map(([nodeId, partitions]) => readOnce(cluster, options, nodeId, partitions, opened))
      // All have to end before any is repeated: a handler may still be at work on another leader's records.
      const failed = (await Promise.allSettled(reads)).find(read => read.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      // The broker gives the first partition of a fetch at least one batch, and mixes their order.
      if (sumOfPositions(opened) === before) throw new Error(`nothing has come of partitions ${pending}`)
      failures = 0
      corruptTries = 0
    } catch (error) {
      if (error instanceof HandlerError) throw error.cause
      if (error instanceof TidemarkError && ++corruptTries >= CORRUPT_TRIES) throw error
      const lost = protocolTypeOf(error) === 'OFFSET_OUT_OF_RANGE'
      if (lost || ++failures >= FAILURES_IN_A_ROW) throw deliveryError(`read of ${topic}`, error)
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      await cluster.refreshMetadata()
    }
  }
}

function sumOfPositions(ranges: ReadonlyMap<number, Range>): number {
  return [...ranges.values()].reduce((sum, { position }) => sum + position, 0)
}

/** Keeps what the caller's own function threw apart from what Kafka did. */
class HandlerError extends Error {}

async function openRanges(cluster: Cluster, options: ReadAllOptions): Promise<Map<number, Range>> {
  const { topic, fromOffsets, toOffsets } = options
  const partitions = cluster
    .findTopicPartitionMetadata(topic)
    .map(({ partitionId: partition }) => ({ partition }))
    .filter(({ partition }) => toOffsets === undefined || toOffsets.has(partition))
  const offsets = async (fromBeginning: boolean) => {
    const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }])
    return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
  }
  const starts = await offsets(true)
  const ends = await offsets(false)
  const ranges = new Map<number, Range>()
  for (const { partition } of partitions) {
    const end = ends.get(partition) ?? 0
    ranges.set(partition, {
      position: Math.max(fromOffsets?.get(partition) ?? 0, starts.get(partition) ?? 0),
      end: Math.min(toOffsets?.get(partition) ?? end, end),
    })
  }
  return ranges
}

async function readOnce(
  cluster: Cluster,
  options: ReadAllOptions,
  nodeId: string,
  partitions: readonly number[],
  ranges: ReadonlyMap<number, Range>,
): Promise<void> {
  const broker = await cluster.findBroker({ nodeId })
  const wanted = partitions.map(partition => ({
    partition,
    fetchOffset: String(ranges.get(partition)?.position),
    maxBytes: PARTITION_FETCH_BYTES,
  }))
  const { responses } = (await broker.fetch({
    topics: [{ topic: options.topic, partitions: wanted }],
    isolationLevel: options.readCommitted ? READ_COMMITTED : 0,
    maxWaitTime: FETCH_WAIT_MS,
    minBytes: 1,
    maxBytes: FETCH_BYTES,
  })) as { responses: { partitions: FetchedPartition[] }[] }
  let damage: TidemarkError | null = null
  for (const data of responses.flatMap(response => response.partitions)) {
    const range = ranges.get(data.partition)
    if (range === undefined) continue
    const found = await deliver(options, data, range)
    damage ??= found
  }
  // Thrown last: what the fetch has brought of other partitions is told whatever their order in it.
  if (damage !== null) throw damage
}

/** @returns the record batch behind those that were told, if it cannot be read */
async function deliver(options: ReadAllOptions, data: FetchedPartition, range: Range): Promise<TidemarkError | null> {
  const { topic } = options
  const batch = new FetchedBatch(topic, String(range.position), data)
  const records = batch.records()
  while (records.next() && records.offset < range.end) {
    try {
      await options.onMessage({
        partition: data.partition,
        offset: records.offset,
        timestamp: records.timestamp,
        key: part(records.keyBytes, records.keyStart, records.keyEnd),
        value: part(records.valueBytes, records.valueStart, records.valueEnd),
        headers: records.headers(),
      })
    } catch (cause) {
      throw new HandlerError('the handler failed', { cause })
    }
  }
  range.position = batch.nextOffset
  if (batch.corrupt === null || range.position >= range.end) return null
  const { from, to, reason } = batch.corrupt
  const where = `${topic}/${data.partition}, offsets from ${from}${to === null ? '' : ` to ${to - 1}`}`
  return new TidemarkError('corrupt_batch', `a record batch of ${where} cannot be read: ${reason}`)
}

function part(bytes: Uint8Array, start: number, end: number): Buffer | null {
  return start < 0 ? null : (bytes as Buffer).subarray(start, end)
}

/** The value, as text, of the last header of that name; null when there is none, or it has none. */
export function lastHeader(headers: readonly RecordHeader[], name: string): string | null {
  const value = headers.findLast(([found]) => found === name)?.[1] ?? null
  return value === null ? null : Buffer.from(value).toString()
}
