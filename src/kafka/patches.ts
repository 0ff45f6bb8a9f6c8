import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Broker, Cluster } from 'kafkajs'
import { invariant } from '../errors.ts'
import { mendConnectionPool, mendFetch } from './fetchPatches.ts'
import { mendProducer } from './producerPatches.ts'
import { readerOf } from './sockets.ts'
import { kafkaWatch } from './watch.ts'
import { bodies } from './wire/bodies.ts'
import { FetchedBatch } from './wire/fetchedBatch.ts'
import { FETCH_KEY } from './wire/recordSets.ts'
import { noResponse } from './wire/responseReader.ts'

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
  /** Who fetches for the group and hands on what comes. `heartbeat` asks the coordinator when it is time to. */
  fetchManager(group: ConsumerGroup, heartbeat: () => Promise<void>): FetchManager
}

/** What kafkajs's runner starts after each join, and again after a failure that it knows how to wait out. */
export type FetchManager = {
  start(): Promise<void>
  stop(): Promise<void>
}

export const HOOKS = Symbol('tidemark.groupHooks')

/** The parts of kafkajs's private ConsumerGroup that a membership works with. */
export type ConsumerGroup = {
  readonly generationId: number
  readonly memberId: string | null
  readonly offsetManager: { getCoordinator(): Promise<Coordinator> }
  readonly assigners: readonly { [HOOKS]?: GroupHooks }[]
  readonly cluster: Cluster & { refreshMetadataIfNecessary(): Promise<void> }
  /** Milliseconds, bytes: as the consumer was created. */
  readonly maxWaitTime: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
  readonly isolationLevel: number
  getNodeIds(): readonly (number | string)[]
  /** Throws when the topics have partitions that they had not at the join. */
  checkForStaleAssignment(): void
  /** Does what a failed fetch needs: new metadata, a join, a hook. Throws what needs more than that. */
  recoverFromFetch(error: unknown): Promise<void>
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
  const name = load.resolve(path)
  invariant(!(name in load.cache), `${path} is replaced before another module of kafkajs has loaded it`)
  const original = load(path)
  const loaded = load.cache[name]
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

type SocketEvents = {
  readonly onConnect: () => void
  readonly onData: (chunk: Buffer) => void
  readonly onEnd: () => void
  readonly onError: (error: Error) => void
}
type OpenSocket = (options: SocketEvents) => Pick<Socket, 'writableEnded'>

/**
 * kafkajs ends a connection by closing its own half and may then connect anew, while the broker still answers on the old
 * one: nobody waits for that any more, and it would be taken for the beginning of the new connection's first response. Nor
 * is the old one's end, or its failure, that of the new one.
 */
export function dropLateEvents(open: OpenSocket): OpenSocket {
  return options => {
    let wasOpen = false
    // Who waits for a connection has to hear that it failed, also if it was ended meanwhile.
    const isOver = () => wasOpen && socket.writableEnded
    const socket = open({
      ...options,
      onConnect() {
        // One that was ended while it was not there yet would be taken for connected for ever: of its end nothing is heard.
        if (!socket.writableEnded) options.onConnect()
        wasOpen = true
      },
      onData(chunk) {
        if (!isOver()) options.onData(chunk)
      },
      onEnd() {
        if (!isOver()) options.onEnd()
      },
      onError(error) {
        if (!isOver()) options.onError(error)
      },
    })
    return socket
  }
}

type Connection = {
  readonly socket: { destroy(error: Error): void }
  readonly authHandlers: { onSuccess(raw: Buffer): void } | null
  readonly authExpectResponse: boolean
  readonly requestQueue: {
    readonly inflight: ReadonlyMap<number, { readonly entry: { readonly apiKey: number } }>
    fulfillRequest(response: { size: number; correlationId: number; payload: Buffer }): void
  }
}

/** Every response begins with it, but for the raw ones of a sign-in, which may be empty. */
const CORRELATION_ID_BYTES = 4

/**
 * kafkajs keeps all chunks of a response until it is whole, so that a connection needs a new buffer for each; and what
 * it has of a response when a connection ends, it puts in front of the first one of the next.
 * @param chunk is free for other use afterwards, unless it was read into its reader's room
 */
export function processData(this: Connection, chunk: Buffer): void {
  const { socket, authHandlers, requestQueue } = this
  if (authHandlers !== null && !this.authExpectResponse) {
    authHandlers.onSuccess(Buffer.from(chunk))
    return
  }
  try {
    readerOf(socket).take(chunk, response => {
      if (this.authHandlers !== null) return this.authHandlers.onSuccess(withLength(bodies.keep(response)))
      if (response.length < CORRELATION_ID_BYTES) throw noResponse(response.length)
      const correlationId = response.readInt32BE(0)
      // Of what is no fetch, or comes too late, nobody would give a place back.
      const isFetch = requestQueue.inflight.get(correlationId)?.entry.apiKey === FETCH_KEY
      const payload = (isFetch ? response : bodies.keep(response)).subarray(CORRELATION_ID_BYTES)
      requestQueue.fulfillRequest({ size: response.length, correlationId, payload })
    })
  } catch (error) {
    socket.destroy(error as Error)
  }
}

function withLength(response: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(response.length)
  return Buffer.concat([length, response])
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

type RunnerClass = new (options: {
  readonly consumerGroup: ConsumerGroup
}) => { fetchManager: FetchManager; heartbeat(): Promise<void> }

/**
 * kafkajs asks for more only when all that came is processed, so that broker and reader wait for each other in turn.
 */
function fetchByHook(Runner: RunnerClass): RunnerClass {
  return class extends Runner {
    constructor(options: { readonly consumerGroup: ConsumerGroup }) {
      super(options)
      const hooks = options.consumerGroup.assigners[0]?.[HOOKS]
      if (hooks !== undefined) this.fetchManager = hooks.fetchManager(options.consumerGroup, () => this.heartbeat())
    }
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

const MENDED = Symbol.for('tidemark.kafkajs.mended')

function mend(): typeof import('kafkajs') {
  const queueClass = load('kafkajs/src/network/requestQueue/index.js') as { prototype: Record<PropertyKey, unknown> }
  if (!(MENDED in queueClass.prototype)) {
    queueClass.prototype[MENDED] = true
    queueClass.prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests
    // Before a connection is loaded, which loads what makes its requests.
    mendProducer(replaceModule)
    replaceModule('kafkajs/src/consumer/batch.js', () => FetchedBatch)
    mendFetch(replaceModule)
    replaceModule('kafkajs/src/consumer/runner.js', fetchByHook)
    replaceModule('kafkajs/src/network/socket.js', dropLateEvents)
    mendConnectionPool(replaceModule)
    const connection = load('kafkajs/src/network/connection.js') as { prototype: { processData: unknown } }
    connection.prototype.processData = processData
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
