import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Cluster } from 'kafkajs'
import type { FetchFlow, Stream, Taken } from './fetchFlow.ts'
import type { Lanes } from './lanes.ts'
import type { ConsumerGroup, FetchManager } from './patches.ts'
import { bodies } from './wire/bodies.ts'
import { wholeBatchBytes } from './wire/cutOff.ts'
import { FetchedBatch, type FetchedPartition } from './wire/fetchedBatch.ts'

export type FetchLoopOptions = {
  readonly group: ConsumerGroup
  readonly flow: FetchFlow
  readonly lanes: Lanes
  /** Tells the coordinator that we are here, when it is time to. Throws when the group is rebalancing. */
  heartbeat(): Promise<void>
  /**
   * Reads a batch; what it throws ends the loop.
   * @returns the offset at which the partition's reader then stands
   */
  onBatch(lane: number, batch: FetchedBatch): Promise<number>
}

type PartitionMetadata = ReturnType<Cluster['findTopicPartitionMetadata']>
type FetchResponse = { readonly responses: readonly { topicName: string; partitions: FetchedPartition[] }[] }

/** One broker is away, or silent; the others are asked on. Where none answers, heartbeats fail too and end the loop. */
const AWAY: ReadonlySet<unknown> = new Set(['KafkaJSConnectionError', 'KafkaJSRequestTimeoutError'])
const AWAY_WAIT_MS = 1_000
/** Under way at one broker; src/kafka/fetchPatches.ts has a connection for each. */
const MOST_FETCHES = 2

/**
 * Takes the place of kafkajs's fetch manager, which asks for more only when all that one fetch brought is processed.
 * Here the next fetch is under way meanwhile, as far ahead as the flow has room: one at each broker, or two of different
 * partitions where there is much to be read. A broker sends little at a time (its socket.send.buffer.bytes are 100 KiB), and
 * is waited for less where it sends two responses. What fails goes the way that kafkajs has for it: its group recovers from it, or the runner joins again, waits, or gives up.
 */
export class FetchLoop implements FetchManager {
  readonly #options: FetchLoopOptions
  /** By broker, what the fetches are made of that are under way, or were and it is left alone for a moment. */
  readonly #asked = new Map<string, Set<readonly Stream[]>>()
  readonly #reading = new Set<Promise<void>>()
  readonly #leaders = new WeakMap<PartitionMetadata, Map<number, string>>()
  /** Those that the assignment was checked against. */
  #checked: readonly PartitionMetadata[] = []
  #refreshing = false
  /** Whether metadata have to be asked for, whatever their age. */
  #isStale = false
  #fetchError: { readonly cause: unknown } | null = null
  #fatal: { readonly cause: unknown } | null = null
  #running = false
  #ended: Promise<unknown> = Promise.resolve()

  constructor(options: FetchLoopOptions) {
    this.#options = options
  }

  /** Resolves after `stop`; rejects with what has ended it. Either way nothing is read any more. */
  async start(): Promise<void> {
    this.#running = true
    this.#fatal = null
    this.#fetchError = null
    this.#checked = []
    const ended = Promise.all([this.#ask(), this.#give()]).then(() => Promise.all(this.#reading))
    this.#ended = ended
    await ended
    const fatal = this.#fatal as { readonly cause: unknown } | null
    if (fatal !== null) throw fatal.cause
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#options.flow.notify()
    await this.#ended
  }

  #fail(cause: unknown): void {
    this.#fatal ??= { cause }
    this.#running = false
    this.#options.flow.notify()
  }

  async #ask(): Promise<void> {
    const { group, flow, heartbeat } = this.#options
    try {
      while (this.#running) {
        const { changes } = flow
        await this.#askOnce()
        await heartbeat()
        await flow.changed(changes, group.maxWaitTime)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  async #askOnce(): Promise<void> {
    const { group } = this.#options
    try {
      const failed = this.#fetchError
      this.#fetchError = null
      if (failed !== null) throw failed.cause
      this.#refresh()
      this.#checkAssignment()
      this.#fetchAll()
    } catch (error) {
      if (this.#running) await group.recoverFromFetch(error)
    }
  }

  /** Beside the loop: a broker that does not answer would hold up all fetches, heartbeats, and a stop. */
  #refresh(): void {
    if (this.#refreshing) return
    this.#refreshing = true
    const { cluster } = this.#options.group
    const refreshed = this.#isStale ? cluster.refreshMetadata() : cluster.refreshMetadataIfNecessary()
    this.#isStale = false
    const settled = refreshed.catch(cause => this.#failed(cause))
    void settled.then(() => {
      this.#refreshing = false
    })
  }

  /**
   * Resolves once whoever failed may be asked again. The loop's next turn hands kafkajs the error, unless one broker alone
   * is the reason: its partitions may have moved, which metadata tell.
   */
  async #failed(cause: unknown): Promise<void> {
    if (!AWAY.has((cause as Partial<Error> | null)?.name)) {
      this.#fetchError = { cause }
      return
    }
    this.#isStale = true
    await sleep(AWAY_WAIT_MS, undefined, { ref: false })
  }

  /** New partitions are told by metadata, which change as a whole. */
  #checkAssignment(): void {
    const { group, lanes } = this.#options
    const found = lanes.topics.map(topic => group.cluster.findTopicPartitionMetadata(topic))
    if (found.every((metadata, i) => metadata === this.#checked[i])) return
    group.checkForStaleAssignment()
    this.#checked = found
  }

  #fetchAll(): void {
    const { flow, group } = this.#options
    for (const [nodeId, all] of this.#byLeader(flow.flowing())) {
      const asked = this.#askedOf(nodeId)
      while (asked.size < MOST_FETCHES) {
        const free = all.filter(stream => ![...asked].some(streams => streams.includes(stream)))
        const streams = flow.askedTogether(free, asked.size > 0)
        if (!flow.hasRoom(streams, group.maxBytes)) break
        flow.asked(streams)
        this.#fetchBeside(asked, nodeId, streams)
      }
    }
  }

  #askedOf(nodeId: string): Set<readonly Stream[]> {
    const asked = this.#asked.get(nodeId) ?? new Set()
    this.#asked.set(nodeId, asked)
    return asked
  }

  #fetchBeside(asked: Set<readonly Stream[]>, nodeId: string, streams: readonly Stream[]): void {
    asked.add(streams)
    const fetched = this.#fetch(nodeId, streams).catch(async cause => {
      if (!this.#isOutdated(cause, streams)) await this.#failed(cause)
    })
    void fetched.then(() => {
      asked.delete(streams)
      this.#options.flow.notify()
    })
  }

  /** An offset out of range says nothing once its partition was sought elsewhere, nor once all were that were asked for. */
  #isOutdated(cause: unknown, streams: readonly Stream[]): boolean {
    const { name, topic = '', partition = -1 } = cause as { name?: string; topic?: string; partition?: number }
    if (name !== 'KafkaJSOffsetOutOfRange') return false
    const lane = this.#options.lanes.laneOf(topic, partition)
    const stream = streams.find(asked => asked.lane === lane)
    return (stream === undefined ? streams : [stream]).every(asked => !this.#options.flow.isCurrent(asked))
  }

  /** Partitions without a leader wait until the metadata know one. */
  #byLeader(streams: readonly Stream[]): Map<string, Stream[]> {
    const { lanes, group } = this.#options
    const known = new Set(group.getNodeIds().map(String))
    const byLeader = new Map<string, Stream[]>()
    for (const stream of streams) {
      const { topic, partition } = lanes.placeOf(stream.lane)
      const leader = this.#leadersOf(topic).get(partition)
      if (leader === undefined || !known.has(leader)) continue
      const those = byLeader.get(leader)
      if (those === undefined) byLeader.set(leader, [stream])
      else those.push(stream)
    }
    return byLeader
  }

  #leadersOf(topic: string): Map<number, string> {
    const metadata = this.#options.group.cluster.findTopicPartitionMetadata(topic)
    const known = this.#leaders.get(metadata)
    if (known !== undefined) return known
    const leaders = new Map(metadata.map(({ partitionId, leader }) => [partitionId, String(leader)]))
    this.#leaders.set(metadata, leaders)
    return leaders
  }

  async #fetch(nodeId: string, streams: readonly Stream[]): Promise<void> {
    const { group, lanes, flow } = this.#options
    const wanted = new Map<string, { partition: number; fetchOffset: string; maxBytes: number }[]>()
    for (const { lane, ahead, nextBytes } of streams) {
      const { topic, partition } = lanes.placeOf(lane)
      const partitions = wanted.get(topic) ?? []
      const maxBytes = wholeBatchBytes(nextBytes, group.maxBytesPerPartition)
      partitions.push({ partition, fetchOffset: String(ahead), maxBytes })
      wanted.set(topic, partitions)
    }
    const byLane = new Map(streams.map(stream => [stream.lane, { stream, from: String(stream.ahead) }]))
    const broker = await group.cluster.findBroker({ nodeId })
    const askedMs = Date.now()
    const { responses } = (await broker.fetch({
      maxWaitTime: group.maxWaitTime,
      minBytes: group.minBytes,
      maxBytes: group.maxBytes,
      isolationLevel: group.isolationLevel,
      topics: [...wanted].map(([topic, partitions]) => ({ topic, partitions })),
    })) as FetchResponse
    const times = { askedMs, cameMs: Date.now() }
    const body = new LentBody()
    try {
      for (const { topicName, partitions } of responses) {
        for (const data of partitions) {
          body.lends(data.messages.response)
          const asked = byLane.get(lanes.laneOf(topicName, data.partition) ?? -1)
          if (asked === undefined) continue
          const batch = new FetchedBatch(topicName, asked.from, data)
          batch.times = times
          flow.arrived(asked.stream, batch, body)
        }
      }
    } finally {
      body.letGo()
    }
  }

  async #give(): Promise<void> {
    const { flow } = this.#options
    while (this.#running) {
      const taken = flow.take()
      if (taken === null) {
        await flow.changed(flow.changes)
        // Before the first of what came is read: the next fetch is to be under way meanwhile.
        await turn()
        continue
      }
      const reading = this.#read(taken).finally(() => this.#reading.delete(reading))
      this.#reading.add(reading)
      // Sockets, flushes and heartbeats get their turn between two batches.
      await turn()
    }
  }

  async #read(taken: Taken): Promise<void> {
    const { flow, onBatch } = this.#options
    const { stream, batch } = taken
    let position = Number(batch.fetchedOffset)
    try {
      position = await onBatch(stream.lane, batch)
    } catch (error) {
      this.#fail(error)
    } finally {
      flow.done(taken, position)
    }
  }
}

/** The memory of one response, which goes back to where it came from when nobody has kept anything of it any more. */
class LentBody {
  #part: Buffer | null = null
  /** Batches that are kept, and whoever takes the response apart. */
  #holders = 1

  lends(part: Buffer): void {
    if (part.length > 0) this.#part = part
  }

  keep(): void {
    this.#holders++
  }

  letGo(): void {
    if (--this.#holders === 0 && this.#part !== null) bodies.giveBack(this.#part)
  }
}
