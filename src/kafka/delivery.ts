import type { Kafka, Producer, Transaction } from 'kafkajs'
import type { Compression } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import type { Delivery } from '../runtime/ports.ts'
import { PackedRecords } from '../tasks/packedRecords.ts'
import type { Commit, Output } from '../tasks/task.ts'
import type { Traceparent } from '../tasks/traceContext.ts'
import { javaPartitioner } from './client.ts'
import { deliveryError } from './kafkaErrors.ts'
import { type BatchLimits, sendRequest, type TopicNames, toRequests } from './outgoing.ts'
import { kafkaWatch } from './watch.ts'
import { CODEC_IDS } from './wire/codecs.ts'

export type TransactionalDeliveryOptions = {
  readonly kafka: Kafka
  /** One per partition and stage (names.ts): a later owner's fence ends this one. */
  readonly transactionalId: string
  readonly groupId: string
  readonly sourceTopic: string
  readonly partition: number
  readonly topicNames: TopicNames
  readonly batchLimits?: BatchLimits
  readonly compression?: Compression
  /** After this time without a commit the broker aborts the transaction; 15,000 ms by default. */
  readonly transactionTimeoutMs?: number
}

const TRANSACTION_TIMEOUT_MS = 15_000
/** About 12 s of retries: past the transaction's time they could not succeed. */
const TRANSACTION_RETRIES = 8

type Epoch = { readonly producer: Producer; transaction: Transaction | null }

/**
 * Exactly once: records and commit become visible together, or not at all. After any failure every call but `fence`
 * throws `fenced`.
 *
 * The broker answers a commit before it has written the markers that make it visible, so a commit that is read right
 * after it may be the one before. Reading after a `fence` is sure: it waits for those markers.
 */
export function createTransactionalDelivery(options: TransactionalDeliveryOptions): Delivery {
  const { transactionalId, groupId, sourceTopic, partition, topicNames, batchLimits } = options
  const codec = CODEC_IDS[options.compression ?? 'none']
  let epoch: Epoch | null = null
  let unused: Transaction | null = null
  let context: Traceparent | null = null
  let closed = false

  const discard = () => {
    const old = epoch
    epoch = null
    unused = null
    return old?.producer.disconnect().catch(() => {})
  }
  /** Runs a step of the present epoch; its failure ends the epoch. */
  const step = async <T>(what: string, run: (current: Epoch) => Promise<T>): Promise<T> => {
    const current = epoch
    if (current === null) throw new TidemarkError('fenced', `${what}: ${transactionalId} has to be fenced anew`)
    try {
      return await run(current)
    } catch (cause) {
      if (epoch === current) void discard()
      const error = deliveryError(`${what} (${transactionalId})`, cause)
      kafkaWatch()?.transaction(error.code === 'fenced' ? 'fenced' : 'failed')
      throw error
    }
  }
  const open = (current: Epoch) => {
    if (current.transaction === null) throw new TidemarkError('delivery_failed', 'no transaction has begun')
    return current.transaction
  }

  return {
    async fence() {
      void discard()
      const producer = createTransactionalProducer(options)
      try {
        await producer.connect()
        // The first transaction() sends InitProducerId, which bumps the epoch and ends an owner's open transaction, and
        // repeats it while that one is being ended. It is used by the first begin().
        const first = await producer.transaction()
        if (closed) throw new TidemarkError('fenced', `${transactionalId} was closed meanwhile`)
        unused = first
        epoch = { producer, transaction: null }
      } catch (cause) {
        await producer.disconnect().catch(() => {})
        throw deliveryError(`fence of ${transactionalId}`, cause)
      }
    },
    begin: (_, told = null) => {
      context = told
      return step('begin', async current => {
        current.transaction = unused ?? (await current.producer.transaction())
        unused = null
      })
    },
    send: records =>
      step('send', async current => {
        for (const request of toRequests(records, topicNames, batchLimits)) {
          await sendRequest(open(current).sendBatch, request, codec)
        }
        release(records)
      }),
    commit: ({ offset, metadata }: Commit) =>
      step('commit', async current => {
        const sentAt = performance.now()
        const partitions = [{ partition, offset: String(offset), metadata }]
        await open(current).sendOffsets({ consumerGroupId: groupId, topics: [{ topic: sourceTopic, partitions }] })
        await open(current).commit()
        current.transaction = null
        kafkaWatch()?.transaction('committed')
        kafkaWatch()?.committed((performance.now() - sentAt) / 1_000, context)
      }),
    close: async () => {
      closed = true
      await discard()
    },
  }
}

/** All of it is acknowledged: nobody reads the packed records any more. */
function release(outputs: readonly Output[]): void {
  for (const output of outputs) if (output instanceof PackedRecords) output.release()
}

function createTransactionalProducer(options: TransactionalDeliveryOptions): Producer {
  return options.kafka.producer({
    transactionalId: options.transactionalId,
    // Not `idempotent`: that makes connect() fetch a second, unused producer id. Transactions always are.
    transactionTimeout: options.transactionTimeoutMs ?? TRANSACTION_TIMEOUT_MS,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: javaPartitioner,
    retry: { retries: TRANSACTION_RETRIES },
  })
}

/** A producer for everything that a process sends at least once; connect it before and disconnect it after use. */
export function createSharedProducer(kafka: Kafka): Producer {
  // Not idempotent: kafkajs loses one of two concurrent idempotent sends after an error, and repeats are harmless here.
  return kafka.producer({ allowAutoTopicCreation: false, createPartitioner: javaPartitioner })
}

export type AtLeastOnceDeliveryOptions = {
  readonly producer: Pick<Producer, 'sendBatch'>
  readonly topicNames: TopicNames
  readonly batchLimits?: BatchLimits
  readonly compression?: Compression
  /** Commits through the membership, in the generation that owns the partition. */
  readonly commit: (commit: Commit) => Promise<void>
}

/** At least once: records are acknowledged before the commit; an earlier owner can only repeat them. */
export function createAtLeastOnceDelivery(options: AtLeastOnceDeliveryOptions): Delivery {
  const { producer, topicNames, batchLimits, commit } = options
  const codec = CODEC_IDS[options.compression ?? 'none']
  let context: Traceparent | null = null
  return {
    fence: async () => {},
    begin: async (_, told = null) => {
      context = told
    },
    async send(records) {
      try {
        for (const request of toRequests(records, topicNames, batchLimits)) {
          await sendRequest(producer.sendBatch, request, codec)
        }
        release(records)
      } catch (cause) {
        throw deliveryError('send', cause)
      }
    },
    async commit(statement) {
      const sentAt = performance.now()
      await commit(statement)
      kafkaWatch()?.committed((performance.now() - sentAt) / 1_000, context)
    },
    close: async () => {},
  }
}
