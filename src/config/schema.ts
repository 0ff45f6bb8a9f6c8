import {
  bool,
  brokerList,
  duration,
  durationList,
  fieldChoice,
  filePath,
  identifier,
  type Kind,
  listOf,
  oneOf,
  retentionBySize,
  share,
  size,
  slidingWindows,
  text,
  timeZone,
  topicName,
  wholeNumber,
  windowDuration,
} from './kinds.ts'

/** One setting: the name that it has in the environment and in the file is its key in `SCHEMA`. */
export type Spec<T> = {
  readonly kind: Kind<T>
  /** The default as it would be written; null when the setting may be left out and then is off. */
  readonly default: string | null
  /** What it means, one sentence or two. */
  readonly doc: string
  /** A secret is never printed. */
  readonly secret: boolean
}

function required<T>(kind: Kind<T>, fallback: string, doc: string): Spec<T> & { readonly default: string } {
  return { kind, default: fallback, doc, secret: false }
}

function optional<T>(kind: Kind<T>, doc: string, secret = false): Spec<T> & { readonly default: null } {
  return { kind, default: null, doc, secret }
}

/** Every setting, in the order of the reference. `tidemark config --docs` and the loader are made from this alone. */
export const SCHEMA = {
  CONFIG_FILE: optional(
    filePath(),
    'A YAML or JSON file of settings, with the names of this table as keys. The environment wins over it. Only read from the environment.',
  ),
  KAFKA_BROKERS: required(brokerList(), 'localhost:9092', 'The brokers to ask first.'),
  KAFKA_CLIENT_ID: required(identifier(), 'tidemark', "The name of this process in the brokers' logs and quotas."),
  KAFKA_TLS_ENABLED: required(bool(), 'false', 'Speak TLS to the brokers.'),
  KAFKA_TLS_CA: optional(filePath(), "PEM file of the authorities that sign the brokers' certificates."),
  KAFKA_TLS_CERT: optional(filePath(), 'PEM file of our own certificate, together with `KAFKA_TLS_KEY`.'),
  KAFKA_TLS_KEY: optional(filePath(), "PEM file of our own certificate's key, together with `KAFKA_TLS_CERT`."),
  KAFKA_SASL_MECHANISM: optional(
    oneOf('plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'),
    'How to sign in to the brokers. For oauthbearer the password is the bearer token, and the username may be left out.',
  ),
  KAFKA_SASL_USERNAME: optional(text('any text'), 'Who signs in.'),
  KAFKA_SASL_PASSWORD: optional(text('any text'), 'With what, or use `KAFKA_SASL_PASSWORD_FILE`.', true),
  KAFKA_SASL_PASSWORD_FILE: optional(
    filePath(),
    'A file that holds the password; one line break at its end is dropped.',
  ),
  KAFKA_WAIT: required(
    duration('1s', '1h', 'orZero'),
    '0',
    'For how long a role that starts waits for a broker to answer; with 0 it asks once, for 5 s. The chart sets 60s.',
  ),
  KAFKA_DECODER: required(
    oneOf('own', 'kafkajs'),
    'own',
    "Whose code takes record batches apart into records: `kafkajs` is the client library's, much slower, for the case that ours is in doubt.",
  ),
  CONSUMER_GROUP: required(
    identifier(),
    'tidemark',
    'The first part of the consumer groups `<group>-aggregate`, `<group>-reduce` and `<group>-sink`.',
  ),
  SOURCE_TOPIC: required(topicName(), 'user-login', 'The login events.'),
  ENRICHED_TOPIC: required(topicName(), 'processed-user-login', 'The enriched events.'),
  DLQ_TOPIC: required(topicName(), 'user-login-dlq', 'The dead letters.'),
  PARTIALS_TOPIC: required(topicName(), 'login-partials', 'The partial aggregates, internal.'),
  RESULTS_TOPIC: required(topicName(), 'aggregated-usage', "The windows' results, compacted."),
  DEVICE_STATS_TOPIC: required(
    topicName(),
    'user-device-stats',
    "The windows' statistics of users and devices, compacted.",
  ),
  REPLICATION_FACTOR: required(wholeNumber(1, 100), '1', 'Copies of each partition of the topics that we create.'),
  SOURCE_PARTITIONS: required(wholeNumber(1, 10_000), '12', 'Partitions of the source topic when we create it.'),
  PARTIALS_PARTITIONS: required(
    wholeNumber(1, 1_000),
    '4',
    'Partitions of the internal topics, fixed when they are created: another number needs a new `STREAM_GENERATION`.',
  ),
  DELIVERY: required(
    oneOf('exactly-once', 'at-least-once'),
    'exactly-once',
    'Whether the aggregator writes in transactions. Totals are exact either way; the reducer always uses transactions.',
  ),
  ENRICHED_ENABLED: required(bool(), 'true', 'Write every accepted event, enriched, to `ENRICHED_TOPIC`.'),
  ENRICHED_FIELDS: optional(
    fieldChoice(),
    'The fields of an enriched event, in this order, each optionally under a name of its own. Left out: all that came and all that enrichment adds.',
  ),
  TIME_ZONE: required(
    timeZone(),
    'UTC',
    'The zone in which `hour_of_day` and `day_part` of an enriched event are told.',
  ),
  GEO_DATABASE: optional(
    filePath(),
    'A MaxMind database (mmdb) of countries or cities, read again when the file changes. Left out: the country data that comes along, a snapshot of the registries, which knows no regions.',
  ),
  USER_ID_KEY_FILE: optional(
    filePath(),
    'A file of at least 16 bytes with the key under which user ids are replaced by their HMAC-SHA-256 in enriched events. Left out: they stay as they are.',
  ),
  USER_ID_KEY_ID: required(
    identifier(),
    '1',
    'The name of that key, which each enriched event then carries in the header `user_id.key`.',
  ),
  STREAM_GENERATION: required(
    wholeNumber(1, 1_000_000),
    '1',
    'Above 1, `-g<n>` is appended to the internal and result topics and to the groups: a new count beside the old one.',
  ),
  WINDOW_SIZE: required(windowDuration(), '10s', 'The length of a window.'),
  ROLLUPS: required(
    durationList('1m', '31d'),
    '1m,1h,1d',
    'Windows that are merged from shorter ones, each length a multiple of the one before it. Each has an internal topic of its own.',
  ),
  SLIDING_WINDOWS: optional(
    slidingWindows(),
    'Windows that overlap, as size/hop: every hop one begins. Merged from the longest windows of WINDOW_SIZE or ROLLUPS of which a hop is a multiple.',
  ),
  SESSION_GAP: required(
    duration('1s', '1d'),
    '30m',
    'Logins of a user that are further apart than this belong to two sessions.',
  ),
  USER_SAMPLE_SIZE: required(
    wholeNumber(16, 16_384),
    '1024',
    'Users of a window whose logins, devices and sessions are followed one by one. Up to so many the figures of users are exact, beyond that they are estimates.',
  ),
  ALLOWED_LATENESS: required(
    duration('0', '7d'),
    '30s',
    "An event is late when its window ended longer ago than this on its partition's event-time clock.",
  ),
  MAX_FUTURE_SKEW: required(
    duration('0', '7d'),
    '5m',
    "An event further ahead of its record's timestamp than this is rejected.",
  ),
  CORRECTION_HORIZON: required(
    duration('0', '30d'),
    '5m',
    'For how long a final window can still be corrected by a partial that was under way.',
  ),
  FLUSH_INTERVAL: required(duration('10ms', '1m'), '1s', 'How often what was counted is sent and committed.'),
  FLUSH_MAX_BYTES: required(
    size('64KiB', '32MiB'),
    '4MiB',
    'What waits to be sent for one partition is sent at once when it is more than this. Twice as much stops the partition until it is sent.',
  ),
  FLUSH_MAX_EVENTS: required(
    wholeNumber(0, 1_000_000_000),
    '0',
    'Events of one partition after which an aggregator tells what it has counted before FLUSH_INTERVAL is over; 0 leaves it to time and bytes.',
  ),
  EMIT_INTERVAL: required(duration('10ms', '1h'), '1s', "How often a window's provisional result is renewed, at most."),
  EMIT_EVERY_EVENTS: required(
    wholeNumber(0, 1_000_000_000),
    '0',
    'Events by which a window grows before its provisional result is renewed without waiting for EMIT_INTERVAL; 0 leaves it to time.',
  ),
  IDLE_TIMEOUT: required(
    duration('100ms', '1h'),
    '5s',
    'A partition without new records for this long counts as idle, and its windows close as time passes.',
  ),
  SESSION_TIMEOUT: required(
    duration('1s', '30m'),
    '10s',
    "A process that Kafka hears nothing from for this long loses its partitions. The broker's own least is 6s unless changed there.",
  ),
  CHUNK_SIZE: required(
    wholeNumber(16, 16_777_216),
    '8192',
    'Offsets in a chunk: the most that a new owner ever has to read again.',
  ),
  MAX_WINDOWS: required(
    wholeNumber(16, 10_000_000),
    '1000',
    'Windows that a reducer holds for one partition before it parks those furthest ahead; each takes up to 25 KB for every source partition.',
  ),
  MAX_DIMENSION_VALUES: required(
    wholeNumber(1, 50_000),
    '1000',
    'Distinct values that one window counts for one dimension; past it the result says `exact: false`.',
  ),
  MAX_EVENT_BYTES: required(size('128B', '64MiB'), '1MiB', 'A longer event is rejected as `too_large`.'),
  MAX_EVENT_DEPTH: required(
    wholeNumber(1, 1_000),
    '64',
    'An event that nests objects and arrays deeper than this is rejected as `too_deep`; the event itself is level 1.',
  ),
  VALIDATION_REQUIRED: required(
    listOf('user_id', 'device_type', 'device_id', 'locale', 'timestamp', 'app_version', 'ip'),
    'user_id,timestamp',
    'Fields without which an event is rejected. `user_id` and `timestamp` are required in any case.',
  ),
  REJECTED_SHARE: required(
    share(),
    '10%',
    'A partition of which a larger share is rejected is said so loudly; counting goes on.',
  ),
  REJECTED_SHARE_WINDOW: required(duration('1s', '1h'), '1m', 'The time over which that share is taken.'),
  CORRUPT_BATCHES: required(
    oneOf('wait', 'skip'),
    'wait',
    'What an aggregator does at a record batch that cannot be read, after some tries: wait there, trying on, or skip it, with a dead letter `corrupt_batch` and a gap in the coverage of every result from then on.',
  ),
  MAX_BATCH_BYTES: required(
    size('1MiB', '1GiB'),
    '64MiB',
    'A compressed record batch that would be larger than this when unpacked counts as one that cannot be read.',
  ),
  COMPRESSION: required(
    oneOf('none', 'gzip', 'snappy', 'lz4', 'zstd'),
    'none',
    'How the record batches that we write are compressed. All of these can be read in any case.',
  ),
  DATABASE_URL: optional(
    text('a PostgreSQL URL, as postgresql://user:password@host:5432/database'),
    'Where `sink` writes results, or use `DATABASE_URL_FILE`. Left out: a database inside the process (PGlite).',
    true,
  ),
  DATABASE_URL_FILE: optional(filePath(), 'A file that holds the URL; one line break at its end is dropped.'),
  DATABASE_DIR: optional(
    text('the path of a folder'),
    'Where the database inside the process keeps its files. Left out: in memory, filled anew from the topic at each start.',
  ),
  RESULT_RETENTION: optional(
    retentionBySize(),
    'For how long `sink` and `serve` keep windows of a size. Left out, or for sizes not named: the latest 20,000 windows of it.',
  ),
  HTTP_PORT: required(
    wholeNumber(0, 65_535),
    '8080',
    'Where a role answers `/livez`, `/readyz`, `/healthz` and `/metrics`, and `serve` the API; 0 opens no port, which `serve` refuses. Roles on one machine need a port each, or none.',
  ),
  HEALTH_MAX_STALL: required(
    duration('10s', '1h'),
    '2m',
    '`/livez` fails when records wait, the brokers answer, and a partition has shown no progress for this long.',
  ),
  HEALTH_MAX_LAG: required(
    wholeNumber(0, 999_999_999_999),
    '1000000',
    'Records that may wait for a process before `/healthz` says `exceeded`.',
  ),
  HEALTH_MAX_FLUSH: required(
    duration('10ms', '10m'),
    '5s',
    'How long the slowest flush of the last minute may have taken, from its capture to its commit, likewise.',
  ),
  HEALTH_MAX_MEMORY: required(
    share(),
    '90%',
    "The share of the container's memory that a process may use, likewise. The error rate's threshold is `REJECTED_SHARE`.",
  ),
  HEALTH_FAIL_ON: optional(
    listOf('container', 'lag', 'error_rate', 'processing_time'),
    'The checks of `/healthz` that make it answer 503 when they say `exceeded`. Left out: it always answers 200.',
  ),
  MAX_EVENTS_PER_SECOND: required(
    wholeNumber(0, 1_000_000_000),
    '0',
    'The most login events that an aggregator takes in a second, over all of its partitions; 0 is no limit. The rest waits in the topic.',
  ),
  KUBERNETES_ENABLED: required(
    bool(),
    'false',
    'In a pod: tell the cluster which pod to end first, keep the scaling limit equal to the partitions, and record Events. What each role needs is in the chart.',
  ),
  POD_NAME: optional(text('the name of a pod'), "This pod's name, with `KUBERNETES_ENABLED`."),
  POD_NAMESPACE: optional(text('the name of a namespace'), "This pod's namespace, with `KUBERNETES_ENABLED`."),
  KUBERNETES_WORKLOAD: optional(
    text('the name of a Deployment'),
    'The Deployment that this pod belongs to: Events are recorded on it, and a Lease of its name chooses who keeps the scaling limit. Left out: neither.',
  ),
  KUBERNETES_SCALED_OBJECT: optional(
    text('the name of a ScaledObject'),
    "KEDA's ScaledObject of the aggregators, whose `maxReplicaCount` is kept equal to the partitions of `SOURCE_TOPIC`. Left out: it is left alone.",
  ),
  STATS_INTERVAL: required(
    duration('1s', '1h', 'orZero'),
    '10s',
    'How often `aggregate` and `reduce` print statistics; 0 never.',
  ),
  LOG_LEVEL: required(
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    'info',
    'The least severe lines that are logged. SIGUSR2 makes a running role log more (debug, or trace when it is debug), and a second one as before.',
  ),
  LOG_FORMAT: required(
    oneOf('tidemark', 'ecs'),
    'tidemark',
    'The names of the fields of a log line: our own, or those of the Elastic Common Schema for shippers to Elasticsearch.',
  ),
} satisfies Record<string, Spec<unknown>>

export type SettingName = keyof typeof SCHEMA

/** The parsed value of every setting; null for an optional one that was not given. */
export type SettingValues = {
  readonly [Name in SettingName]: (typeof SCHEMA)[Name] extends Spec<infer T> & { readonly default: infer D }
    ? D extends string
      ? T
      : T | null
    : never
}

export const SETTING_NAMES = Object.keys(SCHEMA) as readonly SettingName[]
