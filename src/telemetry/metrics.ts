import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { CODE_MEANINGS } from '../events/codes.ts'
import type { Capture, Notice, OutputTopic, Tally } from '../tasks/task.ts'
import type { PartitionReading } from './health.ts'

export type Role = 'aggregate' | 'reduce'

/**
 * What a role tells its metrics. Every name, help text, unit and label stands in this file. Labels are bounded: partition
 * numbers (of the partitions that are ours at the moment), and words of lists that the code closes. None is of an event.
 */
export type Metrics = {
  /** All metrics of the process; none is in the library's global registry. */
  readonly registry: Registry
  /** A rebalance gave us these partitions: series of others end. */
  assigned(partitions: readonly number[]): void
  /** @param committed the committed offset, null when there is none */
  restored(partition: number, position: number, committed: number | null): void
  /** The partition's state is rebuilt and its outputs flow, `seconds` after its restore began. */
  live(partition: number, seconds: number): void
  /** A capture is acknowledged and committed, `seconds` after it was made. */
  delivered(partition: number, capture: Capture, seconds: number): void
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

const PREFIX = 'tidemark_'
const FLUSH_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const RESTORE_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

const NOT_REJECTIONS: ReadonlySet<string> = new Set(['late', 'corrupt_batch', 'partial_too_late'])
const REJECTION_CODES = Object.keys(CODE_MEANINGS).filter(code => !NOT_REJECTIONS.has(code))
const OUTPUTS: Readonly<Record<OutputTopic, string>> = {
  partials: 'partials',
  results: 'results',
  deviceStats: 'device_stats',
  enriched: 'enriched',
  deadLetters: 'dead_letters',
}
const OUTPUTS_OF: Readonly<Record<Role, readonly OutputTopic[]>> = {
  aggregate: ['partials', 'enriched', 'deadLetters'],
  reduce: ['results', 'deviceStats', 'partials', 'deadLetters'],
}
/** Notices of rejections are left out: a capture carries only some of them, and its tally counts them all. */
const NOTICES = {
  aggregate: ['gap'],
  reduce: ['foreign_record', 'partial_too_late', 'parked'],
} as const satisfies Readonly<Record<Role, readonly Notice['kind'][]>>
/** The codes of errors after which a partition is restored; any other error ends the process. */
const FAILURES = ['fenced', 'unassigned', 'delivery_failed', 'unreachable', 'refused_beyond_log', 'other'] as const

/**
 * The metrics of one process, with those of Node and the process itself under their usual names. Every series carries
 * the label `role`, since both roles have partitions 0, 1, … of different topics.
 * @param version of Tidemark, for `tidemark_build_info`
 * @param nameOf the label of a partition, where a role reads several topics
 */
export function createMetrics(role: Role, version: string, nameOf: (partition: number) => string = String): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ role })
  collectDefaultMetrics({ register: registry })
  gauge(registry, 'build_info', 'Constantly 1: what runs here.', ['version', 'node'])
    .labels(version, process.version)
    .set(1)
  const events = role === 'aggregate' ? eventMetrics(registry) : null
  const rejections = role === 'aggregate' ? rejectionGauges(registry, nameOf) : null
  const flow = flowMetrics(registry, role)
  const partitions = partitionMetrics(registry, nameOf)
  // What a former owner of ours still has to say must not begin a series of a partition that is another process's now.
  let owned: ReadonlySet<number> = new Set()
  return {
    registry,
    assigned: now => {
      const next = new Set(now)
      for (const partition of owned) {
        if (next.has(partition)) continue
        partitions.drop(partition)
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
    delivered: (partition, { stages, tally, commit }, seconds) => {
      flow.flushed(seconds)
      if (owned.has(partition)) partitions.committed(partition, commit.offset)
      if (tally !== null) events?.add(tally)
      for (const stage of stages) flow.sent(stage)
    },
    failed: (partition, code) => {
      if (owned.has(partition)) partitions.failed(partition)
      flow.failed(code)
    },
    noticed: ({ kind }) => flow.noticed(kind),
    observed: readings => {
      for (const reading of readings) if (owned.has(reading.partition)) partitions.observed(reading)
    },
    corruptBatch: (partition, state) => {
      if (owned.has(partition)) partitions.corruptBatch(partition, state)
    },
    rejectedShare: (partition, share, raised) => {
      if (owned.has(partition)) rejections?.set(partition, share, raised)
    },
  }
}

function eventMetrics(registry: Registry) {
  const outcomes = ['accepted', 'late', 'rejected'] as const
  const byOutcome = counters(registry, 'events_total', 'Login events by what became of them.', 'outcome', outcomes)
  const help = 'Rejected login events by why; see error.code of dead letters.'
  const byCode = counters(registry, 'rejected_events_total', help, 'code', REJECTION_CODES)
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

type NameOf = (partition: number) => string

function rejectionGauges(registry: Registry, nameOf: NameOf) {
  const share = byPartition(
    registry,
    nameOf,
    'rejected_share_ratio',
    'Share of rejected events over REJECTED_SHARE_WINDOW.',
  )
  const alarm = byPartition(
    registry,
    nameOf,
    'rejected_share_alarm',
    '1 while that share is above REJECTED_SHARE, else 0.',
  )
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

function flowMetrics(registry: Registry, role: Role) {
  const outputs = OUTPUTS_OF[role].map(topic => OUTPUTS[topic])
  const sent = counters(registry, 'sent_records_total', 'Records written and committed.', 'output', outputs)
  const noticesHelp = 'What people should hear of, as the log tells it: gaps, partials that came too late, and so on.'
  const notices = counters(registry, 'notices_total', noticesHelp, 'kind', NOTICES[role])
  const failuresHelp = 'How often the state of a partition was thrown away to be restored, by the code of the error.'
  const failures = counters(registry, 'restarts_total', failuresHelp, 'code', FAILURES)
  const flushHelp = 'Time from the capture of outputs to their commit.'
  const flush = histogram(registry, 'flush_duration_seconds', flushHelp, FLUSH_BUCKETS)
  const restoreHelp = "Time from the begin of a partition's restore until its outputs flow."
  const restore = histogram(registry, 'restore_duration_seconds', restoreHelp, RESTORE_BUCKETS)
  const rebalances = counter(registry, 'rebalances_total', 'Assignments that the group has given us.').labels()
  const assigned = gauge(registry, 'assigned_partitions', 'Partitions that are ours.').labels()
  return {
    sent: (records: readonly { readonly topic: OutputTopic }[]) => {
      const counts: Record<OutputTopic, number> = {
        partials: 0,
        results: 0,
        deviceStats: 0,
        enriched: 0,
        deadLetters: 0,
      }
      for (const record of records) counts[record.topic]++
      for (const topic of OUTPUTS_OF[role]) sent.add(OUTPUTS[topic], counts[topic])
    },
    noticed: (kind: Notice['kind']) => {
      if (kind !== 'rejected') notices.add(kind, 1)
    },
    failed: (code: string) => failures.add(FAILURES.find(known => known === code) ?? 'other', 1),
    flushed: (seconds: number) => flush.observe(seconds),
    restored: (seconds: number) => restore.observe(seconds),
    assigned: (count: number) => {
      rebalances.inc()
      assigned.set(count)
    },
  }
}

function partitionMetrics(registry: Registry, nameOf: NameOf) {
  const gauges = {
    live: byPartition(registry, nameOf, 'partition_live', '1 once the state is rebuilt and outputs flow, else 0.'),
    position: byPartition(registry, nameOf, 'partition_position', 'The next offset to be processed.'),
    committed: byPartition(
      registry,
      nameOf,
      'partition_committed_offset',
      'Everything below it is processed and committed.',
    ),
    lag: byPartition(registry, nameOf, 'partition_lag_records', 'Offsets between our position and the end of the log.'),
    clock: byPartition(
      registry,
      nameOf,
      'partition_clock_timestamp_seconds',
      'Event time that the partition has reached.',
    ),
    corrupt: byPartition(
      registry,
      nameOf,
      'partition_corrupt_batch_waiting',
      '1 while it waits at an unreadable batch.',
    ),
  }
  const corrupt = counter(registry, 'corrupt_batches_total', 'Unreadable record batches that were met.').labels()
  // Offsets, not records: a task need not count what it reads, and its position says it for every topic alike.
  const processedHelp = 'Offsets processed, those read again by a new owner and those without a record included.'
  const processed = counter(registry, 'processed_offsets_total', processedHelp).labels()
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

function counter(registry: Registry, name: string, help: string, labelNames: readonly string[] = []): Counter {
  return new Counter({ name: PREFIX + name, help, labelNames, registers: [registry] })
}

function gauge(registry: Registry, name: string, help: string, labelNames: readonly string[] = []): Gauge {
  return new Gauge({ name: PREFIX + name, help, labelNames, registers: [registry] })
}

/** A histogram of seconds. */
function histogram(registry: Registry, name: string, help: string, buckets: readonly number[]) {
  return new Histogram({ name: PREFIX + name, help, buckets: [...buckets], registers: [registry] }).labels({})
}

/** A counter with one label whose values are all known, so that each series is there, as 0, from the start. */
function counters(registry: Registry, name: string, help: string, label: string, values: readonly string[]) {
  const all = counter(registry, name, help, [label])
  const bound = new Map(values.map(value => [value, all.labels(value)]))
  for (const child of bound.values()) child.inc(0)
  return {
    add: (value: string, count: number): void => {
      if (count > 0) (bound.get(value) ?? all.labels(value)).inc(count)
    },
  }
}

/** A gauge with a series for each of our partitions, made at its first value. */
function byPartition(registry: Registry, nameOf: NameOf, name: string, help: string) {
  const all = gauge(registry, name, help, ['partition'])
  const bound = new Map<number, Gauge.Internal<string>>()
  return {
    set: (partition: number, value: number): void => {
      let child = bound.get(partition)
      if (child === undefined) {
        child = all.labels(nameOf(partition))
        bound.set(partition, child)
      }
      child.set(value)
    },
    drop: (partition: number): void => {
      if (bound.delete(partition)) all.remove(nameOf(partition))
    },
  }
}
