import { createRequire } from 'node:module'
import type { Broker, Cluster } from 'kafkajs'
import { kafkaWatch } from './watch.ts'
import { encodeProduceRequest, type ProduceRequest, type WireMessage } from './wire/encode.ts'
import { FetchedBatch, FetchedBytes } from './wire/fetchedBatch.ts'
import { murmur2 } from './wire/murmur2.ts'

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
  /** What a broker gives of its partitions; waits until it has something. */
  fetch(nodeId: string): Promise<readonly FetchedBatch[]>
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
    const since = performance.now()
    await group.assigners[0]?.[HOOKS]?.beforeJoin(group)
    await join.call(group)
    kafkaWatch()?.rebalanced((performance.now() - since) / 1_000)
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

type Decoder = {
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

/**
 * kafkajs makes about ten objects of a record, checks no CRC, dies of a batch that it cannot unpack, and unpacks whatever
 * size a batch says. The bytes go on as they are, to be read in place by FetchedBatch.
 */
async function keepBytes(decoder: Decoder): Promise<FetchedBytes> {
  const size = decoder.readInt32()
  return new FetchedBytes(size > 0 && decoder.canReadBytes(size) ? decoder.readBytes(size) : Buffer.alloc(0))
}

type FetchVersion = {
  readonly decode: unknown
  readonly parse: (response: FetchResponse) => Promise<unknown>
}
type FetchResponse = {
  readonly responses: readonly { readonly partitions: readonly { errorCode: number; messages: unknown }[] }[]
}

/**
 * What a broker answers that cannot read its own log, or not in a form that we know; the first when it did not expect it.
 * Which one a damaged batch gets is a matter of the bytes around it.
 */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [-1, 'UNKNOWN_SERVER_ERROR'],
  [2, 'CORRUPT_MESSAGE'],
  [43, 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
  [76, 'UNSUPPORTED_COMPRESSION_TYPE'],
  [87, 'INVALID_RECORD'],
])

/**
 * One partition that the broker cannot read makes kafkajs fail the fetch of all, and then the consumer. It becomes a fetch
 * that brought nothing but the reason.
 */
export function isolateRefusals<R>(
  parse: (response: FetchResponse) => Promise<R>,
): (response: FetchResponse) => Promise<R> {
  return response => {
    for (const partition of response.responses.flatMap(({ partitions }) => partitions)) {
      const answer = REFUSALS.get(partition.errorCode)
      if (answer === undefined) continue
      partition.errorCode = 0
      partition.messages = new FetchedBytes(Buffer.alloc(0), `the broker cannot read it: ${answer}`)
    }
    return parse(response)
  }
}

/** The names that kafkajs's transactions know, by those that its protocol gives. */
const COORDINATOR_ERRORS: Readonly<Record<string, string>> = {
  GROUP_LOAD_IN_PROGRESS: 'COORDINATOR_LOAD_IN_PROGRESS',
  GROUP_COORDINATOR_NOT_AVAILABLE: 'COORDINATOR_NOT_AVAILABLE',
  NOT_COORDINATOR_FOR_GROUP: 'NOT_COORDINATOR',
}

/**
 * A transaction's offsets are refused by a coordinator that is starting or has moved. kafkajs means to find it anew and
 * repeat them, but looks for error names that it never gives itself, and so fails the transaction.
 */
export function nameCoordinatorErrors<A extends unknown[], R>(
  call: (this: unknown, ...args: A) => Promise<R>,
): (this: unknown, ...args: A) => Promise<R> {
  return async function (...args) {
    try {
      return await call.apply(this, args)
    } catch (error) {
      const known = COORDINATOR_ERRORS[(error as { type?: string }).type ?? '']
      if (known !== undefined) (error as { type: string }).type = known
      throw error
    }
  }
}

type Metadata = { readonly partitionId: number; readonly leader: number }
type Grouping = {
  readonly topic: string
  readonly partitionMetadata: readonly Metadata[]
  readonly messages: readonly (WireMessage & { readonly partition?: number | null })[]
  readonly partitioner: (choice: {
    topic: string
    partitionMetadata: readonly Metadata[]
    message: WireMessage
  }) => number
}

/**
 * kafkajs copies a partition's list for each message that it adds, and leaves out messages for a partition that has no
 * leader at the moment, reporting success. The error makes it ask for metadata again and repeat the send.
 */
export function groupMessagesPerPartition(grouping: Grouping): Record<number, WireMessage[]> {
  const { topic, partitionMetadata, messages, partitioner } = grouping
  const partitions = partitionMetadata.length
  const groups: Record<number, WireMessage[]> = {}
  if (partitions === 0) return groups
  for (const message of messages) {
    const partition =
      message.partition ??
      (message.key == null ? partitioner({ topic, partitionMetadata, message }) : murmur2(message.key) % partitions)
    const group = groups[partition]
    if (group === undefined) groups[partition] = [message]
    else group.push(message)
  }
  for (const { partitionId, leader } of partitionMetadata) {
    if (leader < 0 && groups[partitionId] !== undefined) {
      const error = new Error(`${topic} has no leader for partition ${partitionId}`)
      error.name = 'KafkaJSMetadataNotLoaded'
      throw error
    }
  }
  return groups
}

type WireEncoder = { writeBuffer(bytes: Buffer): WireEncoder }

/** kafkajs makes an encoder with a buffer of its own for every part of every record, and knows no header without a value. */
function createProduceRequest(): (request: ProduceRequest) => unknown {
  const Encoder = load('kafkajs/src/protocol/encoder.js') as new (size?: number) => WireEncoder
  const { Produce: apiKey } = load('kafkajs/src/protocol/requests/apiKeys.js') as { Produce: number }
  return request => ({
    apiKey,
    apiVersion: 3,
    apiName: 'Produce',
    expectResponse: () => request.acks !== 0,
    encode: async () => {
      const body = encodeProduceRequest(request, Date.now())
      return new Encoder(body.length).writeBuffer(body)
    },
  })
}

const MENDED = Symbol.for('tidemark.kafkajs.mended')

function mend(): typeof import('kafkajs') {
  const queueClass = load('kafkajs/src/network/requestQueue/index.js') as { prototype: Record<PropertyKey, unknown> }
  if (!(MENDED in queueClass.prototype)) {
    queueClass.prototype[MENDED] = true
    queueClass.prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests
    replaceModule('kafkajs/src/consumer/batch.js', () => FetchedBatch)
    replaceModule('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js', () => keepBytes)
    // All versions of the response share the parser of the first.
    replaceModule('kafkajs/src/protocol/requests/fetch/v0/response.js', ({ decode, parse }: FetchVersion) => {
      return { decode, parse: isolateRefusals(parse) }
    })
    replaceModule('kafkajs/src/producer/groupMessagesPerPartition.js', () => groupMessagesPerPartition)
    replaceModule('kafkajs/src/protocol/requests/produce/v3/request.js', createProduceRequest)
    const groupClass = load('kafkajs/src/consumer/consumerGroup.js') as { prototype: GroupPrototype }
    hookConsumerGroup(groupClass.prototype)
    const broker = (load('kafkajs/src/broker/index.js') as { prototype: Record<string, never> }).prototype
    Object.assign(broker, {
      addOffsetsToTxn: retryConcurrent(broker.addOffsetsToTxn as never),
      addPartitionsToTxn: retryConcurrent(broker.addPartitionsToTxn as never),
      txnOffsetCommit: nameCoordinatorErrors(broker.txnOffsetCommit as never),
    })
  }
  return load('kafkajs') as typeof import('kafkajs')
}

export const kafkajs: typeof import('kafkajs') = mend()

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
