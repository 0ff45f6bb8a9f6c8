import type { Registry } from 'prom-client'
import type { KafkaWatch } from '../kafka/watch.ts'
import type { Traceparent } from '../tasks/traceContext.ts'
import { FAILURES } from './catalogue.ts'
import { createInstruments, type Instruments } from './instruments.ts'
import { createKafkaMetrics } from './kafkaMetrics.ts'

/** What the sink tells its metrics. Names that other roles have too mean the same there; the label `role` tells them apart. */
export type SinkMetrics = {
  readonly registry: Registry
  /** What the clients of the brokers tell. */
  readonly kafka: KafkaWatch
  /** These partitions are ours: series of others end. */
  assigned(partitions: readonly number[]): void
  /**
   * A batch is committed, `seconds` after its transaction began, in the course of `trace`: `windows` rows changed by so many
   * results.
   */
  wrote(windows: number, results: number, seconds: number, trace?: Traceparent | null): void
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

/** @param version of Tidemark, for `tidemark_build_info` */
export function createSinkMetrics(version: string): SinkMetrics {
  const made = createInstruments('sink', version)
  const results = made.counter('sink_results_total').labels()
  const rows = made.counter('sink_rows_written_total').labels()
  const lastWrite = made.gauge('sink_last_write_timestamp_seconds').labels()
  const restarts = made.counters('restarts_total', FAILURES)
  const foreign = made.counter('sink_foreign_records_total').labels()
  const refused = made.counter('sink_refused_results_total').labels()
  const pruned = made.counter('sink_pruned_windows_total').labels()
  const errors = made.counter('database_errors_total').labels()
  const up = made.gauge('database_up').labels()
  const rebalances = made.counter('rebalances_total').labels()
  const assigned = made.gauge('assigned_partitions').labels()
  const flush = made.tracedTimes('flush_duration_seconds')
  const partitions = partitionGauges(made)
  return {
    registry: made.registry,
    kafka: createKafkaMetrics(made, 'sink'),
    assigned: now => {
      rebalances.inc()
      assigned.set(now.length)
      partitions.keep(now)
    },
    wrote: (windows, count, seconds, trace = null) => {
      results.inc(count)
      rows.inc(windows)
      flush.observe(seconds, trace)
      lastWrite.set(Date.now() / 1_000)
    },
    committed: partitions.committed,
    live: partitions.live,
    corrupt: partitions.corrupt,
    observed: partitions.observed,
    failed: code => restarts.add(FAILURES.find(known => known === code) ?? 'other', 1),
    foreignRecord: () => foreign.inc(),
    refusedResult: () => refused.inc(),
    pruned: windows => pruned.inc(windows),
    database: isUp => up.set(isUp ? 1 : 0),
    databaseError: () => errors.inc(),
  }
}

/** Series of the partitions that are ours at the moment. */
function partitionGauges(made: Instruments) {
  const gauges = {
    live: made.byPartition('partition_live'),
    position: made.byPartition('partition_position'),
    committed: made.byPartition('partition_committed_offset'),
    lag: made.byPartition('partition_lag_records'),
    corrupt: made.byPartition('partition_corrupt_batch_waiting'),
  }
  let owned: ReadonlySet<number> = new Set()
  const set = (name: keyof typeof gauges, partition: number, value: number) => {
    if (owned.has(partition)) gauges[name].set(partition, value)
  }
  return {
    keep: (partitions: readonly number[]) => {
      const next = new Set(partitions)
      for (const gone of owned) {
        if (!next.has(gone)) for (const each of Object.values(gauges)) each.drop(gone)
      }
      for (const partition of next) {
        if (owned.has(partition)) continue
        gauges.live.set(partition, 0)
        gauges.corrupt.set(partition, 0)
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
