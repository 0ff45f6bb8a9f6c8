import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What the sink tells its metrics. Names that other roles have too mean the same there; the label `role` tells them apart. */
export type SinkMetrics = {
  readonly registry: Registry
  /** These partitions are ours: series of others end. */
  assigned(partitions: readonly number[]): void
  /** A batch is committed, `seconds` after its transaction began: `windows` rows changed by so many results. */
  wrote(windows: number, results: number, seconds: number): void
  committed(partition: number, offset: number): void
  live(partition: number, live: boolean): void
  /** Whether it waits at a record batch that cannot be read. */
  corrupt(partition: number, waiting: boolean): void
  observed(partition: number, position: number, lag: number | null): void
  /** A partition's rows in memory were thrown away to be read again. */
  failed(code: string): void
  foreignRecord(): void
  refusedResult(): void
  pruned(windows: number): void
  database(up: boolean): void
  databaseError(): void
}

const PREFIX = 'tidemark_'
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const FAILURES = ['fenced', 'unassigned', 'delivery_failed', 'unreachable', 'refused_beyond_log', 'other'] as const

/** @param version of Tidemark, for `tidemark_build_info` */
export function createSinkMetrics(version: string): SinkMetrics {
  const registry = new Registry()
  registry.setDefaultLabels({ role: 'sink' })
  collectDefaultMetrics({ register: registry })
  const made = makers(registry)
  made.gauge('build_info', 'Constantly 1: what runs here.', ['version', 'node']).labels(version, process.version).set(1)
  const results = made.counter('sink_results_total', 'Results handed to the database, each window once in a batch.')
  const rows = made.counter(
    'sink_rows_written_total',
    'Rows of windows that were written: a result that is known changes none.',
  )
  const restarts = made.counter('restarts_total', 'How often rows in memory were thrown away to be read again.', [
    'code',
  ])
  const foreign = made.counter('sink_foreign_records_total', 'Records of the results topic that are no results.')
  const refused = made.counter('sink_refused_results_total', 'Results that the database does not take.')
  const pruned = made.counter('sink_pruned_windows_total', 'Windows deleted since they are past their retention.')
  const errors = made.counter('database_errors_total', 'Calls that failed since the database was not available.')
  const up = made.gauge('database_up', '1 while the database does what is asked of it, else 0.')
  const rebalances = made.counter('rebalances_total', 'Assignments that the group has given us.')
  const assigned = made.gauge('assigned_partitions', 'Partitions that are ours.')
  const flushHelp = 'Time from the begin of a transaction until it is committed.'
  const flush = new Histogram({
    name: `${PREFIX}flush_duration_seconds`,
    help: flushHelp,
    buckets: BUCKETS,
    registers: [registry],
  })
  const partitions = partitionGauges(made)
  for (const code of FAILURES) restarts.labels(code).inc(0)
  return {
    registry,
    assigned: now => {
      rebalances.inc()
      assigned.set(now.length)
      partitions.keep(now)
    },
    wrote: (windows, count, seconds) => {
      results.inc(count)
      rows.inc(windows)
      flush.observe(seconds)
    },
    committed: partitions.committed,
    live: partitions.live,
    corrupt: partitions.corrupt,
    observed: partitions.observed,
    failed: code => restarts.labels(FAILURES.find(known => known === code) ?? 'other').inc(),
    foreignRecord: () => foreign.inc(),
    refusedResult: () => refused.inc(),
    pruned: windows => pruned.inc(windows),
    database: isUp => up.set(isUp ? 1 : 0),
    databaseError: () => errors.inc(),
  }
}

type Makers = ReturnType<typeof makers>

function makers(registry: Registry) {
  const shared = { registers: [registry] }
  return {
    counter: (name: string, help: string, labelNames: readonly string[] = []) =>
      new Counter({ name: PREFIX + name, help, labelNames, ...shared }),
    gauge: (name: string, help: string, labelNames: readonly string[] = []) =>
      new Gauge({ name: PREFIX + name, help, labelNames, ...shared }),
  }
}

/** Series of the partitions that are ours at the moment, made at their first value. */
function partitionGauges({ gauge }: Makers) {
  const label = ['partition']
  const gauges = {
    live: gauge('partition_live', '1 while rows flow, 0 while the position is being read.', label),
    position: gauge('partition_position', 'The next offset to be processed.', label),
    committed: gauge('partition_committed_offset', 'Everything below it is in the database.', label),
    lag: gauge('partition_lag_records', 'Offsets between our position and the end of the log.', label),
    corrupt: gauge('partition_corrupt_batch_waiting', '1 while it waits at an unreadable batch.', label),
  }
  let owned: ReadonlySet<number> = new Set()
  const set = (name: keyof typeof gauges, partition: number, value: number) => {
    if (owned.has(partition)) gauges[name].labels(String(partition)).set(value)
  }
  return {
    keep: (partitions: readonly number[]) => {
      const next = new Set(partitions)
      for (const gone of owned) {
        if (!next.has(gone)) for (const each of Object.values(gauges)) each.remove(String(gone))
      }
      owned = next
    },
    live: (partition: number, live: boolean) => set('live', partition, live ? 1 : 0),
    corrupt: (partition: number, waiting: boolean) => set('corrupt', partition, waiting ? 1 : 0),
    committed: (partition: number, offset: number) => set('committed', partition, offset),
    observed: (partition: number, position: number, lag: number | null) => {
      set('position', partition, position)
      if (lag !== null) set('lag', partition, lag)
    },
  }
}
