import type { Consumer, ConsumerEndBatchProcessEvent, EachBatchPayload, Kafka } from 'kafkajs'
import type { Settings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import type { Commit } from '../tasks/task.ts'
import { type FetchedBatch, toRecordBatch } from './batch.ts'
import { deliveryError, protocolTypeOf } from './kafkaErrors.ts'
import { type ConsumerGroup, type Coordinator, type KafkaBatch, kafkajs } from './patches.ts'
import { createStickyAssigner } from './stickyAssigner.ts'
import { answerWithin, withinTime } from './withinTime.ts'

export type MembershipOptions = {
  readonly kafka: Kafka
  readonly groupId: string
  readonly topic: string
  readonly settings: Pick<Settings, 'sessionTimeoutMs'>
  /** A new assignment: all of its partitions are paused, to be restored, sought and resumed. Must not throw. */
  onAssigned(epoch: number, partitions: readonly number[]): void
  /** The assignment has ended: nothing more is delivered for it, and its commits are refused. Must not throw. */
  onRevoked(): void
  /**
   * Records of a partition, in offset order and one batch at a time for each partition. The broker's other partitions
   * wait until it resolves. `heartbeat` is cheap to call often; it throws `fenced` when the group is rebalancing: stop
   * and rethrow.
   */
  onBatch(epoch: number, partition: number, batch: FetchedBatch, heartbeat: () => Promise<void>): Promise<void>
  /** The log holds no readable record below `nextOffset` from where we were. */
  onAdvance(partition: number, nextOffset: number): void
  /** The broker does not hold the offset asked for. The partition is paused: seek and resume it, or give up. */
  onOutOfRange(partition: number): void
  /** The group rebalances: flush and commit now. Awaited for at most two thirds of the session timeout. */
  beforeRejoin(): Promise<void>
  /** The consumer has ended and does not come back. */
  onCrash(error: TidemarkError): void
}

export type Membership = {
  /** Joins the group; resolves after the first assignment. */
  start(): Promise<void>
  /** Leaves the group. No callback comes after the call; flush and commit before it. */
  stop(): Promise<void>
  /** The next offset to deliver; batches fetched from elsewhere are dropped. Nothing for partitions not assigned. */
  seek(partition: number, offset: number): void
  pause(partition: number): void
  resume(partition: number): void
  /**
   * Asks the coordinator now.
   * @throws TidemarkError `fenced` when this is no longer a member of its generation, `delivery_failed` without an answer
   */
  heartbeat(): Promise<void>
  /**
   * Commits in the generation of `epoch`, never in another.
   * @throws TidemarkError `fenced` when that generation is over, a retriable `delivery_failed` when the outcome is unknown
   */
  commit(epoch: number, partition: number, commit: Commit): Promise<void>
}

/** Where the next batch of a partition has to begin. Replaced, not changed, by a seek: identity tells them apart. */
type Place = { offset: number }

/** What a join gave us; it ends at the next join, crash or stop. */
type Assignment = {
  readonly epoch: number
  readonly group: ConsumerGroup
  readonly memberId: string
  readonly generationId: number
  /** Null until sought. */
  readonly places: Map<number, Place | null>
  getCoordinator(): Promise<Coordinator>
}

const FETCH_WAIT_MS = 200
const FETCH_BYTES = 8 * 1024 * 1024
const PARTITION_FETCH_BYTES = 1024 * 1024
/** New partitions of the source topic are noticed within this time. */
const METADATA_AGE_MS = 10_000
/** Low, because kafkajs starts a consumer anew (finding its coordinator again) only after the last retry. */
const CONSUMER_RETRIES = 6
const STOP_LIMIT_MS = 10_000
const LEAST_WORKERS = 64

/** One process's place in a consumer group that reads one topic: assignment epochs, delivery, fenced commits. */
export function createMembership(options: MembershipOptions): Membership {
  const { kafka, groupId, topic, settings } = options
  let epoch = 0
  let assignment: Assignment | null = null
  let group: ConsumerGroup | null = null
  let stopping = false

  const endAssignment = () => {
    if (assignment === null) return
    assignment = null
    if (!stopping) options.onRevoked()
  }
  const hooks = {
    async beforeJoin(joining: ConsumerGroup) {
      group = joining
      // Without a member id the coordinator has already forgotten us: no commit could succeed.
      if (assignment !== null && joining.memberId !== null) {
        await withinTime(options.beforeRejoin(), (settings.sessionTimeoutMs * 2) / 3)
      }
      endAssignment()
    },
    offsetOutOfRange(_topic: string, partition: number) {
      if (!assignment?.places.has(partition) || assignment.group.seekOffset.has(topic, partition)) return
      assignment.group.pause([{ topic, partitions: [partition] }])
      options.onOutOfRange(partition)
    },
  }
  const assigner = createStickyAssigner(topic, hooks)
  const consumer = createConsumer(kafka, groupId, settings.sessionTimeoutMs, assigner.create)

  const onJoin = (memberAssignment: Record<string, number[]>) => {
    if (stopping || group === null) return
    endAssignment()
    const partitions = [...(memberAssignment[topic] ?? [])].sort((a, b) => a - b)
    epoch++
    assignment = openAssignment(group, topic, epoch, partitions)
    assigner.own({ generation: assignment.generationId, partitions })
    options.onAssigned(epoch, partitions)
  }

  const onEmptied = ({ partition, batchSize, firstOffset, lastOffset }: ConsumerEndBatchProcessEvent['payload']) => {
    const place = assignment?.places.get(partition)
    if (batchSize > 0 || !place || assignment?.group.seekOffset.has(topic, partition)) return
    const nextOffset = Number(lastOffset) + 1
    // A batch fetched from where we are no longer says nothing about where we are.
    if (nextOffset <= place.offset || Number(firstOffset ?? lastOffset) < place.offset) return
    place.offset = nextOffset
    options.onAdvance(partition, nextOffset)
  }

  const eachBatch = async ({ batch, resolveOffset, heartbeat }: EachBatchPayload) => {
    const held = assignment
    const fetched = batch as unknown as KafkaBatch
    const place = held?.places.get(fetched.partition)
    if (held === null || !place) return
    if (Number(fetched.fetchedOffset) !== place.offset) {
      // A late result of another epoch may have moved kafkajs's own position: put it back.
      if (!held.group.seekOffset.has(topic, fetched.partition)) seekTo(held, topic, fetched.partition, place)
      return
    }
    const records = toRecordBatch(fetched)
    await options.onBatch(
      held.epoch,
      fetched.partition,
      records,
      guardHeartbeat(heartbeat, () => assignment === held),
    )
    if (assignment !== held || held.places.get(fetched.partition) !== place) return
    place.offset = records.nextOffset
    resolveOffset(fetched.lastOffset())
  }

  consumer.on(consumer.events.GROUP_JOIN, event => onJoin(event.payload.memberAssignment))
  consumer.on(consumer.events.END_BATCH_PROCESS, event => onEmptied(event.payload))
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    endAssignment()
    if (payload.restart || stopping) return
    const message = `the consumer of ${topic} has crashed: ${payload.error.message}`
    options.onCrash(new TidemarkError('crashed', message, { cause: payload.error }))
  })

  /** After the session timeout no answer is worth waiting for; kafkajs itself would try for as long as it takes. */
  const ask = (held: Assignment, request: (coordinator: Coordinator) => Promise<unknown>) =>
    answerWithin(held.getCoordinator().then(request), settings.sessionTimeoutMs)
  const current = (wanted?: number) => {
    const held = assignment
    if (held !== null && (wanted === undefined || held.epoch === wanted)) return held
    throw new TidemarkError('fenced', `the assignment to ${topic} in group ${groupId} is over`)
  }

  return {
    async start() {
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: Math.max(LEAST_WORKERS, 2 * assigner.partitionCount()),
        eachBatch: payload => eachBatch(payload).catch(error => rethrow(error, options.onCrash)),
      })
      // kafkajs runs on when it is stopped while it joins for the first time.
      if (stopping) await consumer.disconnect()
    },
    async stop() {
      stopping = true
      assignment = null
      await withinTime(consumer.disconnect(), STOP_LIMIT_MS)
    },
    seek(partition, offset) {
      if (assignment?.places.has(partition)) seekTo(assignment, topic, partition, { offset })
    },
    pause(partition) {
      if (assignment?.places.has(partition)) assignment.group.pause([{ topic, partitions: [partition] }])
    },
    resume(partition) {
      if (assignment?.places.has(partition)) assignment.group.resume([{ topic, partitions: [partition] }])
    },
    async heartbeat() {
      const held = current()
      try {
        const { memberId, generationId: groupGenerationId } = held
        await ask(held, coordinator => coordinator.heartbeat({ groupId, memberId, groupGenerationId }))
      } catch (cause) {
        // The coordinator collects members for the next generation; we are still a member of this one, and may commit.
        if (protocolTypeOf(cause) !== 'REBALANCE_IN_PROGRESS') throw deliveryError(`heartbeat of ${groupId}`, cause)
      }
      current(held.epoch)
    },
    async commit(wanted, partition, { offset, metadata }) {
      const held = current(wanted)
      const { memberId, generationId: groupGenerationId } = held
      const topics = [{ topic, partitions: [{ partition, offset: String(offset), metadata }] }]
      try {
        await ask(held, coordinator => coordinator.offsetCommit({ groupId, memberId, groupGenerationId, topics }))
      } catch (cause) {
        throw deliveryError(`commit of ${topic}/${partition} at ${offset}`, cause)
      }
    },
  }
}

function createConsumer(
  kafka: Kafka,
  groupId: string,
  sessionTimeoutMs: number,
  assigner: ReturnType<typeof createStickyAssigner>['create'],
): Consumer {
  return kafka.consumer({
    groupId,
    partitionAssigners: [assigner],
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: Math.max(2 * sessionTimeoutMs, 10_000),
    heartbeatInterval: Math.floor(sessionTimeoutMs / 5),
    maxWaitTimeInMs: FETCH_WAIT_MS,
    maxBytes: FETCH_BYTES,
    maxBytesPerPartition: PARTITION_FETCH_BYTES,
    metadataMaxAge: METADATA_AGE_MS,
    allowAutoTopicCreation: false,
    retry: { retries: CONSUMER_RETRIES },
  })
}

/** Pauses everything that a join gave us; kafkajs keeps the seeks and pauses of earlier assignments, which mean nothing now. */
function openAssignment(group: ConsumerGroup, topic: string, epoch: number, partitions: number[]): Assignment {
  group.seekOffset.clear()
  group.subscriptionState.subscriptionStatesByTopic = {}
  group.pause([{ topic, partitions }])
  // kafkajs replaces the offset manager at every join; this one finds the coordinator again but knows no generation.
  const { generationId, memberId, offsetManager } = group
  return {
    epoch,
    group,
    memberId: memberId ?? '',
    generationId,
    places: new Map(partitions.map(partition => [partition, null])),
    getCoordinator: () => offsetManager.getCoordinator(),
  }
}

function seekTo(held: Assignment, topic: string, partition: number, place: Place): void {
  held.places.set(partition, place)
  held.group.seek({ topic, partition, offset: String(place.offset) })
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

/** Hands kafkajs its own errors back, so that it joins again; anything else is a fault of ours and ends the consumer. */
function rethrow(error: unknown, onCrash: MembershipOptions['onCrash']): void {
  const cause = error instanceof TidemarkError ? error.cause : error
  if (cause instanceof kafkajs.KafkaJSError) throw cause
  if (error instanceof TidemarkError && error.code === 'fenced') return
  const message = error instanceof Error ? error.message : String(error)
  onCrash(new TidemarkError('crashed', `a batch could not be processed: ${message}`, { cause: error }))
}
