import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api'
import { emptyResource } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import type { MetricObjectWithValues, MetricValue } from 'prom-client'
import type { MetricSource } from '../observed.ts'

/** A metric as the registry tells it. */
export type Told = MetricObjectWithValues<MetricValue<string> & { readonly metricName?: string }>

/** From when to when counts were taken. */
export type Span = { readonly startTime: HrTime; readonly endTime: HrTime }

/** The last word of a name is its unit, in the catalogue as in what Node and the process tell. UCUM has these for them. */
const UNITS: Readonly<Record<string, string>> = { seconds: 's', bytes: 'By', ratio: '1' }

/**
 * The metrics that are scraped, for the SDK: the same names, labels and values, so that whatever asks for them finds them
 * whichever way they came. Counters and histograms are cumulative since the process began.
 */
export class RegistryMetrics implements MetricProducer {
  readonly #scope: CollectionResult['resourceMetrics']['scopeMetrics'][number]['scope']
  readonly #startTime = hrTime(performance.timeOrigin)
  #source: MetricSource | null = null

  constructor(scope: { readonly name: string; readonly version: string }) {
    this.#scope = scope
  }

  /** From now on the metrics are those of this source. */
  read(source: MetricSource): void {
    this.#source = source
  }

  async collect(): Promise<CollectionResult> {
    // The SDK puts its own in the place of this resource.
    const resource = emptyResource()
    if (this.#source === null) return { resourceMetrics: { resource, scopeMetrics: [] }, errors: [] }
    this.#source.observe()
    const told = (await this.#source.registry.getMetricsAsJSON()) as unknown as Told[]
    const span = { startTime: this.#startTime, endTime: hrTime(Date.now()) }
    const metrics = told.map(metric => metricData(metric, span)).filter(({ dataPoints }) => dataPoints.length > 0)
    return { resourceMetrics: { resource, scopeMetrics: [{ scope: this.#scope, metrics }] }, errors: [] }
  }
}

/** One metric as the SDK has it. @param span its start is left out of account by gauges */
export function metricData({ name, help, type, values }: Told, span: Span): MetricData {
  const common = {
    descriptor: { name, description: help, unit: unitOf(name), valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
  // The library's types call it a number, which it never is.
  const kind = String(type)
  if (kind === 'histogram') {
    return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints: histograms(values, span) }
  }
  const dataPoints = values.map(({ labels, value }) => ({ ...span, attributes: attributesOf(labels), value }))
  if (kind !== 'counter') return { ...common, dataPointType: DataPointType.GAUGE, dataPoints }
  return { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
}

/** The unit in UCUM's words; empty for what counts things, of which the name says what they are. */
export function unitOf(name: string): string {
  const last =
    name
      .replace(/_total$/, '')
      .split('_')
      .at(-1) ?? ''
  return UNITS[last] ?? ''
}

/** A point for each combination of labels, with what fell into each bucket: the registry tells what lies below its bound. */
function histograms(values: Told['values'], span: Span): DataPoint<Histogram>[] {
  const byLabels = new Map<string, { attributes: Attributes; below: [bound: number, count: number][]; sum: number }>()
  for (const { labels, metricName = '', value } of values) {
    const { le, ...rest } = labels as Record<string, string | number>
    const key = JSON.stringify(Object.entries(rest).toSorted())
    const point = byLabels.get(key) ?? { attributes: attributesOf(rest), below: [], sum: 0 }
    byLabels.set(key, point)
    if (le !== undefined) point.below.push([boundOf(le), value])
    else if (metricName.endsWith('_sum')) point.sum = value
  }
  return [...byLabels.values()].map(({ attributes, below, sum }) => {
    below.sort(([one], [other]) => one - other)
    const counts = below.map(([, count], index) => count - (below[index - 1]?.[1] ?? 0))
    const boundaries = below.map(([bound]) => bound).filter(Number.isFinite)
    const value = { buckets: { boundaries, counts }, count: below.at(-1)?.[1] ?? 0, sum }
    return { ...span, attributes, value }
  })
}

function boundOf(le: string | number): number {
  return le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le)
}

function attributesOf(labels: Readonly<Partial<Record<string, string | number>>>): Attributes {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]))
}

function hrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1_000)
  return [seconds, Math.round((epochMs - seconds * 1_000) * 1e6)]
}
