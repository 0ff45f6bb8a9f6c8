import type { Gauge, Registry } from 'prom-client'
import type { FollowedPartition } from '../kafka/followTopic.ts'
import type { KafkaWatch } from '../kafka/watch.ts'
import { createInstruments } from '../telemetry/instruments.ts'
import { createKafkaMetrics } from '../telemetry/kafkaMetrics.ts'
import { ENDPOINTS } from './endpoints.ts'
import { OPENAPI_PATH } from './openapi.ts'
import type { Accepted, ResultStore } from './resultStore.ts'
import type { Held, SizeWindows } from './sizeWindows.ts'

/** What `serve` tells its metrics. Labels are bounded: words of lists that the code closes, sizes and partitions. */
export type ServeMetrics = {
  readonly registry: Registry
  /** What the clients of the brokers tell. */
  readonly kafka: KafkaWatch
  answered(route: string, status: number, seconds: number): void
  accepted(what: Accepted): void
  trouble(): void
  corruptBatch(): void
  /** To be called before each scrape. */
  observed(store: ResultStore, partitions: readonly FollowedPartition[], ready: boolean): void
}

/** What is asked for by those who use the API. */
const ROUTES = [...ENDPOINTS.map(({ path }) => path), OPENAPI_PATH]
/** Those that a rate is taken of: the first of them must not be missed. */
const STATUSES = ['200', '500']
const OUTCOMES: readonly Accepted[] = ['kept', 'removed', 'old', 'foreign']

/** @param version of Tidemark, for `tidemark_build_info` */
export function createServeMetrics(version: string): ServeMetrics {
  const made = createInstruments('serve', version)
  const requests = made.counter('http_requests_total')
  const duration = made.histogram('http_request_duration_seconds')
  for (const route of ROUTES) {
    for (const status of STATUSES) requests.labels(route, status).inc(0)
    duration.zero({ route })
  }
  const records = made.counters('result_records_total', OUTCOMES)
  const trouble = made.counter('read_failures_total').labels()
  const corrupt = made.counter('corrupt_batches_total').labels()
  const windows = made.gauge('windows_held')
  const newest = made.gauge('newest_window_timestamp_seconds')
  const newestFinal = made.gauge('newest_final_timestamp_seconds')
  const ready = made.gauge('ready').labels()
  const position = made.byPartition('partition_position')
  const lag = made.byPartition('partition_lag_records')
  return {
    registry: made.registry,
    kafka: createKafkaMetrics(made, 'serve'),
    answered: (route, status, seconds) => {
      requests.labels(route, String(status)).inc()
      duration.labels(route).observe(seconds)
    },
    accepted: what => records.add(what, 1),
    trouble: () => trouble.inc(),
    corruptBatch: () => corrupt.inc(),
    observed: (store, partitions, isReady) => {
      for (const held of store.sizes) {
        windows.labels(held.sizeText).set(held.size)
        tellEnd(newest, held, held.last())
        tellEnd(newestFinal, held, held.lastFinal())
      }
      for (const each of partitions) {
        position.set(each.partition, each.position)
        lag.set(each.partition, each.lag)
      }
      ready.set(isReady ? 1 : 0)
    },
  }
}

function tellEnd(gauge: Gauge, { sizeMs, sizeText }: SizeWindows, window: Held | null): void {
  if (window === null) gauge.remove(sizeText)
  else gauge.labels(sizeText).set((window.startMs + sizeMs) / 1_000)
}
