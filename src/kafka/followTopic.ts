import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Cluster, Kafka } from 'kafkajs'
import { TidemarkError } from '../errors.ts'
import type { CorruptBatch } from '../runtime/ports.ts'
import { deliveryError, protocolTypeOf } from './kafkaErrors.ts'
import { openCluster } from './patches.ts'
import type { ReadMessage } from './readAll.ts'
import { FetchedBatch, type FetchedPartition } from './wire/fetchedBatch.ts'
import { withinTime } from './withinTime.ts'

export type FollowOptions = {
  readonly kafka: Kafka
  readonly topic: string
  /** What a fetch brought of one partition, in offset order: committed records alone. The bytes are only lent. */
  onRecords(records: readonly ReadMessage[]): void
  /** The brokers have answered. */
  onLooked(): void
  /** Partitions were found, at the start or because the topic has grown. */
  onPartitions(partitions: readonly number[]): void
  /** Asking failed; it is asked again, however long that takes. */
  onTrouble(error: TidemarkError): void
  /** The partition waits at a record batch that cannot be read, trying on; told at each try. */
  onCorrupt(partition: number, corrupt: CorruptBatch): void
  /** The log no longer holds what was read: it has to be read anew, by a new follower. */
  onFatal(error: TidemarkError): void
}

/** Where a partition is read. */
export type FollowedPartition = {
  readonly partition: number
  /** The next offset to be read. */
  readonly position: number
  /** Offsets between the position and the last stable offset as last seen. */
  readonly lag: number
  /** Whether the end is reached that the log had when its partition was found. */
  readonly caughtUp: boolean
}

export type TopicFollower = {
  partitions(): readonly FollowedPartition[]
  /** Asks no more; resolves when nothing more is told. */
  stop(): Promise<void>
}

type Followed = {
  position: number
  /** The last stable offset when the partition was found: all that had to be read at first. */
  readonly firstEnd: number
  end: number
  corruptTries: number
  /** Not asked for before; `performance.now()`. */
  waitUntilMs: number
}

const FETCH_WAIT_MS = 500
const PARTITION_FETCH_BYTES = 1024 * 1024
/** What one fetch brings is taken in at one go for each partition: small, so that requests are answered in between. */
const FETCH_BYTES = 4 * 1024 * 1024
const READ_COMMITTED = 1
/** New partitions are noticed, and leaders looked up again, within this time. */
const METADATA_AGE_MS = 5_000
const RETRY_MS = [100, 250, 500, 1_000, 2_000]
/** Reads of a batch before it is taken for damaged in the log: it may have been so on its way. */
const CORRUPT_TRIES = 3
const CORRUPT_RETRY_MS = 250
const CORRUPT_WAIT_MS = 10_000
/** A leader that has just begun may for a moment know less of its log than the one before. */
const OUT_OF_RANGE_TRIES = 12
const STALL_RETRY_MS = 20
const STOP_LIMIT_MS = 2_000

/**
 * Reads a topic from its beginning and goes on with what comes, all partitions, without a consumer group: nothing is
 * joined and nothing committed. Survives brokers that are away or that hand over, and partitions that are added.
 */
export function followTopic(options: FollowOptions): TopicFollower {
  const follower = new Follower(options)
  const running = follower.run()
  return {
    partitions: () => follower.partitions(),
    stop: () => follower.stop(running),
  }
}

class Follower {
  readonly #options: FollowOptions
  readonly #cluster: Cluster
  readonly #followed = new Map<number, Followed>()
  #metadataAtMs = Number.NEGATIVE_INFINITY
  #connected = false
  #failures = 0
  #outOfRange = 0
  #stopped = false

  constructor(options: FollowOptions) {
    this.#options = options
    this.#cluster = openCluster(options.kafka, true)
  }

  partitions(): FollowedPartition[] {
    return [...this.#followed].map(([partition, { position, firstEnd, end }]) => {
      return { partition, position, lag: Math.max(0, end - position), caughtUp: position >= firstEnd }
    })
  }

  async stop(running: Promise<void>): Promise<void> {
    this.#stopped = true
    // A request that is under way ends with its connection.
    await withinTime(this.#cluster.disconnect(), STOP_LIMIT_MS)
    await withinTime(running, STOP_LIMIT_MS)
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#lookAround()
        if (await this.#readRound()) this.#failures = 0
      } catch (error) {
        if (this.#stopped) return
        if (error instanceof HandlerError) return this.#end('crashed', 'a record could not be taken in', error.cause)
        await this.#recover(error)
      }
    }
  }

  async #lookAround(): Promise<void> {
    const { topic } = this.#options
    if (!this.#connected) {
      await this.#cluster.connect()
      await this.#cluster.addTargetTopic(topic)
      this.#connected = true
    }
    if (performance.now() - this.#metadataAtMs < METADATA_AGE_MS) return
    await this.#cluster.refreshMetadata()
    const partitions = this.#cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
    const fresh = partitions.filter(partition => !this.#followed.has(partition))
    if (fresh.length > 0) {
      const [starts, ends] = [await this.#offsets(fresh, true), await this.#offsets(fresh, false)]
      for (const partition of fresh) {
        const [position, end] = [starts.get(partition) ?? 0, ends.get(partition) ?? 0]
        this.#followed.set(partition, { position, firstEnd: end, end, corruptTries: 0, waitUntilMs: 0 })
      }
      this.#options.onPartitions([...this.#followed.keys()].sort((a, b) => a - b))
    }
    this.#metadataAtMs = performance.now()
    this.#options.onLooked()
  }

  async #offsets(partitions: readonly number[], fromBeginning: boolean): Promise<Map<number, number>> {
    const wanted = partitions.map(partition => ({ partition }))
    const topics = [{ topic: this.#options.topic, partitions: wanted, fromBeginning }]
    const [found] = await this.#cluster.fetchTopicsOffset(topics)
    return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
  }

  /** Asks every leader once; false when there was nobody to ask. */
  async #readRound(): Promise<boolean> {
    const now = performance.now()
    const wanted = [...this.#followed]
      .filter(([, { waitUntilMs }]) => waitUntilMs <= now)
      .map(([partition]) => partition)
    if (wanted.length === 0) {
      await sleep(CORRUPT_RETRY_MS)
      return false
    }
    const leaders = Object.entries(this.#cluster.findLeaderForPartitions(this.#options.topic, wanted))
    const reads = leaders.map(([nodeId, partitions]) => this.#readFrom(nodeId, partitions))
    // All have to end before any is repeated: records of another leader may still be on their way in.
    const failed = (await Promise.allSettled(reads)).find(read => read.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    this.#outOfRange = 0
    this.#options.onLooked()
    return true
  }

  async #readFrom(nodeId: string, partitions: readonly number[]): Promise<void> {
    const broker = await this.#cluster.findBroker({ nodeId })
    const wanted = partitions.map(partition => ({
      partition,
      fetchOffset: String(this.#followed.get(partition)?.position),
      maxBytes: PARTITION_FETCH_BYTES,
    }))
    const { responses } = (await broker.fetch({
      topics: [{ topic: this.#options.topic, partitions: wanted }],
      isolationLevel: READ_COMMITTED,
      maxWaitTime: FETCH_WAIT_MS,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
    })) as { responses: { partitions: FetchedPartition[] }[] }
    let stalled = false
    for (const data of responses.flatMap(response => response.partitions)) {
      const followed = this.#followed.get(data.partition)
      if (followed === undefined || this.#stopped) continue
      stalled = this.#take(data, followed) || stalled
      await turn()
    }
    if (stalled) await sleep(STALL_RETRY_MS)
  }

  /** Tells what a fetch brought of one partition; true when it brought nothing though the log goes on. */
  #take(data: FetchedPartition, followed: Followed): boolean {
    const { topic, onRecords } = this.#options
    const { partition } = data
    const batch = new FetchedBatch(topic, String(followed.position), data)
    const { nextOffset, corrupt, isStalled } = batch
    const records = batch.records()
    const messages: ReadMessage[] = []
    while (records.next()) {
      messages.push({
        partition,
        offset: records.offset,
        timestamp: records.timestamp,
        key: part(records.keyBytes, records.keyStart, records.keyEnd),
        value: part(records.valueBytes, records.valueStart, records.valueEnd),
        headers: records.headers(),
      })
    }
    try {
      onRecords(messages)
    } catch (cause) {
      throw new HandlerError('the handler failed', { cause })
    }
    if (nextOffset > followed.position) followed.corruptTries = 0
    followed.position = nextOffset
    followed.end = endOf(data, followed.end)
    if (corrupt !== null) this.#waitAt(partition, followed, corrupt)
    return isStalled
  }

  /** Skipping it would leave older results in place of those that it holds, and nobody would know. */
  #waitAt(partition: number, followed: Followed, corrupt: CorruptBatch): void {
    const isDamaged = ++followed.corruptTries >= CORRUPT_TRIES
    followed.waitUntilMs = performance.now() + (isDamaged ? CORRUPT_WAIT_MS : CORRUPT_RETRY_MS)
    if (isDamaged) this.#options.onCorrupt(partition, corrupt)
  }

  async #recover(error: unknown): Promise<void> {
    const { topic, onTrouble } = this.#options
    if (protocolTypeOf(error) === 'OFFSET_OUT_OF_RANGE') {
      if (++this.#outOfRange >= OUT_OF_RANGE_TRIES) {
        return this.#end('crashed', `${topic} no longer holds what was read of it; it was made anew or cut`, error)
      }
      await this.#toLogStarts().catch(() => {})
    }
    onTrouble(deliveryError(`following ${topic}`, error))
    await sleep(RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)])
    // Leaders are looked up anew; that itself waits for a broker.
    this.#metadataAtMs = Number.NEGATIVE_INFINITY
  }

  /** What retention has removed is nothing that we miss. */
  async #toLogStarts(): Promise<void> {
    const starts = await this.#offsets([...this.#followed.keys()], true)
    for (const [partition, followed] of this.#followed) {
      followed.position = Math.max(followed.position, starts.get(partition) ?? 0)
    }
  }

  #end(code: 'crashed', message: string, cause: unknown): void {
    this.#stopped = true
    this.#options.onFatal(new TidemarkError(code, message, { cause }))
  }
}

/** Keeps what the caller's own function threw apart from what Kafka did. */
class HandlerError extends Error {}

/** The end that readers of committed records see; `known` when a fetch tells none. */
function endOf({ lastStableOffset, highWatermark }: FetchedPartition, known: number): number {
  const stable = Number(lastStableOffset ?? -1)
  const end = stable >= 0 ? stable : Number(highWatermark)
  return end >= 0 ? end : known
}

function part(bytes: Uint8Array, start: number, end: number): Buffer | null {
  return start < 0 ? null : (bytes as Buffer).subarray(start, end)
}
