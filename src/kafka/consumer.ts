import type { Consumer, Kafka } from 'kafkajs'
import type { Settings } from '../config/settings.ts'
import type { StickyAssigner } from './stickyAssigner.ts'

export type ConsumerOptions = {
  readonly kafka: Kafka
  readonly groupId: string
  readonly settings: Pick<Settings, 'sessionTimeoutMs'>
  /** Records that the owner takes in a second; 0, the default, is no limit. */
  readonly maxRecordsPerSecond?: number
}

/** What comes slowly is fetched ten times a second and a broker, not for each few records: that costs several times the CPU. */
const FETCH_WAIT_MS = 100
const FETCH_LEAST_BYTES = 16 * 1024
/** Small fetches hold memory down at little cost in speed. */
const FETCH_BYTES = 2 * 1024 * 1024
/**
 * As large as record batches get by default: of a partition whose next batch is larger, a fetch brings nothing, or it
 * alone.
 */
const PARTITION_FETCH_BYTES = 1024 * 1024
/** With a limit on records a fetch brings less than a second's worth, so that partitions take turns: no event is shorter. */
const LEAST_EVENT_BYTES = 64
/** New partitions of the source topic are noticed within this time. */
const METADATA_AGE_MS = 10_000
/** Low, because kafkajs starts a consumer anew (finding its coordinator again) only after the last retry. */
const CONSUMER_RETRIES = 6

/** The consumer of one member: small fetches, no offsets of its own, patience for brokers that are away. */
export function createConsumer(options: ConsumerOptions, assigner: StickyAssigner): Consumer {
  const { kafka, groupId, settings, maxRecordsPerSecond = 0 } = options
  const limit = maxRecordsPerSecond === 0 ? PARTITION_FETCH_BYTES : maxRecordsPerSecond * LEAST_EVENT_BYTES
  const partitionBytes = Math.min(PARTITION_FETCH_BYTES, limit)
  return kafka.consumer({
    groupId,
    partitionAssigners: [assigner.create],
    sessionTimeout: settings.sessionTimeoutMs,
    rebalanceTimeout: Math.max(2 * settings.sessionTimeoutMs, 10_000),
    heartbeatInterval: Math.floor(settings.sessionTimeoutMs / 5),
    // What one partition may bring is waited for no longer: a limit on records is not to become a lower one.
    minBytes: Math.min(FETCH_LEAST_BYTES, partitionBytes),
    maxWaitTimeInMs: FETCH_WAIT_MS,
    maxBytes: FETCH_BYTES,
    maxBytesPerPartition: partitionBytes,
    metadataMaxAge: METADATA_AGE_MS,
    allowAutoTopicCreation: false,
    retry: { retries: CONSUMER_RETRIES },
  })
}
