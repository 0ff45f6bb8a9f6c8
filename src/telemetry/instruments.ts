import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry, type RegistryContentType } from 'prom-client'
import { parseTraceparent, type Traceparent } from '../tasks/traceContext.ts'
import { METRICS, type MetricName, type MetricSpec, PREFIX, type Role } from './catalogue.ts'

type NamesOf<Type extends MetricSpec['type']> = {
  readonly [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never
}[MetricName]

/** A counter with one label whose values are all known. */
export type Counters = { add(value: string, count: number): void }

/** A histogram with one label whose values are all known. */
export type Timings = { observe(value: string, seconds: number): void }

/** A histogram without labels, which remembers of each bucket a trace that took so long. */
export type TracedTimes = {
  /** @param trace null for what belongs to no trace */
  observe(seconds: number, trace: Traceparent | null): void
}

/** A gauge with a series for each of our partitions, made at its first value. */
export type PartitionGauge = {
  set(partition: number, value: number): void
  drop(partition: number): void
}

/** Makes the metrics of one process, as the catalogue describes them. */
export type Instruments = {
  /** All metrics of the process; none is in the library's global registry. */
  readonly registry: Registry
  counter(name: NamesOf<'counter'>): Counter
  /** @param values each has a series, as 0, from the start */
  counters(name: NamesOf<'counter'>, values: readonly string[]): Counters
  gauge(name: NamesOf<'gauge'>): Gauge
  byPartition(name: NamesOf<'gauge'>): PartitionGauge
  histogram(name: NamesOf<'histogram'>): Histogram
  tracedTimes(name: NamesOf<'histogram'>): TracedTimes
  /** @param values each has a series, without an observation, from the start */
  timings(name: NamesOf<'histogram'>, values: readonly string[]): Timings
}

/**
 * The instruments of a role, with the metrics of Node and of the process itself under their usual names. Every series carries
 * the label `role`, since all roles have partitions 0, 1, … of different topics.
 * @param version of Tidemark, for `tidemark_build_info`
 * @param nameOf the label of a partition, where a role reads several topics
 */
export function createInstruments(
  role: Role,
  version: string,
  nameOf: (partition: number) => string = String,
): Instruments {
  const registry = new Registry()
  registry.setDefaultLabels({ role })
  collectDefaultMetrics({ register: registry })
  const described = (name: MetricName) => {
    const { help, labels = [] }: MetricSpec = METRICS[name]
    return { name: PREFIX + name, help, labelNames: labels, registers: [registry] }
  }
  const counter: Instruments['counter'] = name => new Counter(described(name))
  const gauge: Instruments['gauge'] = name => new Gauge(described(name))
  const histogram: Instruments['histogram'] = name => {
    const { buckets = [] }: MetricSpec = METRICS[name]
    return new Histogram({ ...described(name), buckets: [...buckets] })
  }
  gauge('build_info').labels(version, process.version).set(1)
  return {
    registry,
    counter,
    counters: (name, values) => boundCounters(counter(name), values),
    gauge,
    byPartition: name => boundGauge(gauge(name), nameOf),
    histogram,
    tracedTimes: name => {
      const { buckets = [] }: MetricSpec = METRICS[name]
      const options = { ...described(name), buckets: [...buckets], enableExemplars: true }
      return withTraces(asOpenMetrics(registry, () => new Histogram(options)))
    },
    timings: (name, values) => boundTimings(histogram(name), METRICS[name], values),
  }
}

function boundCounters(all: Counter, values: readonly string[]): Counters {
  const bound = new Map(values.map(value => [value, all.labels(value)]))
  for (const child of bound.values()) child.inc(0)
  return {
    add: (value, count) => {
      if (count > 0) (bound.get(value) ?? all.labels(value)).inc(count)
    },
  }
}

function boundTimings(all: Histogram, { labels = [] }: MetricSpec, values: readonly string[]): Timings {
  const [label = ''] = labels
  for (const value of values) all.zero({ [label]: value })
  const bound = new Map(values.map(value => [value, all.labels(value)]))
  return { observe: (value, seconds) => bound.get(value)?.observe(seconds) }
}

/** prom-client makes exemplars only for a registry that tells OpenMetrics, and asks no more once they are made: we tell it. */
function asOpenMetrics(registry: Registry<RegistryContentType>, make: () => Histogram): Histogram {
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  try {
    return make()
  } finally {
    registry.setContentType(Registry.PROMETHEUS_CONTENT_TYPE)
  }
}

function withTraces(all: Histogram): TracedTimes {
  const untraced = all.labels({})
  return {
    observe: (seconds, trace) => {
      const ids = trace === null ? null : parseTraceparent(trace)
      if (ids === null) untraced.observe(seconds)
      else {
        const exemplarLabels = { trace_id: ids.traceId, span_id: ids.spanId }
        all.observe({ labels: {}, value: seconds, exemplarLabels })
      }
    },
  }
}

function boundGauge(all: Gauge, nameOf: (partition: number) => string): PartitionGauge {
  const bound = new Map<number, Gauge.Internal<string>>()
  return {
    set: (partition, value) => {
      let child = bound.get(partition)
      if (child === undefined) {
        child = all.labels(nameOf(partition))
        bound.set(partition, child)
      }
      child.set(value)
    },
    drop: partition => {
      if (bound.delete(partition)) all.remove(nameOf(partition))
    },
  }
}
