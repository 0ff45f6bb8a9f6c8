import { type METRICS, type MetricName, PREFIX } from '../../src/telemetry/catalogue.ts'
import type { KubeMetric } from './kube.ts'

/** Metrics that prom-client tells of Node and of the process in every role. */
export type ProcessMetric = `nodejs_${string}` | `process_${string}`

type HistogramName = {
  readonly [Name in MetricName]: (typeof METRICS)[Name]['type'] extends 'histogram' ? Name : never
}[MetricName]

/** What a panel asks of Prometheus, and what its series are called. */
export type Query = {
  readonly expr: string
  /** A template as `{{pod}}`; by default all labels. */
  readonly legend?: string
  /** Draw the traces that are kept with the values, where there are any. */
  readonly exemplars?: boolean
}

/** The chosen pipeline as a whole. The matchers are expressions, so that a Prometheus without these labels is shown too. */
const PIPELINE = 'namespace=~"$namespace",job=~"$job"'
/** Only the chosen pods of it. */
const PODS = `${PIPELINE},pod=~"$pod"`

/** Expressions over the series of the chosen pipeline (`pipeline`) or of its chosen pods (`pods`). */
export function queriesOf(scope: 'pipeline' | 'pods') {
  const chosen = scope === 'pods' ? PODS : PIPELINE
  const selected = (name: string, matchers: string) => `${name}{${matchers === '' ? chosen : `${chosen},${matchers}`}}`
  const of = (name: MetricName, matchers = '') => selected(PREFIX + name, matchers)
  return {
    /** The series of a metric, as `of('partition_lag_records', 'role="aggregate"')`. */
    of,
    /** A counter's growth in a second. */
    rate: (name: MetricName, matchers = '') => `rate(${of(name, matchers)}[$__rate_interval])`,
    /**
     * How often something happened in the time that is shown, as a whole number. What a process had told before its first
     * scrape is no increase, so that series that are new count with all that they say.
     */
    happened: (name: MetricName, matchers = '') => {
      const all = of(name, matchers)
      const more = `increase(${all}[$__range]) > 0 or (${all} > 0 unless ${all} offset $__range)`
      return `(ceil(sum(${more})) or vector(0))`
    },
    /** A quantile of a histogram, as by(0.99, …, 'role'). */
    quantile: (share: number, name: HistogramName, matchers: string, ...labels: readonly string[]) =>
      `histogram_quantile(${share}, sum${by([...labels, 'le'])}(rate(${selected(`${PREFIX}${name}_bucket`, matchers)}[$__rate_interval])))`,
    /** The series of a metric of Node or of the process. */
    process: (name: ProcessMetric, matchers = '') => selected(name, matchers),
  }
}

/** The series of kube-state-metrics in the chosen namespace. They carry its own job, so that the chosen one says nothing. */
export function kube(name: KubeMetric, matchers: string): string {
  return `${name}{namespace=~"$namespace",${matchers}}`
}

function by(labels: readonly string[]): string {
  return labels.length === 0 ? '' : ` by (${labels.join(', ')}) `
}
