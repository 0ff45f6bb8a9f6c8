import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { METRICS, type MetricName, type MetricSpec, PREFIX, type Role } from './catalogue.ts'

type NamesOf<Type extends MetricSpec['type']> = {
  readonly [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never
}[MetricName]

/** A counter with one label whose values are all known. */
export type Counters = { add(value: string, count: number): void }

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
  gauge('build_info').labels(version, process.version).set(1)
  return {
    registry,
    counter,
    counters: (name, values) => boundCounters(counter(name), values),
    gauge,
    byPartition: name => boundGauge(gauge(name), nameOf),
    histogram: name => {
      const { buckets = [] }: MetricSpec = METRICS[name]
      return new Histogram({ ...described(name), buckets: [...buckets] })
    },
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
