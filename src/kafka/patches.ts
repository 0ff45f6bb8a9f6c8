import { createRequire } from 'node:module'
import type { Broker, Cluster } from 'kafkajs'

/**
 * kafkajs 2.2.4 with its mends. It has been frozen since 2023, so each mend is pinned to that version and says what
 * goes wrong without it. Everything in src/kafka takes kafkajs from here, so that none of it runs unmended; the modules
 * are replaced in the require cache before kafkajs's own index loads them.
 */

const load = createRequire(import.meta.url)

/** What a consumer group tells its membership; found at `HOOKS` on the group's first partition assigner. */
export type GroupHooks = {
  /** Awaited before every join: the last moment at which the old generation may still commit. */
  beforeJoin(group: ConsumerGroup): Promise<void>
  /** The broker holds no such offset. kafkajs would commit a default offset, and events would silently be skipped. */
  offsetOutOfRange(topic: string, partition: number): void
}

export const HOOKS = Symbol('tidemark.groupHooks')

/** The parts of kafkajs's private ConsumerGroup that a membership works with. */
export type ConsumerGroup = {
  readonly generationId: number
  readonly memberId: string | null
  readonly offsetManager: { getCoordinator(): Promise<Coordinator> }
  readonly seekOffset: { clear(): void; has(topic: string, partition: number): boolean }
  readonly subscriptionState: { subscriptionStatesByTopic: Record<string, unknown> }
  readonly assigners: readonly { [HOOKS]?: GroupHooks }[]
  seek(target: { topic: string; partition: number; offset: string }): void
  pause(targets: { topic: string; partitions: number[] }[]): void
  resume(targets: { topic: string; partitions: number[] }[]): void
}

export type Coordinator = Omit<Broker, 'offsetCommit' | 'offsetFetch'> & {
  heartbeat(request: { groupId: string; memberId: string; groupGenerationId: number }): Promise<unknown>
  offsetCommit(request: {
    groupId: string
    memberId: string
    groupGenerationId: number
    topics: { topic: string; partitions: { partition: number; offset: string; metadata: string | null }[] }[]
  }): Promise<unknown>
  offsetFetch(request: { groupId: string; topics: { topic: string; partitions: { partition: number }[] }[] }): Promise<{
    responses: { topic: string; partitions: { partition: number; offset: string; metadata: string | null }[] }[]
  }>
}

/** A record as kafkajs decodes it. */
export type RawMessage = {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | Buffer[] | string | undefined>>
  readonly isControlRecord?: boolean
  readonly batchContext?: { readonly producerId: string; readonly inTransaction: boolean }
}

type AbortedTransaction = { readonly producerId: string; readonly firstOffset: string }

/** Replaces a module of kafkajs before anyone else has loaded it. */
function replaceModule(path: string, make: (original: never) => unknown): void {
  const original = load(path)
  const loaded = load.cache[load.resolve(path)]
  if (loaded !== undefined) loaded.exports = make(original as never)
}

type RequestQueue = {
  throttleCheckTimeoutId: NodeJS.Timeout | null
  readonly pending: unknown[]
  readonly throttledUntil: number
  checkPendingRequests(): void
}

const PENDING_CHECK_INTERVAL_MS = 10

/**
 * After its first request a queue starts a timer with the time until a throttle ends, which is about -1.7e12 when there
 * is none. Node runs that after 1 ms, again and again, for every connection (and Node 24 warns each time). A timer is
 * needed only while something is pending.
 */
export function scheduleCheckPendingRequests(this: RequestQueue): void {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return
  const throttleMs = this.throttledUntil - Date.now()
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    },
    throttleMs > 0 ? throttleMs : PENDING_CHECK_INTERVAL_MS,
  )
}

type GroupPrototype = {
  joinAndSync(this: ConsumerGroup): Promise<void>
  recoverFromOffsetOutOfRange(
    this: ConsumerGroup,
    error: Error & { topic: string; partition: number },
  ): Promise<unknown>
}

/**
 * kafkajs has no revoke callback, and it answers an offset out of range by committing the start of the log. Both become
 * hooks. Two fetchers that find stale metadata also join at the same time, and the broker answers only one of two joins
 * of one member: the second waits for the first.
 */
function hookConsumerGroup(prototype: GroupPrototype): void {
  const join = prototype.joinAndSync
  const recover = prototype.recoverFromOffsetOutOfRange
  const joining = new WeakMap<ConsumerGroup, Promise<void>>()
  const joinOnce = async (group: ConsumerGroup) => {
    await group.assigners[0]?.[HOOKS]?.beforeJoin(group)
    await join.call(group)
  }
  prototype.joinAndSync = function () {
    const under = joining.get(this)
    if (under !== undefined) return under
    const started = joinOnce(this).finally(() => joining.delete(this))
    joining.set(this, started)
    return started
  }
  prototype.recoverFromOffsetOutOfRange = async function (error) {
    const hooks = this.assigners[0]?.[HOOKS]
    if (hooks === undefined) return await recover.call(this, error)
    return hooks.offsetOutOfRange(error.topic, error.partition)
  }
}

const CONCURRENT_RETRY_MS = 20
const CONCURRENT_LIMIT_MS = 10_000

/**
 * A transaction that follows another at once is refused with CONCURRENT_TRANSACTIONS until the coordinator has written
 * the markers of the one before. kafkajs fails at once in addOffsetsToTxn, and in addPartitionsToTxn waits with a
 * doubling delay after a metadata refresh; a short wait costs less.
 */
export function retryConcurrent<A extends unknown[], R>(
  call: (this: unknown, ...args: A) => Promise<R>,
  limitMs = CONCURRENT_LIMIT_MS,
): (this: unknown, ...args: A) => Promise<R> {
  return async function (...args) {
    const giveUpAt = performance.now() + limitMs
    for (;;) {
      try {
        return await call.apply(this, args)
      } catch (error) {
        const concurrent = (error as { type?: string }).type === 'CONCURRENT_TRANSACTIONS'
        if (!concurrent || performance.now() > giveUpAt) throw error
        await new Promise(resolve => setTimeout(resolve, CONCURRENT_RETRY_MS))
      }
    }
  }
}

type DecodedBatch = {
  readonly firstOffset: string
  readonly lastOffsetDelta: number
  readonly maxTimestamp: string
  readonly records: RawMessage[]
}
type Decoder = {
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

const MAGIC_OFFSET = 16
const RECORD_BATCH_OVERHEAD = 49

/** Stands for the offsets at a record batch's end that compaction emptied, as a control record does for a marker. */
function hole(offset: string, batch: DecodedBatch): RawMessage {
  return {
    offset,
    timestamp: batch.maxTimestamp,
    key: null,
    value: null,
    headers: {},
    isControlRecord: true,
    batchContext: { producerId: '-1', inTransaction: false },
  }
}

/**
 * kafkajs decodes with `records.push(...batch)`, which overflows the stack from about 120,000 records in one batch, and
 * forgets how far a compacted batch reached: then a consumer advances by one offset a fetch, or, at a batch that
 * compaction emptied, never.
 */
function createDecodeMessages(): (decoder: Decoder) => Promise<RawMessage[]> {
  const base = 'kafkajs/src/protocol'
  const DecoderClass = load(`${base}/decoder.js`) as new (bytes: Buffer) => Decoder
  const decodeBatch = load(`${base}/recordBatch/v0/decoder.js`) as (decoder: Decoder) => Promise<DecodedBatch>
  const decodeMessageSet = load(`${base}/messageSet/decoder.js`) as (decoder: Decoder, size: number) => RawMessage[]
  const { MAGIC_BYTE } = load(`${base}/recordBatch/v0/index.js`) as { MAGIC_BYTE: number }
  return async decoder => {
    const size = decoder.readInt32()
    if (size <= 0 || !decoder.canReadBytes(size)) return []
    const bytes = decoder.readBytes(size)
    const messages = new DecoderClass(bytes)
    if (bytes.readInt8(MAGIC_OFFSET) !== MAGIC_BYTE) return decodeMessageSet(messages, size)
    const records: RawMessage[] = []
    while (messages.canReadBytes(RECORD_BATCH_OVERHEAD)) {
      try {
        appendBatch(records, await decodeBatch(messages))
      } catch (error) {
        // A fetch ends wherever its byte limit falls, in the middle of a batch too.
        if ((error as Error).name === 'KafkaJSPartialMessageError') break
        throw error
      }
    }
    return records
  }
}

function appendBatch(records: RawMessage[], batch: DecodedBatch): void {
  for (const record of batch.records) records.push(record)
  const lastOffset = String(BigInt(batch.firstOffset) + BigInt(batch.lastOffsetDelta))
  if (batch.records.at(-1)?.offset !== lastOffset) records.push(hole(lastOffset, batch))
}

/**
 * kafkajs takes up one aborted transaction for each record, so a fetch that begins inside two of them shows records of
 * the second; and it takes a data record whose key is four zero bytes for an abort marker.
 */
export function filterAborted(input: {
  messages: readonly RawMessage[]
  abortedTransactions?: readonly AbortedTransaction[] | null
}): readonly RawMessage[] {
  const waiting = [...(input.abortedTransactions ?? [])]
  if (waiting.length === 0) return input.messages
  waiting.sort((a, b) => Number(a.firstOffset) - Number(b.firstOffset))
  const aborting = new Set<string>()
  let taken = 0
  return input.messages.filter(message => {
    const offset = Number(message.offset)
    for (; taken < waiting.length && Number(waiting[taken]?.firstOffset) <= offset; taken++) {
      aborting.add(waiting[taken]?.producerId ?? '')
    }
    const producerId = message.batchContext?.producerId ?? ''
    if (message.isControlRecord) {
      const isAbort = message.key !== null && message.key.length >= 4 && message.key.readInt16BE(2) === 0
      if (isAbort) aborting.delete(producerId)
      return true
    }
    return !(message.batchContext?.inTransaction && aborting.has(producerId))
  })
}

const MENDED = Symbol.for('tidemark.kafkajs.mended')

function mend(): typeof import('kafkajs') {
  const queueClass = load('kafkajs/src/network/requestQueue/index.js') as { prototype: Record<PropertyKey, unknown> }
  if (!(MENDED in queueClass.prototype)) {
    queueClass.prototype[MENDED] = true
    queueClass.prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests
    replaceModule('kafkajs/src/consumer/filterAbortedMessages.js', () => filterAborted)
    replaceModule('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js', createDecodeMessages)
    const groupClass = load('kafkajs/src/consumer/consumerGroup.js') as { prototype: GroupPrototype }
    hookConsumerGroup(groupClass.prototype)
    const broker = (load('kafkajs/src/broker/index.js') as { prototype: Record<string, never> }).prototype
    Object.assign(broker, {
      addOffsetsToTxn: retryConcurrent(broker.addOffsetsToTxn as never),
      addPartitionsToTxn: retryConcurrent(broker.addPartitionsToTxn as never),
    })
  }
  return load('kafkajs') as typeof import('kafkajs')
}

export const kafkajs: typeof import('kafkajs') = mend()

/** A fetched batch as kafkajs hands it to a consumer, with what its types leave out. */
export type KafkaBatch = {
  readonly partition: number
  readonly fetchedOffset: string
  readonly highWatermark: string
  readonly messages: readonly RawMessage[]
  readonly rawMessages: readonly RawMessage[]
  lastOffset(): string
}

/** kafkajs's Batch: drops control and aborted records, and those below the offset asked for. */
export const BatchClass = load('kafkajs/src/consumer/batch.js') as new (
  topic: string,
  fetchedOffset: string,
  partitionData: unknown,
) => KafkaBatch

/** The connection pool of one client, which kafkajs hands out publicly only to partition assigners. */
export function openCluster(kafka: import('kafkajs').Kafka, readCommitted: boolean): Cluster {
  const found: Cluster[] = []
  kafka.consumer({
    groupId: 'unused',
    readUncommitted: !readCommitted,
    allowAutoTopicCreation: false,
    partitionAssigners: [
      ({ cluster }) => {
        found.push(cluster)
        return kafkajs.PartitionAssigners.roundRobin({ cluster, groupId: 'unused', logger: kafka.logger() })
      },
    ],
  })
  const [cluster] = found
  if (cluster === undefined) throw new Error('kafkajs did not create its partition assigner at once')
  return cluster
}
