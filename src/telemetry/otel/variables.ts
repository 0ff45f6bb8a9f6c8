/** Standard variables that we read ourselves; all others are the SDK's. */
export const VARIABLES = {
  disabled: 'OTEL_SDK_DISABLED',
  tracesExporter: 'OTEL_TRACES_EXPORTER',
  metricsExporter: 'OTEL_METRICS_EXPORTER',
  logsExporter: 'OTEL_LOGS_EXPORTER',
  endpoint: 'OTEL_EXPORTER_OTLP_ENDPOINT',
  tracesEndpoint: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  protocol: 'OTEL_EXPORTER_OTLP_PROTOCOL',
  metricsProtocol: 'OTEL_EXPORTER_OTLP_METRICS_PROTOCOL',
  metricInterval: 'OTEL_METRIC_EXPORT_INTERVAL',
  metricTimeout: 'OTEL_METRIC_EXPORT_TIMEOUT',
  serviceName: 'OTEL_SERVICE_NAME',
  resource: 'OTEL_RESOURCE_ATTRIBUTES',
  logLevel: 'OTEL_LOG_LEVEL',
} as const

/** Which signals leave the process by OpenTelemetry. */
export type SignalsOn = { readonly traces: boolean; readonly metrics: boolean; readonly logs: boolean }

/**
 * What the variables ask for. Traces are on when there is somewhere to send them, or an exporter is named: there is no
 * other way to have them. Metrics can be scraped and logs are lines of standard output, so that each is on only when an
 * exporter is named for it. `none` among the names and OTEL_SDK_DISABLED say no.
 */
export function signalsOn(env: NodeJS.ProcessEnv): SignalsOn {
  if (read(env, 'disabled').toLowerCase() === 'true') return { traces: false, metrics: false, logs: false }
  const hasEndpoint = read(env, 'endpoint') !== '' || read(env, 'tracesEndpoint') !== ''
  return {
    traces: isNamed(read(env, 'tracesExporter')) ?? hasEndpoint,
    metrics: isNamed(read(env, 'metricsExporter')) ?? false,
    logs: isNamed(read(env, 'logsExporter')) ?? false,
  }
}

/** A variable's text without blanks around it; empty when it is not set. */
export function read(env: NodeJS.ProcessEnv, variable: keyof typeof VARIABLES): string {
  return env[VARIABLES[variable]]?.trim() ?? ''
}

/** The names in a list that commas separate. */
export function namesIn(list: string): string[] {
  return list
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}

/** Whether a list of exporters asks for one; null when it says nothing. */
function isNamed(exporters: string): boolean | null {
  const names = namesIn(exporters)
  return names.length === 0 ? null : !names.includes('none')
}
