import { KUBE_METRICS } from '../../../scripts/dashboards/kube.ts'
import { METRICS, type MetricSpec, PREFIX } from '../../../src/telemetry/catalogue.ts'
import { createInstruments } from '../../../src/telemetry/instruments.ts'

/** What Prometheus adds to every series, or the operator's PodMonitor, or compose/prometheus.yaml. */
const TARGET_LABELS = ['namespace', 'job', 'pod', 'instance']

/** Every series that a dashboard may read, with the labels that it has. */
export function knownSeries(): Map<string, ReadonlySet<string>> {
  const own = Object.entries<MetricSpec>(METRICS).flatMap(([name, { type, labels = [] }]) =>
    seriesOf(PREFIX + name, type, ['role', ...labels, ...TARGET_LABELS]),
  )
  const kube = Object.entries(KUBE_METRICS).map(([name, labels]) => [name, new Set<string>(labels)] as const)
  return new Map([...processSeries(), ...own, ...kube])
}

/** Those of Node and of the process, as the library really makes them here. */
function processSeries() {
  const { registry } = createInstruments('aggregate', '0.0.0')
  return registry.getMetricsAsArray().flatMap(metric => {
    const { name, type, labelNames = [] } = metric as { name: string; type: unknown; labelNames?: string[] }
    return seriesOf(name, String(type), ['role', ...labelNames, ...TARGET_LABELS])
  })
}

function seriesOf(name: string, type: string, labels: readonly string[]) {
  if (type !== 'histogram') return [[name, new Set(labels)] as const]
  return [
    [`${name}_bucket`, new Set([...labels, 'le'])] as const,
    [`${name}_sum`, new Set(labels)] as const,
    [`${name}_count`, new Set(labels)] as const,
  ]
}
