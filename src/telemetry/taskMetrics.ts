import type { ResultStatus } from '../results/result.ts'
import type { ToldResults } from '../tasks/task.ts'
import type { Role } from './catalogue.ts'
import type { PartitionReading } from './health.ts'
import type { Instruments } from './instruments.ts'
import type { ReducedGauges } from './taskGauges.ts'

type TaskMetrics = {
  /** The present state of all partitions that are ours and running. */
  observed(readings: readonly PartitionReading[]): void
  /** Results were written and committed. */
  told(results: ToldResults): void
  /** The partition is ours no more. */
  drop(partition: number): void
}

const STATUSES: readonly ResultStatus[] = ['provisional', 'final', 'corrected']

/** @param sizes the names of all levels: each has its series from the start */
export function createTaskMetrics(
  made: Instruments,
  role: Extract<Role, 'aggregate' | 'reduce'>,
  sizes: readonly string[],
): TaskMetrics {
  const windows = made.byPartition('partition_windows')
  const chunks = role === 'aggregate' ? chunkCounter(made) : null
  const reduced = role === 'reduce' ? reducedMetrics(made, sizes) : null
  return {
    observed: readings => {
      for (const { partition, task } of readings) {
        if (task === undefined) continue
        windows.set(partition, task.windows)
        if (task.chunks !== undefined) chunks?.observed(partition, task.chunks)
      }
      reduced?.observed(readings.flatMap(({ task }) => task?.reduced ?? []))
    },
    told: results => reduced?.told(results),
    drop: partition => {
      windows.drop(partition)
      chunks?.drop(partition)
    },
  }
}

/** Adds up what tasks have counted, each from its own beginning. */
function chunkCounter(made: Instruments) {
  const counter = made.counter('chunks_total').labels()
  const counted = new Map<number, number>()
  return {
    observed: (partition: number, count: number) => {
      const before = counted.get(partition) ?? 0
      // Fewer than before: another task has begun.
      counter.inc(count < before ? count : count - before)
      counted.set(partition, count)
    },
    drop: (partition: number) => counted.delete(partition),
  }
}

function reducedMetrics(made: Instruments, sizes: readonly string[]) {
  const results = made.counter('results_total')
  const windows = made.gauge('reduced_windows')
  const finals = made.gauge('newest_final_timestamp_seconds')
  const clocks = made.gauge('source_clock_timestamp_seconds')
  for (const size of sizes) {
    for (const status of STATUSES) {
      results.labels(size, status).inc(0)
      windows.labels(size, status).set(0)
    }
  }
  return {
    told: (told: ToldResults) => {
      for (const status of STATUSES) results.labels(told.size, status).inc(told[status])
    },
    observed: (levels: readonly ReducedGauges[]) => {
      for (const size of new Set([...sizes, ...levels.map(level => level.size)])) {
        const ofSize = levels.filter(level => level.size === size)
        for (const status of STATUSES) {
          windows.labels(size, status).set(ofSize.reduce((sum, { byStatus }) => sum + byStatus[status], 0))
        }
        const ends = ofSize.map(({ finalEndMs }) => finalEndMs).filter(end => end !== null)
        // Final is what all of our partitions have told as final.
        if (ends.length > 0 && ends.length === ofSize.length) finals.labels(size).set(Math.min(...ends) / 1_000)
        else finals.remove(size)
      }
      clocks.reset()
      for (const [source, clockMs] of leastClocks(levels)) clocks.labels(String(source)).set(clockMs / 1_000)
    },
  }
}

/** How far each source is known to be to all of the partitions that hear of it. */
function leastClocks(levels: readonly ReducedGauges[]): ReadonlyMap<number, number> {
  const least = new Map<number, number>()
  for (const { sources } of levels) {
    for (const [source, clockMs] of sources) least.set(source, Math.min(clockMs, least.get(source) ?? clockMs))
  }
  return least
}
