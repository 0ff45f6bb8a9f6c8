import type { Aggregate } from '../aggregate/aggregate.ts'
import type { Counter } from '../aggregate/counter.ts'
import type { LogFields } from './log.ts'

export type StatisticsInput = {
  /** Events (or records) processed since the role began. */
  readonly processed: number
  /** Records between our positions and the ends of the logs. */
  readonly lag: number
  readonly partitions: number
  /** The aggregate of what is held in memory at the moment. */
  readonly held: Aggregate
}

const TOP = 3

/** Turns successive readings into the periodic `statistics` line: rate, lag, and what is popular just now. */
export function createStatistics(nowMs: number): (input: StatisticsInput, nowMs: number) => LogFields {
  let lastAt = nowMs
  let last = 0
  return (input, now) => {
    const seconds = Math.max(0.001, (now - lastAt) / 1000)
    // Partitions that left took their counts along.
    const rate = Math.max(0, Math.round((input.processed - last) / seconds))
    lastAt = now
    last = input.processed
    return {
      events_per_second: rate,
      lag: input.lag,
      partitions: input.partitions,
      top_device_types: top(input.held.devices),
      top_locales: top(input.held.locales),
      top_app_versions: top(input.held.versions),
    }
  }
}

function top(counter: Counter): Record<string, number> {
  const entries = [...counter.counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  return Object.fromEntries(entries.slice(0, TOP))
}
