import { createRequire } from 'node:module'
import type { PackedRecords } from '../tasks/packedRecords.ts'
import type { BatchRecords, ProduceRequest, WireMessage } from './wire/encode.ts'
import { murmur2 } from './wire/murmur2.ts'
import { slicesOf } from './wire/packedSlice.ts'

const load = createRequire(import.meta.url)

type Failure = Error & { retriable?: boolean; type?: string; host?: string; port?: number }
type FailureClass = new (message: string, details?: object) => Failure
const errors = load('kafkajs/src/errors.js') as {
  KafkaJSMetadataNotLoaded: FailureClass
  KafkaJSNonRetriableError: FailureClass
}
const { createErrorFromCode } = load('kafkajs/src/protocol/error.js') as { createErrorFromCode(code: number): Failure }

export type PartitionMetadata = { readonly partitionId: number; readonly leader: number | null }

export type PartitionAnswer = { readonly partition: number; readonly errorCode: number; readonly baseOffset?: string }

type TopicPartitions = readonly {
  readonly topic: string
  readonly partitions: readonly { readonly partition: number }[]
}[]

/** The parts of kafkajs's Broker, Cluster and EosManager that a send works with. */
export type ProduceBroker = {
  produce(request: ProduceRequest): Promise<{
    readonly topics: readonly { readonly topicName: string; readonly partitions: readonly PartitionAnswer[] }[]
  }>
}

export type ProduceCluster = {
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[]
  findBroker(of: { nodeId: number }): Promise<ProduceBroker>
  isConnected(): boolean
  connect(): Promise<void>
  removeBroker(at: { host: string | undefined; port: number | undefined }): void
}

export type ProducerIdentity = {
  /** False for a producer that has no id, and so no sequences. */
  isInitialized(): boolean
  isTransactional(): boolean
  getTransactionalId(): string
  getProducerId(): { toString(): string }
  getProducerEpoch(): number
  addPartitionsToTransaction(topics: TopicPartitions): Promise<void>
}

/** A record for the partition named, or else for the one that its key's murmur2 chooses. */
export type Message = WireMessage & { readonly partition?: number | null }

/** Many records, each for the partition that its key chooses. */
export type PackedMessage = {
  readonly packed: PackedRecords
  /** The most that a batch of them may come to. */
  readonly maxBatchBytes: number
  /** kafkajs asks of every message that it has a value or none. */
  readonly value: null
}

type Partitioner = (choice: {
  topic: string
  partitionMetadata: readonly PartitionMetadata[]
  message: Message
}) => number

export type SendParts = {
  readonly cluster: ProduceCluster
  readonly eosManager: ProducerIdentity
  readonly partitioner: Partitioner
  /** Repeats what fails until it succeeds, fails with `retriable: false`, or has been tried often enough. */
  readonly retrier: <T>(attempt: () => Promise<T>) => Promise<T>
  /** Told of the list of batches that a request was made of, once its broker has answered it. */
  readonly onAnswered?: (topicData: ProduceRequest['topicData']) => void
}

export type SendRequest = {
  readonly acks: number
  readonly timeout?: number
  readonly compression?: number
  readonly topicMessages: readonly {
    readonly topic: string
    readonly messages: readonly (Message | PackedMessage)[]
  }[]
}

export type SendAnswer = PartitionAnswer & { readonly topicName: string }

/** What one request brings to one partition: it is written as one record batch, under one sequence, however often it is sent. */
type Batch = {
  readonly topic: string
  readonly partition: number
  readonly messages: BatchRecords
  /** How many batches of the same send and partition come before it: a request has room for one of a partition. */
  readonly round: number
  /** NO_SEQUENCE for a producer without an id. */
  readonly firstSequence: number
  answer: PartitionAnswer | null
  /** It has been sent, and nobody has said whether it was written. */
  inDoubt: boolean
}

/** What a producer's sends have in common; kafkajs makes a sender for each transaction. */
type ProducerLife = {
  /** Settles when no send is under way. */
  idle: Promise<unknown>
  /** Whose sequences these are: an id and an epoch. */
  identity: string
  sequences: Map<string, number>
  /** A batch that was given up may have been written: its sequence can neither be used again nor left out. */
  lost: boolean
}

const lives = new WeakMap<ProducerIdentity, ProducerLife>()

const SEQUENCES = 2 ** 31
const NO_SEQUENCE = -1
const DEFAULT_TIMEOUT_MS = 30_000
/**
 * Errors with which a batch may have been written all the same: unknown, timed out, too few replicas, or the leader gone
 * (3, 6, 56), each after the append.
 */
const DOUBTFUL_ERRORS = new Set([-1, 3, 6, 7, 20, 56])

/**
 * How kafkajs sends messages (`producer/sendMessages.js`), but for what goes wrong there. kafkajs chooses the partitions of
 * keys anew at each try and remembers which *brokers* have answered: a leader that moves meanwhile makes it leave messages
 * out, or write them twice under new sequences, and report success. Here each partition's batch is made once and repeated
 * until it is answered. Two sends of an idempotent producer at the same time follow one another; kafkajs loses one of them
 * after an error. A transaction learns of all of a send's partitions in one request, and kafkajs's sequences, which it
 * turns over at the wrong number, are not used.
 *
 * @returns a function that sends everything, and resolves to one answer for each batch once all are written; it
 *   rejects when a partition is unknown, refused, or not to be reached by all of the retrier's tries
 */
export function createSendMessages(parts: SendParts): (request: SendRequest) => Promise<SendAnswer[]> {
  const { eosManager } = parts
  return request => {
    if (!eosManager.isInitialized()) return sendAll(parts, request, null)
    const life = lives.get(eosManager) ?? { idle: Promise.resolve(), identity: '', sequences: new Map(), lost: false }
    lives.set(eosManager, life)
    const sent = life.idle.then(() => sendAll(parts, request, life))
    life.idle = sent.catch(() => {})
    return sent
  }
}

async function sendAll(parts: SendParts, request: SendRequest, life: ProducerLife | null): Promise<SendAnswer[]> {
  const { cluster, eosManager, retrier } = parts
  if (life !== null) renew(life, eosManager)
  const topics = request.topicMessages.map(({ topic }) => topic)
  let batches: Batch[] | null = null
  const attempt = async () => {
    try {
      await cluster.addMultipleTargetTopics(topics)
      await cluster.refreshMetadataIfNecessary()
      batches ??= toBatches(parts, request, life)
      await sendUnanswered(parts, request, batches, life)
      return batches.map(({ topic, answer }) => ({ topicName: topic, ...(answer as PartitionAnswer) }))
    } catch (error) {
      await recover(cluster, error as Failure)
      throw error
    }
  }
  try {
    return await retrier(attempt)
  } catch (error) {
    if (life !== null && (batches as Batch[] | null)?.some(({ inDoubt }) => inDoubt)) life.lost = true
    throw error
  }
}

/** A new id or epoch begins with new sequences. */
function renew(life: ProducerLife, eosManager: ProducerIdentity): void {
  const identity = `${eosManager.getProducerId()}/${eosManager.getProducerEpoch()}`
  if (identity !== life.identity) Object.assign(life, { identity, sequences: new Map(), lost: false })
  if (life.lost) throw new errors.KafkaJSNonRetriableError('it is unknown what this producer has written last')
}

function toBatches(parts: SendParts, request: SendRequest, life: ProducerLife | null): Batch[] {
  const batches: Batch[] = []
  const last = new Map<string, Batch>()
  const add = (topic: string, partition: number, messages: BatchRecords) => {
    const name = `${topic}/${partition}`
    const before = last.get(name)
    const round = before === undefined ? 0 : before.round + 1
    const next = before === undefined ? (life?.sequences.get(name) ?? 0) : sequenceAfter(before)
    const firstSequence = life === null ? NO_SEQUENCE : next
    const batch = { topic, partition, messages, round, firstSequence, answer: null, inDoubt: false }
    last.set(name, batch)
    batches.push(batch)
  }
  for (const { topic, messages } of request.topicMessages) {
    const partitionMetadata = parts.cluster.findTopicPartitionMetadata(topic)
    if (partitionMetadata.length === 0) throw new errors.KafkaJSMetadataNotLoaded(`${topic} is not known yet`)
    let groups = new Map<number, Message[]>()
    const close = () => {
      for (const [partition, group] of groups) add(topic, partition, group)
      groups = new Map()
    }
    for (const message of messages) {
      if ('packed' in message) {
        close()
        const slices = slicesOf(message.packed, partitionMetadata.length, message.maxBatchBytes)
        for (const [partition, own] of slices) for (const slice of own) add(topic, partition, slice)
        continue
      }
      const partition = partitionOf(message, topic, partitionMetadata, parts.partitioner)
      const group = groups.get(partition)
      if (group === undefined) groups.set(partition, [message])
      else group.push(message)
    }
    close()
  }
  return batches
}

const sequenceAfter = ({ firstSequence, messages }: Batch) => nextSequence(firstSequence, messages.length)

function partitionOf(
  message: Message,
  topic: string,
  partitionMetadata: readonly PartitionMetadata[],
  partitioner: Partitioner,
): number {
  const { partition = null, key = null } = message
  if (partition !== null) return partition
  if (key === null) return partitioner({ topic, partitionMetadata, message })
  return murmur2(key) % partitionMetadata.length
}

/** Sends the batches in rounds, one after the other: those of a partition keep their order. */
async function sendUnanswered(
  parts: SendParts,
  request: SendRequest,
  batches: readonly Batch[],
  life: ProducerLife | null,
): Promise<void> {
  const { cluster, eosManager } = parts
  const open = batches.filter(({ answer }) => answer === null)
  const rounds = Math.max(0, ...open.map(({ round }) => round + 1))
  for (let turn = 0; turn < rounds; turn++) {
    const byLeader = new Map<number, Batch[]>()
    for (const batch of open) {
      if (batch.round !== turn) continue
      const leader = await findLeader(cluster, batch)
      const group = byLeader.get(leader)
      if (group === undefined) byLeader.set(leader, [batch])
      else group.push(batch)
    }
    const leaders = await Promise.all(
      [...byLeader].map(async ([nodeId, led]) => ({ broker: await cluster.findBroker({ nodeId }), led })),
    )
    // Those of all rounds at once: the second time there is nothing left to add.
    if (eosManager.isTransactional()) await eosManager.addPartitionsToTransaction(partitionsOf(open))
    // Each to its end: a repeat must not meet the request that it repeats.
    const outcomes = await Promise.allSettled(
      leaders.map(({ broker, led }) => sendTo(parts, request, broker, led, life)),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
}

/** @throws a retriable error while the partition has no leader, one that is not when there is no such partition */
async function findLeader(cluster: ProduceCluster, { topic, partition }: Batch): Promise<number> {
  const find = () => cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)
  let found = find()
  if (found === undefined) {
    // The topic may have grown.
    await cluster.refreshMetadata()
    found = find()
  }
  if (found === undefined)
    throw new errors.KafkaJSNonRetriableError(`${topic} has no partition ${partition} that can be written to`)
  if (found.leader === null || found.leader < 0)
    throw new errors.KafkaJSMetadataNotLoaded(`${topic}/${partition} has no leader`)
  return found.leader
}

async function sendTo(
  { eosManager, onAnswered }: SendParts,
  { acks, timeout = DEFAULT_TIMEOUT_MS, compression = 0 }: SendRequest,
  broker: ProduceBroker,
  batches: readonly Batch[],
  life: ProducerLife | null,
): Promise<void> {
  const doubted = new Map(batches.map(batch => [batch, batch.inDoubt]))
  for (const batch of batches) batch.inDoubt = true
  const topicData = toTopicData(batches)
  const { topics } = await broker.produce({
    acks,
    timeout,
    compression,
    transactionalId: eosManager.isTransactional() ? eosManager.getTransactionalId() : null,
    ...(life === null ? {} : { producerId: eosManager.getProducerId(), producerEpoch: eosManager.getProducerEpoch() }),
    topicData,
  })
  onAnswered?.(topicData)
  const answers = new Map(
    topics.flatMap(({ topicName, partitions }) => partitions.map(p => [`${topicName}/${p.partition}`, p])),
  )
  let failure: Failure | null = null
  for (const batch of batches) {
    const name = `${batch.topic}/${batch.partition}`
    const answer = answers.get(name)
    if (answer?.errorCode === 0) {
      Object.assign(batch, { answer, inDoubt: false })
      life?.sequences.set(name, sequenceAfter(batch))
    } else if (answer === undefined) {
      failure ??= new errors.KafkaJSMetadataNotLoaded(`${name} was not answered`)
    } else {
      batch.inDoubt = DOUBTFUL_ERRORS.has(answer.errorCode) || doubted.get(batch) === true
      failure ??= createErrorFromCode(answer.errorCode)
    }
  }
  if (failure !== null) throw failure
}

/** The sequence after a batch of `count` records: 2^31 - 1 is followed by 0. */
export function nextSequence(first: number, count: number): number {
  return (first + count) % SEQUENCES
}

function toTopicData(batches: readonly Batch[]): ProduceRequest['topicData'] {
  const topics = new Map<string, Batch[]>()
  for (const batch of batches) {
    const known = topics.get(batch.topic)
    if (known === undefined) topics.set(batch.topic, [batch])
    else known.push(batch)
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}

/** Each partition once, however many batches it has. */
function partitionsOf(batches: readonly Batch[]): TopicPartitions {
  const topics = new Map<string, Set<number>>()
  for (const { topic, partition } of batches) topics.set(topic, (topics.get(topic) ?? new Set()).add(partition))
  return [...topics].map(([topic, partitions]) => ({
    topic,
    partitions: [...partitions].map(partition => ({ partition })),
  }))
}

/** What a repeat needs: the connection gone is forgotten, and the leaders are asked for anew. */
async function recover(cluster: ProduceCluster, error: Failure): Promise<void> {
  if (error.retriable !== true) return
  if (error.name === 'KafkaJSConnectionClosedError') cluster.removeBroker({ host: error.host, port: error.port })
  if (!cluster.isConnected()) await cluster.connect()
  await cluster.refreshMetadata()
}
