import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client'

export const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

type Sample = MetricValue<string> & {
  readonly metricName?: string
  readonly exemplar?: Exemplar | null
}

type Exemplar = {
  readonly labelSet: Readonly<Record<string, string>>
  readonly value: number
  /** Epoch seconds. */
  readonly timestamp: number
}

/** Whether a scraper takes OpenMetrics. It is the only text format with exemplars. */
export function asksForOpenMetrics(accept: string): boolean {
  return /(^|,)\s*application\/openmetrics-text\s*(;|,|$)/i.test(accept)
}

/**
 * The metrics in OpenMetrics, with the same names and labels as in the older format. prom-client writes it too, but renames
 * its counters for good when it does, so that a registry could not serve both.
 */
export async function openMetricsText(registry: Registry): Promise<string> {
  const metrics = (await registry.getMetricsAsJSON()) as unknown as MetricObjectWithValues<Sample>[]
  return `${metrics.flatMap(linesOf).join('\n')}\n# EOF\n`
}

function linesOf({ name, help, type, values }: MetricObjectWithValues<Sample>): string[] {
  const isCounter = String(type) === 'counter'
  // A counter is named without the ending that its samples have.
  const family = isCounter ? name.replace(/_total$/, '') : name
  const samples = values.map(({ metricName, labels, value, exemplar }) => {
    const sample = isCounter ? `${family}_total` : (metricName ?? name)
    return `${sample}${labelsText(labels)} ${numberText(value)}${exemplarText(exemplar)}`
  })
  return [`# TYPE ${family} ${type}`, `# HELP ${family} ${escaped(help)}`, ...samples]
}

function exemplarText(exemplar: Exemplar | null | undefined): string {
  if (exemplar === null || exemplar === undefined) return ''
  return ` # ${labelsText(exemplar.labelSet)} ${numberText(exemplar.value)} ${exemplar.timestamp}`
}

function labelsText(labels: Readonly<Partial<Record<string, string | number>>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function numberText(value: number): string {
  return Number.isFinite(value) ? String(value) : String(value).replace('Infinity', 'Inf').replace(/^Inf/, '+Inf')
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}
