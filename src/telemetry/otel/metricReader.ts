import {
  type MetricProducer,
  type MetricReader,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import { namesIn, read, VARIABLES } from './variables.ts'

/** What the specification says where no variable does. */
const INTERVAL_MS = 60_000
const TIMEOUT_MS = 30_000
const PROTOCOL = 'http/protobuf'

const EXPORTERS: Readonly<Record<string, () => Promise<PushMetricExporter>>> = {
  'http/protobuf': async () => new (await import('@opentelemetry/exporter-metrics-otlp-proto')).OTLPMetricExporter(),
  'http/json': async () => new (await import('@opentelemetry/exporter-metrics-otlp-http')).OTLPMetricExporter(),
  grpc: async () => new (await import('@opentelemetry/exporter-metrics-otlp-grpc')).OTLPMetricExporter(),
}

/**
 * What sends the metrics of `producer` every OTEL_METRIC_EXPORT_INTERVAL. The SDK makes such readers too, but only of
 * metrics that were counted by it. What a variable says that cannot be done is complained of, and passed over, as the
 * specification wants it.
 *
 * @returns none when OTEL_METRICS_EXPORTER does not name `otlp`
 */
export async function metricReaders(
  env: NodeJS.ProcessEnv,
  producer: MetricProducer,
  complain: (message: string) => void,
): Promise<MetricReader[]> {
  const names = namesIn(read(env, 'metricsExporter'))
  for (const name of names.filter(each => each !== 'otlp')) {
    complain(
      `${VARIABLES.metricsExporter}: '${name}' is passed over; otlp and none are known, and /metrics can be scraped`,
    )
  }
  if (!names.includes('otlp')) return []
  const exporter = await metricExporter(env, complain)
  return [new PeriodicExportingMetricReader({ exporter, ...exportTimes(env, complain), metricProducers: [producer] })]
}

/** How often metrics are sent, and within what time that must be done: no longer than until the next time. */
export function exportTimes(env: NodeJS.ProcessEnv, complain: (message: string) => void) {
  const exportIntervalMillis = milliseconds(env, 'metricInterval', INTERVAL_MS, complain)
  const exportTimeoutMillis = Math.min(exportIntervalMillis, milliseconds(env, 'metricTimeout', TIMEOUT_MS, complain))
  return { exportIntervalMillis, exportTimeoutMillis }
}

/** Endpoint, headers, certificates and compression are read from the variables by the exporter itself. */
function metricExporter(env: NodeJS.ProcessEnv, complain: (message: string) => void): Promise<PushMetricExporter> {
  const asked = read(env, 'metricsProtocol') || read(env, 'protocol') || PROTOCOL
  const create = EXPORTERS[asked]
  if (create !== undefined) return create()
  const known = Object.keys(EXPORTERS).join(', ')
  complain(`${VARIABLES.metricsProtocol}: '${asked}' is none of ${known}; ${PROTOCOL} is taken`)
  return metricExporter({ [VARIABLES.protocol]: PROTOCOL }, complain)
}

function milliseconds(
  env: NodeJS.ProcessEnv,
  variable: 'metricInterval' | 'metricTimeout',
  otherwise: number,
  complain: (message: string) => void,
): number {
  const text = read(env, variable)
  if (text === '') return otherwise
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  complain(`${VARIABLES[variable]}: '${text}' is no number of milliseconds above 0; ${otherwise} is taken`)
  return otherwise
}
