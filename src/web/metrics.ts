import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { FollowedPartition } from '../kafka/followTopic.ts'
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

const PREFIX = 'tidemark_'
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const OUTCOMES: readonly Accepted[] = ['kept', 'removed', 'old', 'foreign']

/**
 * The metrics of a `serve` process, with those of Node and the process itself; every series carries `role="serve"`.
 * @param version of Tidemark, for `tidemark_build_info`
 */
export function createServeMetrics(version: string): ServeMetrics {
  const registry = new Registry()
  registry.setDefaultLabels({ role: 'serve' })
  collectDefaultMetrics({ register: registry })
  const gauge = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers: [registry] })
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers: [registry] })
  gauge('build_info', 'Constantly 1: what runs here.', ['version', 'node']).labels(version, process.version).set(1)
  const requests = counter('http_requests_total', 'Requests answered, by path and status.', ['route', 'status'])
  const duration = new Histogram({
    name: `${PREFIX}http_request_duration_seconds`,
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: ['route'],
    buckets: REQUEST_BUCKETS,
    registers: [registry],
  })
  const records = counter('result_records_total', 'Records of the results topic, by what became of them.', ['outcome'])
  for (const outcome of OUTCOMES) records.labels(outcome).inc(0)
  const trouble = counter('read_failures_total', 'Reads of the results topic that failed and were repeated.')
  const corrupt = counter('corrupt_batches_total', 'How often an unreadable record batch was met.')
  const windows = gauge('windows_held', 'Windows that are held, by size.', ['size'])
  const ready = gauge('ready', '1 once all results that there were at the start have been read.')
  const position = gauge('partition_position', 'The next offset to be read.', ['partition'])
  const lag = gauge('partition_lag_records', 'Offsets between our position and the end of the log.', ['partition'])
  return {
    registry,
    answered: (route, status, seconds) => {
      requests.labels(route, String(status)).inc()
      duration.labels(route).observe(seconds)
    },
    accepted: what => records.labels(what).inc(),
    trouble: () => trouble.inc(),
    corruptBatch: () => corrupt.inc(),
    observed: (store, partitions, isReady) => {
      for (const held of store.sizes) windows.labels(held.sizeText).set(held.size)
      for (const each of partitions) {
        position.labels(String(each.partition)).set(each.position)
        lag.labels(String(each.partition)).set(each.lag)
      }
      ready.set(isReady ? 1 : 0)
    },
  }
}
