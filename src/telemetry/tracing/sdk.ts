import { DiagLogLevel, diag, trace } from '@opentelemetry/api'
import { startNodeSdk } from '@opentelemetry/sdk-node'
import { withinTime } from '../../kafka/withinTime.ts'
import { RESOURCE_ATTRIBUTES, SERVICE, serviceName, TRACER_NAME, VARIABLES } from './names.ts'
import { TracedDelivery } from './tracedDelivery.ts'
import { tracedSender } from './tracedSender.ts'
import type { Tracing, TracingOptions } from './tracing.ts'

/** A collector that does not answer must not hold up a drain. */
const CLOSE_MS = 3_000

/**
 * Starts OpenTelemetry's SDK for traces. Sampler, exporter, protocol, queue and limits are as the standard variables say;
 * only the names of the service are ours where they say nothing.
 */
export function startTracing({ env, role, version, onTrouble }: TracingOptions): Tracing {
  const sdk = startNodeSdk({
    resourceAttributes: resourceAttributes(env, role, version),
    // Metrics are scraped, and logs are lines of standard output.
    metricReaders: [],
    logRecordProcessors: [],
    // The SDK says these on stderr, those of its start included; where no level is asked for, our log takes over.
    logLevel: env[VARIABLES.logLevel] ?? 'warn',
  })
  if (env[VARIABLES.logLevel] === undefined) tellTroubles(onTrouble)
  const tracer = trace.getTracer(TRACER_NAME, version)
  return {
    tracer,
    delivery: (delivery, place) => new TracedDelivery(delivery, tracer, place),
    sender: sender => tracedSender(sender, tracer),
    close: () => withinTime(sdk.shutdown(), CLOSE_MS),
  }
}

/** Those that no variable sets: what is given to the SDK wins over the variables. */
function resourceAttributes(env: NodeJS.ProcessEnv, role: string, version: string): Record<string, string> {
  const given = new Set((env[VARIABLES.resource] ?? '').split(',').map(pair => pair.split('=')[0]?.trim()))
  if ((env[VARIABLES.serviceName] ?? '') !== '') given.add(RESOURCE_ATTRIBUTES.serviceName)
  const ours = {
    [RESOURCE_ATTRIBUTES.serviceName]: serviceName(role),
    [RESOURCE_ATTRIBUTES.serviceNamespace]: SERVICE,
    [RESOURCE_ATTRIBUTES.serviceVersion]: version,
  }
  return Object.fromEntries(Object.entries(ours).filter(([name]) => !given.has(name)))
}

/** What the SDK has to complain of from now on, such as an exporter that reaches nobody, goes to our log. */
function tellTroubles(tell: TracingOptions['onTrouble']): void {
  const quiet = () => {}
  const logger = {
    error: (message: string) => tell(message),
    warn: (message: string) => tell(message),
    info: quiet,
    debug: quiet,
    verbose: quiet,
  }
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}
