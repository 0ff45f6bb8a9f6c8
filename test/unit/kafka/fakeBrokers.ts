import { createRequire } from 'node:module'
import type { PartitionAnswer, ProduceBroker, ProduceCluster } from '../../../src/kafka/produce.ts'
import type { BatchRecords, ProduceRequest } from '../../../src/kafka/wire/encode.ts'
import { PackedSlice } from '../../../src/kafka/wire/packedSlice.ts'

const { KafkaJSConnectionClosedError } = createRequire(import.meta.url)('kafkajs/src/errors.js')

/** What happens to a request: it or its answer is lost with the connection, or one partition refuses it. */
export type Fault =
  | 'lost request'
  | 'lost answer'
  | {
      readonly refuse: string
      readonly errorCode: number
      /** Whether it has been written before: a leader may be gone while it waits for its replicas. */
      readonly appended?: boolean
    }
  | null

/** Timed out, and too few replicas: both say so after the append. */
const SAID_AFTER_APPEND = new Set([7, 20])

const NOT_LEADER = 6
const OUT_OF_ORDER = 45

/** Brokers that append as Kafka's do: by sequence where there is one, a repeat of the last batch not again. */
export class FakeBrokers implements ProduceCluster {
  readonly requests: {
    readonly partitions: readonly string[]
    readonly sequences: readonly (number | undefined)[]
    readonly transactionalId: string | null | undefined
    readonly producerId: unknown
    readonly producerEpoch: unknown
  }[] = []
  /** One for each request to come. */
  readonly faults: Fault[] = []
  /** Brokers whose connections break before a request is sent. */
  readonly failing = new Set<number>()
  onRefresh = () => {}
  readonly #leaders: Map<string, number[]>
  readonly #logs = new Map<string, { values: string[]; next: number; repeatOf: number; baseOffset: number }>()

  constructor(leaders: Readonly<Record<string, readonly number[]>>) {
    this.#leaders = new Map(Object.entries(leaders).map(([topic, ids]) => [topic, [...ids]]))
  }

  /** Values by partition. */
  logs(): Record<string, string[]> {
    return Object.fromEntries([...this.#logs].map(([name, { values }]) => [name, values]))
  }

  lead(topic: string, partition: number, leader: number): void {
    const leaders = this.#leaders.get(topic) ?? []
    leaders[partition] = leader
  }

  async addMultipleTargetTopics(): Promise<void> {}
  async refreshMetadataIfNecessary(): Promise<void> {}
  async refreshMetadata(): Promise<void> {
    this.onRefresh()
  }
  findTopicPartitionMetadata(topic: string) {
    return (this.#leaders.get(topic) ?? []).map((leader, partitionId) => ({ partitionId, leader }))
  }
  isConnected(): boolean {
    return true
  }
  async connect(): Promise<void> {}
  removeBroker(): void {}

  async findBroker({ nodeId }: { nodeId: number }): Promise<ProduceBroker> {
    return { produce: request => this.#produce(nodeId, request) }
  }

  async #produce(nodeId: number, request: ProduceRequest): ReturnType<ProduceBroker['produce']> {
    await Promise.resolve()
    if (this.failing.has(nodeId)) throw new KafkaJSConnectionClosedError('closed', { host: 'h', port: nodeId })
    const fault = this.faults.shift() ?? null
    const named = request.topicData.flatMap(({ topic, partitions }) => {
      return partitions.map(part => ({ ...part, topic, name: `${topic}/${part.partition}` }))
    })
    this.requests.push({
      partitions: named.map(({ name }) => name),
      sequences: named.map(({ firstSequence }) => firstSequence),
      transactionalId: request.transactionalId,
      producerId: request.producerId,
      producerEpoch: request.producerEpoch,
    })
    if (fault === 'lost request') throw new KafkaJSConnectionClosedError('closed', { host: 'h', port: nodeId })
    const answers = named.map(part => {
      if (this.#leaders.get(part.topic)?.[part.partition] !== nodeId) return refusal(part.partition, NOT_LEADER)
      if (fault !== null && typeof fault === 'object' && fault.refuse === part.name) {
        if (fault.appended === true || SAID_AFTER_APPEND.has(fault.errorCode)) this.#append(part)
        return refusal(part.partition, fault.errorCode)
      }
      return this.#append(part)
    })
    if (fault === 'lost answer') throw new KafkaJSConnectionClosedError('closed', { host: 'h', port: nodeId })
    const topics = request.topicData.map(({ topic }) => {
      return { topicName: topic, partitions: answers.filter((_, i) => named[i]?.topic === topic) }
    })
    return { topics }
  }

  #append(part: { name: string; partition: number; firstSequence?: number; messages: BatchRecords }) {
    const { name, partition, firstSequence = -1, messages } = part
    const log = this.#logs.get(name) ?? { values: [], next: 0, repeatOf: -1, baseOffset: 0 }
    if (firstSequence >= 0 && firstSequence === log.repeatOf)
      return { partition, errorCode: 0, baseOffset: String(log.baseOffset) }
    if (firstSequence >= 0 && firstSequence !== log.next) return refusal(partition, OUT_OF_ORDER)
    const baseOffset = log.values.length
    const values = messages instanceof PackedSlice ? valuesOf(messages) : messages.map(({ value }) => String(value))
    log.values.push(...values)
    this.#logs.set(name, { values: log.values, next: log.next + messages.length, repeatOf: firstSequence, baseOffset })
    return { partition, errorCode: 0, baseOffset: String(baseOffset) }
  }
}

/** What the records of a pack's slice say. */
function valuesOf({ packed, indices }: PackedSlice): string[] {
  const all = [...packed.records()].map(({ value }) => value)
  return [...indices].map(index => all[index] as string)
}

const refusal = (partition: number, errorCode: number): PartitionAnswer => ({ partition, errorCode, baseOffset: '-1' })
