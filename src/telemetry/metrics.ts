import type { Registry } from 'prom-client'
import type { KafkaWatch } from '../kafka/watch.ts'
import { type Capture, countOf, type Notice, type Output, type OutputTopic, type Tally } from '../tasks/task.ts'
import type { Traceparent } from '../tasks/traceContext.ts'
import { FAILURES, REJECTION_CODES, type Role } from './catalogue.ts'
import type { PartitionReading } from './health.ts'
import { createInstruments, type Instruments } from './instruments.ts'
import { createKafkaMetrics } from './kafkaMetrics.ts'
import { createTaskMetrics } from './taskMetrics.ts'

/** A role that folds and merges. */
export type Stage = Extract<Role, 'aggregate' | 'reduce'>

/** What a stage tells its metrics. Partitions are those that are ours at the moment; no label is of an event. */
export type Metrics = {
  readonly registry: Registry
  /** What the clients of the brokers tell. */
  readonly kafka: KafkaWatch
  /** A rebalance gave us these partitions: series of others end. */
  assigned(partitions: readonly number[]): void
  /** @param committed the committed offset, null when there is none */
  restored(partition: number, position: number, committed: number | null): void
  /** The partition's state is rebuilt and its outputs flow, `seconds` after its restore began. */
  live(partition: number, seconds: number): void
  /** A capture is acknowledged and committed, `seconds` after it was made, in the course of `trace`. */
  delivered(partition: number, capture: Capture, seconds: number, trace?: Traceparent | null): void
  /** The partition's state was thrown away; `code` is that of the error. */
  failed(partition: number, code: string): void
  noticed(notice: Notice): void
  /** Where the running partitions stand. To be called before each scrape. */
  observed(readings: readonly PartitionReading[]): void
  /** `waiting` may be said again and again of the same batch; `over` when it could be read after all. */
  corruptBatch(partition: number, state: 'waiting' | 'skipped' | 'over'): void
  /** @param share 0 to 1, over the window of the guard */
  rejectedShare(partition: number, share: number, raised: boolean): void
}

const OUTPUTS: Readonly<Record<OutputTopic, string>> = {
  partials: 'partials',
  results: 'results',
  deviceStats: 'device_stats',
  enriched: 'enriched',
  deadLetters: 'dead_letters',
}
const OUTPUTS_OF: Readonly<Record<Stage, readonly OutputTopic[]>> = {
  aggregate: ['partials', 'enriched', 'deadLetters'],
  reduce: ['results', 'deviceStats', 'partials', 'deadLetters'],
}
/** Notices of rejections are left out: a capture carries only some of them, and its tally counts them all. */
const NOTICES = {
  aggregate: ['gap'],
  reduce: ['foreign_record', 'partial_too_late', 'parked'],
} as const satisfies Readonly<Record<Stage, readonly Notice['kind'][]>>

/**
 * The metrics of one process.
 * @param version of Tidemark, for `tidemark_build_info`
 * @param nameOf the label of a partition, where a role reads several topics
 * @param sizes the names of all levels of windows
 */
export function createMetrics(
  role: Stage,
  version: string,
  nameOf?: (partition: number) => string,
  sizes: readonly string[] = [],
): Metrics {
  const made = createInstruments(role, version, nameOf)
  const events = role === 'aggregate' ? eventMetrics(made) : null
  const rejections = role === 'aggregate' ? rejectionGauges(made) : null
  const flow = flowMetrics(made, role)
  const partitions = partitionMetrics(made)
  const tasks = createTaskMetrics(made, role, sizes)
  // What a former owner of ours still has to say must not begin a series of a partition that is another process's now.
  let owned: ReadonlySet<number> = new Set()
  return {
    registry: made.registry,
    kafka: createKafkaMetrics(made, role),
    assigned: now => {
      const next = new Set(now)
      for (const partition of owned) {
        if (next.has(partition)) continue
        partitions.drop(partition)
        tasks.drop(partition)
        rejections?.drop(partition)
      }
      for (const partition of next) if (!owned.has(partition)) partitions.begin(partition)
      owned = next
      flow.assigned(owned.size)
    },
    restored: (partition, position, committed) => {
      if (owned.has(partition)) partitions.restored(partition, position, committed)
    },
    live: (partition, seconds) => {
      if (owned.has(partition)) partitions.live(partition)
      flow.restored(seconds)
    },
    delivered: (partition, { stages, tally, told, commit }, seconds, trace = null) => {
      flow.flushed(seconds, trace)
      if (owned.has(partition)) partitions.committed(partition, commit.offset)
      if (tally !== null) events?.add(tally)
      for (const stage of stages) flow.sent(stage)
      if (told !== undefined) tasks.told(told)
    },
    failed: (partition, code) => {
      if (owned.has(partition)) partitions.failed(partition)
      flow.failed(code)
    },
    noticed: ({ kind }) => flow.noticed(kind),
    observed: readings => {
      const ours = readings.filter(({ partition }) => owned.has(partition))
      for (const reading of ours) partitions.observed(reading)
      tasks.observed(ours)
    },
    corruptBatch: (partition, state) => {
      if (owned.has(partition)) partitions.corruptBatch(partition, state)
    },
    rejectedShare: (partition, share, raised) => {
      if (owned.has(partition)) rejections?.set(partition, share, raised)
    },
  }
}

function eventMetrics(made: Instruments) {
  const byOutcome = made.counters('events_total', ['accepted', 'late', 'rejected'])
  const byCode = made.counters('rejected_events_total', REJECTION_CODES)
  return {
    add: ({ accepted, late, rejected }: Tally) => {
      byOutcome.add('accepted', accepted)
      byOutcome.add('late', late)
      for (const [code, count] of Object.entries(rejected)) {
        byOutcome.add('rejected', count)
        byCode.add(code, count)
      }
    },
  }
}

function rejectionGauges(made: Instruments) {
  const share = made.byPartition('rejected_share_ratio')
  const alarm = made.byPartition('rejected_share_alarm')
  return {
    set: (partition: number, value: number, raised: boolean) => {
      share.set(partition, value)
      alarm.set(partition, raised ? 1 : 0)
    },
    drop: (partition: number) => {
      share.drop(partition)
      alarm.drop(partition)
    },
  }
}

function flowMetrics(made: Instruments, role: Stage) {
  const outputs = OUTPUTS_OF[role].map(topic => OUTPUTS[topic])
  const sent = made.counters('sent_records_total', outputs)
  const partialBytes = made.counter('partial_bytes_total').labels()
  const notices = made.counters('notices_total', NOTICES[role])
  const failures = made.counters('restarts_total', FAILURES)
  const flush = made.tracedTimes('flush_duration_seconds')
  const restore = made.histogram('restore_duration_seconds').labels({})
  const rebalances = made.counter('rebalances_total').labels()
  const assigned = made.gauge('assigned_partitions').labels()
  return {
    sent: (records: readonly Output[]) => {
      const counts: Record<OutputTopic, number> = {
        partials: 0,
        results: 0,
        deviceStats: 0,
        enriched: 0,
        deadLetters: 0,
      }
      let bytes = 0
      for (const record of records) {
        counts[record.topic] += countOf(record)
        if (record.topic === 'partials' && record.value !== null) bytes += Buffer.byteLength(record.value)
      }
      partialBytes.inc(bytes)
      for (const topic of OUTPUTS_OF[role]) sent.add(OUTPUTS[topic], counts[topic])
    },
    noticed: (kind: Notice['kind']) => {
      if (kind !== 'rejected') notices.add(kind, 1)
    },
    failed: (code: string) => failures.add(FAILURES.find(known => known === code) ?? 'other', 1),
    flushed: (seconds: number, trace: Traceparent | null) => flush.observe(seconds, trace),
    restored: (seconds: number) => restore.observe(seconds),
    assigned: (count: number) => {
      rebalances.inc()
      assigned.set(count)
    },
  }
}

function partitionMetrics(made: Instruments) {
  const gauges = {
    live: made.byPartition('partition_live'),
    position: made.byPartition('partition_position'),
    committed: made.byPartition('partition_committed_offset'),
    lag: made.byPartition('partition_lag_records'),
    corrupt: made.byPartition('partition_corrupt_batch_waiting'),
    clock: made.byPartition('partition_clock_timestamp_seconds'),
  }
  const corrupt = made.counter('corrupt_batches_total').labels()
  // Offsets, not records: a task need not count what it reads, and its position says it for every topic alike.
  const processed = made.counter('processed_offsets_total').labels()
  const positions = new Map<number, number>()
  const waiting = new Set<number>()
  const settle = (partition: number) => {
    waiting.delete(partition)
    gauges.corrupt.set(partition, 0)
  }
  return {
    begin: (partition: number) => {
      gauges.live.set(partition, 0)
      settle(partition)
    },
    drop: (partition: number) => {
      for (const each of Object.values(gauges)) each.drop(partition)
      positions.delete(partition)
      waiting.delete(partition)
    },
    restored: (partition: number, position: number, committed: number | null) => {
      positions.set(partition, position)
      if (committed !== null) gauges.committed.set(partition, committed)
    },
    live: (partition: number) => gauges.live.set(partition, 1),
    failed: (partition: number) => gauges.live.set(partition, 0),
    committed: (partition: number, offset: number) => gauges.committed.set(partition, offset),
    observed: (reading: PartitionReading) => {
      const { partition, position } = reading
      processed.inc(Math.max(0, position - (positions.get(partition) ?? position)))
      positions.set(partition, position)
      gauges.position.set(partition, position)
      if (reading.lag !== null) gauges.lag.set(partition, reading.lag)
      if (reading.clockMs !== null) gauges.clock.set(partition, reading.clockMs / 1000)
    },
    corruptBatch: (partition: number, state: 'waiting' | 'skipped' | 'over') => {
      if (state !== 'over' && !waiting.has(partition)) corrupt.inc()
      if (state !== 'waiting') {
        settle(partition)
        return
      }
      waiting.add(partition)
      gauges.corrupt.set(partition, 1)
    },
  }
}
