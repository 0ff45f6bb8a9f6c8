import type { Registry } from 'prom-client'
import type { FollowedPartition } from '../kafka/followTopic.ts'
import { createInstruments } from '../telemetry/instruments.ts'
import type { Accepted, ResultStore } from './resultStore.ts'

/** What `serve` tells its metrics. Labels are bounded: words of lists that the code closes, sizes and partitions. */
export type ServeMetrics = {
  readonly registry: Registry
  answered(route: string, status: number, seconds: number): void
  accepted(what: Accepted): void
  trouble(): void
  corruptBatch(): void
  /** To be called before each scrape. */
  observed(store: ResultStore, partitions: readonly FollowedPartition[], ready: boolean): void
}

const OUTCOMES: readonly Accepted[] = ['kept', 'removed', 'old', 'foreign']

/** @param version of Tidemark, for `tidemark_build_info` */
export function createServeMetrics(version: string): ServeMetrics {
  const made = createInstruments('serve', version)
  const requests = made.counter('http_requests_total')
  const duration = made.histogram('http_request_duration_seconds')
  const records = made.counters('result_records_total', OUTCOMES)
  const trouble = made.counter('read_failures_total').labels()
  const corrupt = made.counter('corrupt_batches_total').labels()
  const windows = made.gauge('windows_held')
  const ready = made.gauge('ready').labels()
  const position = made.byPartition('partition_position')
  const lag = made.byPartition('partition_lag_records')
  return {
    registry: made.registry,
    answered: (route, status, seconds) => {
      requests.labels(route, String(status)).inc()
      duration.labels(route).observe(seconds)
    },
    accepted: what => records.add(what, 1),
    trouble: () => trouble.inc(),
    corruptBatch: () => corrupt.inc(),
    observed: (store, partitions, isReady) => {
      for (const held of store.sizes) windows.labels(held.sizeText).set(held.size)
      for (const each of partitions) {
        position.set(each.partition, each.position)
        lag.set(each.partition, each.lag)
      }
      ready.set(isReady ? 1 : 0)
    },
  }
}
