import type { Consumer } from 'kafkajs'
import { TidemarkError } from '../errors.ts'
import type { CorruptBatch, Group, GroupListener } from '../runtime/ports.ts'
import type { Commit } from '../tasks/task.ts'
import { type ConsumerOptions, createConsumer } from './consumer.ts'
import { FetchFlow } from './fetchFlow.ts'
import { FetchLoop } from './fetchLoop.ts'
import { deliveryError, protocolTypeOf } from './kafkaErrors.ts'
import type { Lanes } from './lanes.ts'
import type { ConsumerGroup, Coordinator } from './patches.ts'
import { createStickyAssigner, type StickyAssigner } from './stickyAssigner.ts'
import type { FetchedBatch } from './wire/fetchedBatch.ts'
import { answerWithin, withinTime } from './withinTime.ts'

export type MembershipOptions = GroupListener &
  ConsumerOptions & {
    /** The partitions that the group reads; everywhere here a partition is named by its lane. */
    readonly lanes: Lanes
    /** How long fetches of a partition may bring nothing of a log that goes on, milliseconds; a minute by default. */
    readonly stallLimitMs?: number
  }

/** Where the next batch of a partition has to begin. Replaced, not changed, by a seek: identity tells them apart. */
type Place = {
  offset: number
  /** Reads of the record batch here that found it damaged. */
  corruptTries: number
  /** Since when nothing has come of a log that goes on; null while something does. */
  stalledSinceMs: number | null
  /** When nothing came last, or when the wait ended that followed; of no account while `stalledSinceMs` is null. */
  stalledAtMs: number
  /** True while we hold the partition paused, because of a batch that cannot be read. */
  isWaiting: boolean
}

/** What a join gave us; it ends at the next join, crash or stop. */
type Assignment = {
  readonly epoch: number
  readonly memberId: string
  readonly generationId: number
  /** Null until sought. */
  readonly places: Map<number, Place | null>
  /** The partitions that our owner wants paused. */
  readonly paused: Set<number>
  getCoordinator(): Promise<Coordinator>
}

/**
 * Times between the reads of a batch that was found damaged: it may have been so on its way, or reach past a log's end that
 * the broker took a moment before. After the last it is taken for damaged in the log.
 */
const CORRUPT_RETRIES_MS = [20, 200, 200]
const CORRUPT_WAIT_MS = 30_000
/** A fetch without room for a partition's next batch is repeated in this time: kafkajs mixes the order, so its turn comes. */
const STALL_RETRY_MS = 20
const STALL_LIMIT_MS = 60_000
/** After this time without a fetch of it (a limit on reading, a broker that was away) a stall begins anew. */
const STALL_GAP_MS = 30_000
const STOP_LIMIT_MS = 10_000

/** One process's place in a consumer group that reads one or several topics: assignment epochs, delivery, fenced commits. */
export function createMembership(options: MembershipOptions): Group {
  return new GroupMember(options)
}

class GroupMember implements Group {
  readonly #options: MembershipOptions
  readonly #lanes: Lanes
  readonly #assigner: StickyAssigner
  readonly #flow = new FetchFlow()
  readonly #consumer: Consumer
  #epoch = 0
  #assignment: Assignment | null = null
  #group: ConsumerGroup | null = null
  #stopping = false
  /** Resolved by the first assignment, or by an end without one: kafkajs's run() also returns when its first join failed. */
  readonly #started = Promise.withResolvers<void>()

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#lanes = options.lanes
    this.#assigner = createStickyAssigner(options.lanes, {
      beforeJoin: group => this.#beforeJoin(group),
      offsetOutOfRange: (topic, partition) => this.#offsetOutOfRange(this.#laneOf(topic, partition)),
      fetchManager: (group, heartbeat) =>
        new FetchLoop({
          group,
          flow: this.#flow,
          lanes: options.lanes,
          heartbeat,
          onBatch: (partition, fetched) => this.#read(partition, fetched, heartbeat),
        }),
    })
    this.#consumer = createConsumer(options, this.#assigner)
    const { GROUP_JOIN, CRASH } = this.#consumer.events
    this.#consumer.on(GROUP_JOIN, event => this.#joined(event.payload.memberAssignment))
    this.#consumer.on(CRASH, event => this.#crashed(event.payload.error, event.payload.restart))
  }

  async start(): Promise<void> {
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topics: [...this.#lanes.topics], fromBeginning: true })
    // Never called: what is fetched goes to #read. kafkajs does not run without it.
    await this.#consumer.run({ autoCommit: false, eachBatch: async () => {} })
    await this.#started.promise
    // kafkajs runs on when it is stopped while it joins for the first time.
    if (this.#stopping) await this.#consumer.disconnect()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#assignment = null
    this.#flow.close()
    this.#started.resolve()
    await withinTime(this.#consumer.disconnect(), STOP_LIMIT_MS)
  }

  seek(partition: number, offset: number): void {
    const held = this.#assignment
    if (!held?.places.has(partition)) return
    const before = held.places.get(partition)
    held.places.set(partition, { offset, corruptTries: 0, stalledSinceMs: null, stalledAtMs: 0, isWaiting: false })
    this.#flow.seek(partition, offset)
    if (before?.isWaiting && !held.paused.has(partition)) this.#flow.resume(partition)
  }

  pause(partition: number): void {
    const held = this.#assignment
    if (!held?.places.has(partition)) return
    held.paused.add(partition)
    this.#flow.pause(partition)
  }

  resume(partition: number): void {
    const held = this.#assignment
    if (!held?.places.has(partition)) return
    held.paused.delete(partition)
    if (!held.places.get(partition)?.isWaiting) this.#flow.resume(partition)
  }

  async heartbeat(): Promise<void> {
    const held = this.#held()
    const { groupId } = this.#options
    const { memberId, generationId: groupGenerationId } = held
    try {
      await this.#ask(held, coordinator => coordinator.heartbeat({ groupId, memberId, groupGenerationId }))
    } catch (cause) {
      // The coordinator collects members for the next generation; we are still a member of this one, and may commit.
      if (protocolTypeOf(cause) !== 'REBALANCE_IN_PROGRESS') throw deliveryError(`heartbeat of ${groupId}`, cause)
    }
    this.#held(held.epoch)
  }

  async commit(epoch: number, partition: number, { offset, metadata }: Commit): Promise<void> {
    const held = this.#held(epoch)
    const { groupId } = this.#options
    const { memberId, generationId: groupGenerationId } = held
    const at = this.#lanes.placeOf(partition)
    const partitions = [{ partition: at.partition, offset: String(offset), metadata }]
    const topics = [{ topic: at.topic, partitions }]
    try {
      await this.#ask(held, coordinator => coordinator.offsetCommit({ groupId, memberId, groupGenerationId, topics }))
    } catch (cause) {
      throw deliveryError(`commit of ${at.topic}/${at.partition} at ${offset}`, cause)
    }
  }

  async #beforeJoin(group: ConsumerGroup): Promise<void> {
    this.#group = group
    // Without a member id the coordinator has already forgotten us: no commit could succeed.
    if (this.#assignment !== null && group.memberId !== null) {
      await withinTime(this.#options.beforeRejoin(), (this.#options.settings.sessionTimeoutMs * 2) / 3)
    }
    this.#endAssignment()
  }

  /** Runs inside the join, before anything is fetched for it. */
  #joined(memberAssignment: Record<string, number[]>): void {
    if (this.#stopping || this.#group === null) return
    this.#endAssignment()
    const partitions = Object.entries(memberAssignment)
      .flatMap(([topic, numbers]) => numbers.map(number => this.#lanes.laneOf(topic, number)))
      .filter(lane => lane !== null)
      .sort((a, b) => a - b)
    this.#epoch++
    this.#assignment = openAssignment(this.#group, this.#epoch, partitions)
    this.#flow.open(partitions)
    this.#assigner.own({ generation: this.#assignment.generationId, partitions })
    this.#options.onAssigned(this.#epoch, partitions)
    this.#started.resolve()
  }

  #endAssignment(): void {
    if (this.#assignment === null) return
    this.#assignment = null
    this.#flow.close()
    if (!this.#stopping) this.#options.onRevoked()
  }

  #crashed(cause: Error, restarts: boolean): void {
    this.#endAssignment()
    if (restarts || this.#stopping) return
    const message = `the consumer of ${this.#topics} has crashed: ${cause.message}`
    this.#options.onCrash(new TidemarkError('crashed', message, { cause }))
    this.#started.resolve()
  }

  #offsetOutOfRange(partition: number): void {
    const held = this.#assignment
    if (!held?.places.has(partition)) return
    this.pause(partition)
    this.#options.onOutOfRange(partition)
  }

  /** @returns where the partition goes on; of no account once the assignment is over */
  async #read(partition: number, fetched: FetchedBatch, heartbeat: () => Promise<void>): Promise<number> {
    const held = this.#assignment
    const place = held?.places.get(partition)
    if (held === null || !place) return Number(fetched.fetchedOffset)
    if (Number(fetched.fetchedOffset) === place.offset) await this.#readHere(held, partition, place, fetched, heartbeat)
    return place.offset
  }

  async #readHere(
    held: Assignment,
    partition: number,
    place: Place,
    fetched: FetchedBatch,
    heartbeat: () => Promise<void>,
  ): Promise<void> {
    if (fetched.isStalled) return this.#stalled(held, partition, fetched, place)
    if (fetched.isEmpty()) {
      if (fetched.nextOffset <= place.offset) return
      moveOn(place, fetched.nextOffset)
      return this.#options.onAdvance(partition, place.offset)
    }
    const records = fetched.records()
    const beat = guardHeartbeat(heartbeat, () => this.#assignment === held)
    try {
      await this.#options.onBatch(held.epoch, partition, records, beat)
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'fenced') return askToRejoin(error)
      // Our own fault: it would only happen again.
      this.pause(partition)
      const message = error instanceof Error ? error.message : String(error)
      this.#options.onCrash(
        new TidemarkError('crashed', `a batch could not be processed: ${message}`, { cause: error }),
      )
      return
    }
    // A seek meanwhile wins, even one to where this batch began.
    if (this.#assignment !== held || held.places.get(partition) !== place) return
    if (records.nextOffset > place.offset) moveOn(place, records.nextOffset)
    if (fetched.corrupt !== null) this.#metCorrupt(held, partition, place, fetched.corrupt)
  }

  /** It may have been damaged on its way to us: it is told only when it stays so. */
  #metCorrupt(held: Assignment, partition: number, place: Place, corrupt: CorruptBatch): void {
    const retryMs = CORRUPT_RETRIES_MS[place.corruptTries++]
    this.#waitAt(held, partition, place, retryMs ?? CORRUPT_WAIT_MS)
    if (retryMs === undefined) this.#options.onCorrupt(held.epoch, partition, corrupt)
  }

  /** A batch whose length is damaged looks as if it were cut off, to us and to the broker: time tells them apart. */
  #stalled(held: Assignment, partition: number, fetched: FetchedBatch, place: Place): void {
    const now = performance.now()
    if (place.stalledSinceMs === null || now - place.stalledAtMs > STALL_GAP_MS) place.stalledSinceMs = now
    place.stalledAtMs = now
    const stalledMs = now - place.stalledSinceMs
    if (stalledMs >= (this.#options.stallLimitMs ?? STALL_LIMIT_MS)) {
      const reason = `nothing of it has come for ${Math.round(stalledMs / 1000)} s, though the log goes on`
      place.stalledAtMs += CORRUPT_WAIT_MS
      this.#waitAt(held, partition, place, CORRUPT_WAIT_MS)
      const corrupt = { from: place.offset, to: null, reason, bytes: fetched.bytes }
      this.#options.onCorrupt(held.epoch, partition, corrupt)
    } else if (fetched.bytes.length > 0) {
      // The broker has something to give, and would at once give it again.
      this.#waitAt(held, partition, place, STALL_RETRY_MS)
    }
  }

  /** Holds a partition back for a time. A seek ends it early; what our owner pauses stays so. */
  #waitAt(held: Assignment, partition: number, place: Place, ms: number): void {
    place.isWaiting = true
    this.#flow.pause(partition)
    const goOn = () => {
      if (this.#assignment !== held || held.places.get(partition) !== place) return
      place.isWaiting = false
      if (!held.paused.has(partition)) this.#flow.resume(partition)
    }
    setTimeout(goOn, ms).unref()
  }

  /** After the session timeout no answer is worth waiting for; kafkajs itself would try for as long as it takes. */
  #ask(held: Assignment, request: (coordinator: Coordinator) => Promise<unknown>): Promise<unknown> {
    return answerWithin(held.getCoordinator().then(request), this.#options.settings.sessionTimeoutMs)
  }

  #held(epoch?: number): Assignment {
    const held = this.#assignment
    if (held !== null && (epoch === undefined || held.epoch === epoch)) return held
    throw new TidemarkError('fenced', `the assignment to ${this.#topics} in ${this.#options.groupId} is over`)
  }

  /** -1, which nobody owns, for a partition that is not ours to read. */
  #laneOf(topic: string, partition: number): number {
    return this.#lanes.laneOf(topic, partition) ?? -1
  }

  get #topics(): string {
    return this.#lanes.topics.join(', ')
  }
}

function openAssignment(group: ConsumerGroup, epoch: number, partitions: readonly number[]): Assignment {
  // kafkajs replaces the offset manager at every join; this one finds the coordinator again but knows no generation.
  const { generationId, memberId, offsetManager } = group
  return {
    epoch,
    memberId: memberId ?? '',
    generationId,
    places: new Map(partitions.map(partition => [partition, null])),
    paused: new Set(partitions),
    getCoordinator: () => offsetManager.getCoordinator(),
  }
}

function moveOn(place: Place, nextOffset: number): void {
  place.offset = nextOffset
  place.corruptTries = 0
  place.stalledSinceMs = null
}

/** A heartbeat that fails without an answer is no reason to stop: kafkajs repeats it after the batch. */
function guardHeartbeat(heartbeat: () => Promise<void>, isCurrent: () => boolean): () => Promise<void> {
  return async () => {
    if (!isCurrent()) throw new TidemarkError('fenced', 'the assignment is over')
    try {
      await heartbeat()
    } catch (cause) {
      const error = deliveryError('heartbeat', cause)
      if (error.code === 'fenced') throw error
    }
  }
}

const REJOIN_TYPES = new Set(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID'])

/** Hands kafkajs back what makes it join again. Any other fence is the owner's own affair, who restores and seeks. */
function askToRejoin(fence: TidemarkError): void {
  if (REJOIN_TYPES.has(protocolTypeOf(fence.cause) ?? '')) throw fence.cause
}
