import { CODE_MEANINGS } from '../events/codes.ts'

/** The processes that tell metrics; every series of one carries its name as the label `role`. */
export const ROLES = ['aggregate', 'reduce', 'sink', 'serve'] as const

export type Role = (typeof ROLES)[number]

/** A metric as Prometheus sees it. The last word of its name is its unit: none counts things, `total` of a counter apart. */
export type MetricSpec = {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly roles: readonly Role[]
  /** Beside `role`. Each is bounded: partitions, or words of a list that the code closes. */
  readonly labels?: readonly string[]
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[]
}

/** What goes before every name. */
export const PREFIX = 'tidemark_'

const GROUPED = ['aggregate', 'reduce', 'sink'] as const
const STAGES = ['aggregate', 'reduce'] as const
const FLUSH_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const RESTORE_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Of Kafka requests: those for records wait at the broker until there are some, for up to 5 s. */
const KAFKA_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15]
const REBALANCE_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const PARTITION = ['partition'] as const

/** Every metric of Tidemark by its name behind the prefix. Nothing else makes one, and the reference is made from this. */
export const METRICS = {
  build_info: {
    type: 'gauge',
    help: 'Constantly 1: what runs here.',
    roles: ROLES,
    labels: ['version', 'node'],
  },
  events_total: {
    type: 'counter',
    help: 'Login events by what became of them.',
    roles: ['aggregate'],
    labels: ['outcome'],
  },
  rejected_events_total: {
    type: 'counter',
    help: 'Rejected login events by why; see error.code of dead letters.',
    roles: ['aggregate'],
    labels: ['code'],
  },
  rejected_share_ratio: {
    type: 'gauge',
    help: 'Share of rejected events over REJECTED_SHARE_WINDOW.',
    roles: ['aggregate'],
    labels: PARTITION,
  },
  rejected_share_alarm: {
    type: 'gauge',
    help: '1 while that share is above REJECTED_SHARE, else 0.',
    roles: ['aggregate'],
    labels: PARTITION,
  },
  sent_records_total: {
    type: 'counter',
    help: 'Records written and committed.',
    roles: STAGES,
    labels: ['output'],
  },
  partial_bytes_total: {
    type: 'counter',
    help: 'Bytes of the values written to the internal topics: partials, and the progress that follows them.',
    roles: STAGES,
  },
  results_total: {
    type: 'counter',
    help: 'Results written and committed, by the size of their window and their status: corrected ones were final before.',
    roles: ['reduce'],
    labels: ['size', 'status'],
  },
  transactions_total: {
    type: 'counter',
    help: 'Transactions by how they ended: committed, fenced by another owner, or failed, to be aborted by the brokers.',
    roles: STAGES,
    labels: ['outcome'],
  },
  notices_total: {
    type: 'counter',
    help: 'What people should hear of, as the log tells it: gaps, partials that came too late, and so on.',
    roles: STAGES,
    labels: ['kind'],
  },
  restarts_total: {
    type: 'counter',
    help: 'How often the state of a partition was thrown away to be restored, by the code of the error.',
    roles: GROUPED,
    labels: ['code'],
  },
  flush_duration_seconds: {
    type: 'histogram',
    help: 'Time from the capture of outputs (sink: the begin of a transaction) to their commit.',
    roles: GROUPED,
    buckets: FLUSH_BUCKETS,
  },
  commit_duration_seconds: {
    type: 'histogram',
    help: 'The part of a flush from the last acknowledged record to the end of the commit.',
    roles: STAGES,
    buckets: FLUSH_BUCKETS,
  },
  restore_duration_seconds: {
    type: 'histogram',
    help: "Time from the begin of a partition's restore until its outputs flow.",
    roles: STAGES,
    buckets: RESTORE_BUCKETS,
  },
  rebalances_total: { type: 'counter', help: 'Assignments that the group has given us.', roles: GROUPED },
  rebalance_duration_seconds: {
    type: 'histogram',
    help: 'Time from the wish to join, the last flush of an assignment before included, until the group has assigned.',
    roles: GROUPED,
    buckets: REBALANCE_BUCKETS,
  },
  kafka_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from the sending of a request to its answer, by what is asked; Fetch waits for records at the broker.',
    roles: ROLES,
    labels: ['api'],
    buckets: KAFKA_BUCKETS,
  },
  kafka_request_timeouts_total: {
    type: 'counter',
    help: 'Requests that no broker answered in time.',
    roles: ROLES,
    labels: ['api'],
  },
  assigned_partitions: { type: 'gauge', help: 'Partitions that are ours.', roles: GROUPED },
  partition_live: {
    type: 'gauge',
    help: '1 once the state is rebuilt and outputs flow, else 0.',
    roles: GROUPED,
    labels: PARTITION,
  },
  partition_position: { type: 'gauge', help: 'The next offset to be processed.', roles: ROLES, labels: PARTITION },
  partition_committed_offset: {
    type: 'gauge',
    help: 'Everything below it is processed and committed.',
    roles: GROUPED,
    labels: PARTITION,
  },
  partition_lag_records: {
    type: 'gauge',
    help: 'Offsets between our position and the end of the log.',
    roles: ROLES,
    labels: PARTITION,
  },
  partition_clock_timestamp_seconds: {
    type: 'gauge',
    help: 'Event time that the partition has reached; in a reducer, what all of its sources have passed.',
    roles: STAGES,
    labels: PARTITION,
  },
  partition_windows: {
    type: 'gauge',
    help: 'Windows held in memory.',
    roles: STAGES,
    labels: PARTITION,
  },
  chunks_total: {
    type: 'counter',
    help: 'Chunks begun, those of a replay included: each ends the partials of the one before.',
    roles: ['aggregate'],
  },
  reduced_windows: {
    type: 'gauge',
    help: 'Windows that the partitions of this process hold, by size and by the status of their next result.',
    roles: ['reduce'],
    labels: ['size', 'status'],
  },
  source_clock_timestamp_seconds: {
    type: 'gauge',
    help: 'Event time up to which a source partition has told all, as this reducer knows: the least of them closes windows.',
    roles: ['reduce'],
    labels: ['source'],
  },
  newest_final_timestamp_seconds: {
    type: 'gauge',
    help: 'End of the newest window that is final, by size; in a reducer, of which all partitions here have told it.',
    roles: ['reduce', 'serve'],
    labels: ['size'],
  },
  newest_window_timestamp_seconds: {
    type: 'gauge',
    help: 'End of the newest window of which there is a result, by size.',
    roles: ['serve'],
    labels: ['size'],
  },
  partition_corrupt_batch_waiting: {
    type: 'gauge',
    help: '1 while it waits at an unreadable batch, else 0.',
    roles: GROUPED,
    labels: PARTITION,
  },
  corrupt_batches_total: {
    type: 'counter',
    help: 'Unreadable record batches that were met.',
    roles: ['aggregate', 'reduce', 'serve'],
  },
  processed_offsets_total: {
    type: 'counter',
    help: 'Offsets processed, those read again by a new owner and those without a record included.',
    roles: STAGES,
  },
  sink_results_total: {
    type: 'counter',
    help: 'Results handed to the database, each window once in a batch.',
    roles: ['sink'],
  },
  sink_rows_written_total: {
    type: 'counter',
    help: 'Rows of windows that were written: a result that is known changes none.',
    roles: ['sink'],
  },
  sink_last_write_timestamp_seconds: {
    type: 'gauge',
    help: 'When a batch was last committed to the database; 0 before the first.',
    roles: ['sink'],
  },
  sink_foreign_records_total: {
    type: 'counter',
    help: 'Records of the results topic that are no results.',
    roles: ['sink'],
  },
  sink_refused_results_total: {
    type: 'counter',
    help: 'Results that the database does not take.',
    roles: ['sink'],
  },
  sink_pruned_windows_total: {
    type: 'counter',
    help: 'Windows deleted since they are past their retention.',
    roles: ['sink'],
  },
  database_errors_total: {
    type: 'counter',
    help: 'Calls that failed since the database was not available.',
    roles: ['sink'],
  },
  database_up: { type: 'gauge', help: '1 while the database does what is asked of it, else 0.', roles: ['sink'] },
  http_requests_total: {
    type: 'counter',
    help: 'Requests answered, by path and status.',
    roles: ['serve'],
    labels: ['route', 'status'],
  },
  http_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from the head of a request to the end of its answer.',
    roles: ['serve'],
    labels: ['route'],
    buckets: REQUEST_BUCKETS,
  },
  result_records_total: {
    type: 'counter',
    help: 'Records of the results topic, by what became of them.',
    roles: ['serve'],
    labels: ['outcome'],
  },
  read_failures_total: {
    type: 'counter',
    help: 'Reads of the results topic that failed and were repeated.',
    roles: ['serve'],
  },
  windows_held: { type: 'gauge', help: 'Windows that are held, by size.', roles: ['serve'], labels: ['size'] },
  ready: {
    type: 'gauge',
    help: '1 once all results that there were at the start have been read.',
    roles: ['serve'],
  },
} as const satisfies Readonly<Record<string, MetricSpec>>

export type MetricName = keyof typeof METRICS

/** The codes of errors after which a partition is restored; any other error ends the process. */
export const FAILURES = [
  'fenced',
  'unassigned',
  'delivery_failed',
  'unreachable',
  'refused_beyond_log',
  'other',
] as const

/** How a transaction may end. */
export const TRANSACTION_OUTCOMES = ['committed', 'fenced', 'failed'] as const

/** The Kafka requests that are told by name; all others are `other`. */
export const KAFKA_APIS = [
  'Produce',
  'Fetch',
  'ListOffsets',
  'Metadata',
  'OffsetCommit',
  'OffsetFetch',
  'GroupCoordinator',
  'JoinGroup',
  'SyncGroup',
  'Heartbeat',
  'LeaveGroup',
  'InitProducerId',
  'AddPartitionsToTxn',
  'AddOffsetsToTxn',
  'TxnOffsetCommit',
  'EndTxn',
  'other',
] as const

const NOT_REJECTIONS: ReadonlySet<string> = new Set(['late', 'corrupt_batch', 'partial_too_late'])

/** What `code` of rejected events may be. */
export const REJECTION_CODES = Object.keys(CODE_MEANINGS).filter(code => !NOT_REJECTIONS.has(code))

/** The metrics as a table of Markdown, for README.md. */
export function metricsTable(): string {
  const rows = Object.entries<MetricSpec>(METRICS).map(([name, { type, help, roles, labels = [] }]) => {
    const told = roles.length === ROLES.length ? 'all' : roles.join(', ')
    return `| \`${PREFIX}${name}\` | ${type} | ${told} | ${labels.map(label => `\`${label}\``).join(', ')} | ${help} |`
  })
  return ['| Metric | Type | Roles | Labels | Meaning |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}
