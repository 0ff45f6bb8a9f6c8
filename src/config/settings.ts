import type { ChosenField, Sliding } from './kinds.ts'

/** All settings of every role: typed, complete and frozen. Durations are milliseconds, sizes bytes or counts. */
export type Settings = {
  readonly kafka: KafkaSettings
  /** For how long a role that starts waits for a broker; 0 asks once. */
  readonly kafkaWaitMs: number
  readonly consumerGroup: string
  readonly topics: {
    readonly source: string
    readonly enriched: string
    readonly deadLetters: string
    readonly partials: string
    readonly results: string
    readonly deviceStats: string
    readonly replicationFactor: number
    /** How many partitions `tidemark topics` gives a source topic that it creates. */
    readonly sourcePartitions: number
    /** The partition count of the internal topics, fixed at creation. */
    readonly partialsPartitions: number
  }
  readonly delivery: 'exactly-once' | 'at-least-once'
  readonly enriched: {
    readonly enabled: boolean
    /** Null: all fields. */
    readonly fields: readonly ChosenField[] | null
    /** IANA name. */
    readonly timeZone: string
    /** Path of a MaxMind database; null for the one that comes along. */
    readonly geoDatabase: string | null
    /** Path of the key under which user ids are hashed, and the key's name; null leaves them as they are. */
    readonly userIdKey: { readonly file: string; readonly id: string } | null
  }
  readonly generation: number
  readonly windowSizeMs: number
  /** Lengths of the windows that are merged from shorter ones, ascending. */
  readonly rollupsMs: readonly number[]
  readonly slidingWindows: readonly Sliding[]
  /** Logins of a user further apart than this are two sessions. */
  readonly sessionGapMs: number
  /** Users that a window follows one by one. */
  readonly userSampleSize: number
  readonly allowedLatenessMs: number
  readonly maxFutureSkewMs: number
  readonly correctionHorizonMs: number
  readonly flushIntervalMs: number
  /** Bytes waiting to be sent for one partition that are sent at once. */
  readonly flushMaxBytes: number
  /** Events of one partition after which it is flushed early; 0 never. */
  readonly flushMaxEvents: number
  readonly emitIntervalMs: number
  /** Events after which a provisional result is renewed early; 0 never. */
  readonly emitEveryEvents: number
  readonly idleTimeoutMs: number
  /** Offsets in a chunk: the most that a new owner ever has to read again. */
  readonly chunkSize: number
  /** Windows that a reducer holds for one partition before it parks those furthest ahead. */
  readonly maxWindows: number
  /** Distinct values that a counter keeps for one dimension of one window. */
  readonly maxDimensionValues: number
  readonly maxEventBytes: number
  /** Levels of nesting, the event itself being 1. */
  readonly maxEventDepth: number
  /** Fields without which an event is rejected: sorted, and always with user_id and timestamp. */
  readonly validationRequired: readonly EventField[]
  /** A larger share (0 to 1) of rejected events over `windowMs` is said loudly. */
  readonly rejectedShare: { readonly limit: number; readonly windowMs: number }
  /** Whose code takes record batches apart into records. */
  readonly kafkaDecoder: 'own' | 'kafkajs'
  readonly corruptBatches: 'wait' | 'skip'
  /** The most that a record batch may unpack to. */
  readonly maxBatchBytes: number
  readonly compression: Compression
  /** Where results are written; null for the database inside the process, with its folder, null for memory. */
  readonly databaseUrl: string | null
  readonly databaseDir: string | null
  /** By window size in milliseconds: for how long windows are kept. */
  readonly resultRetention: ReadonlyMap<number, number>
  /** The port for health and metrics; null for none. */
  readonly httpPort: number | null
  readonly health: HealthSettings
  /** Login events that an aggregator takes in a second; 0 is no limit. */
  readonly maxEventsPerSecond: number
  /** Where this process runs in a cluster; null when it asks nothing of one. */
  readonly kubernetes: KubernetesSettings | null
  /** How often `aggregate` and `reduce` print statistics; 0 never. */
  readonly statsIntervalMs: number
  readonly sessionTimeoutMs: number
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  /** The names of the fields of log lines. */
  readonly logFormat: 'tidemark' | 'ecs'
}

/** The names by which a pod finds itself and what it belongs to. */
export type KubernetesSettings = {
  readonly podName: string
  readonly namespace: string
  /** The pod's Deployment; null when no Events are to be recorded. */
  readonly workload: string | null
  /** The ScaledObject whose limit follows the partitions; null when it is left alone. */
  readonly scaledObject: string | null
}

/** The thresholds of the health reports. */
export type HealthSettings = {
  /** For how long a partition may show no progress while records wait. */
  readonly maxStallMs: number
  /** Records that may wait for one process. */
  readonly maxLag: number
  /** How long a flush may take. */
  readonly maxFlushMs: number
  /** A share (0 to 1) of the container's memory. */
  readonly maxMemoryShare: number
  /** The checks that fail the report when their threshold is passed. */
  readonly failOn: readonly HealthCheckName[]
}

export type HealthCheckName = 'container' | 'lag' | 'error_rate' | 'processing_time'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export type EventField = 'user_id' | 'device_type' | 'device_id' | 'locale' | 'timestamp' | 'app_version' | 'ip'

export type KafkaSettings = {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** The files' contents in PEM, read when the settings were loaded. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null } | null
  readonly sasl: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer'
    /** May be empty for oauthbearer only. */
    readonly username: string
    /** For oauthbearer the bearer token. */
    readonly password: string
  } | null
}
