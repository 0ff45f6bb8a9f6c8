import { diag, logs, trace } from '@opentelemetry/api'
import { startNodeSdk } from '@opentelemetry/sdk-node'
import { withinTime } from '../../kafka/withinTime.ts'
import { hearLines } from '../log.ts'
import { RESOURCE_ATTRIBUTES, SERVICE, serviceName, TRACER_NAME } from '../tracing/names.ts'
import { TracedDelivery } from '../tracing/tracedDelivery.ts'
import { tracedSender } from '../tracing/tracedSender.ts'
import type { Tracing } from '../tracing/tracing.ts'
import { emitLines } from './logRecords.ts'
import { metricReaders } from './metricReader.ts'
import type { Otel, OtelOptions } from './otel.ts'
import { RegistryMetrics } from './registryMetrics.ts'
import { tellTroubles } from './troubles.ts'
import { namesIn, read, type SignalsOn, VARIABLES } from './variables.ts'

/** A collector that does not answer must not hold up a drain. */
const CLOSE_MS = 3_000

/**
 * Starts OpenTelemetry's SDK for the signals that are on. Sampler, exporters, protocols, queues and limits are as the
 * standard variables say; only the names of the service are ours where they say nothing.
 */
export async function startOtel({ env, role, version, onTrouble }: OtelOptions, on: SignalsOn): Promise<Otel> {
  const metrics = new RegistryMetrics({ name: TRACER_NAME, version })
  const isTold = read(env, 'logLevel') === ''
  if (isTold) tellTroubles(onTrouble)
  const readers = on.metrics ? await metricReaders(env, metrics, onTrouble) : []
  diag.disable()
  const sdk = startNodeSdk({
    resourceAttributes: resourceAttributes(env, role, version),
    metricReaders: readers,
    ...(on.traces ? {} : { spanProcessors: [] }),
    ...(on.logs ? {} : { logRecordProcessors: [] }),
    // The SDK says these on stderr, those of its start included; where no level is asked for, our log takes over.
    logLevel: isTold ? 'warn' : read(env, 'logLevel'),
  })
  if (isTold) tellTroubles(onTrouble)
  if (on.logs) hearLines(emitLines(logs.getLogger(TRACER_NAME, version)))
  return {
    tracing: on.traces ? createTracing(version) : null,
    tellMetrics: source => metrics.read(source),
    close: () => {
      hearLines(null)
      return withinTime(sdk.shutdown(), CLOSE_MS)
    },
  }
}

function createTracing(version: string): Tracing {
  const tracer = trace.getTracer(TRACER_NAME, version)
  return {
    tracer,
    delivery: (delivery, place) => new TracedDelivery(delivery, tracer, place),
    sender: sender => tracedSender(sender, tracer),
  }
}

/** Those that no variable sets: what is given to the SDK wins over the variables. */
function resourceAttributes(env: NodeJS.ProcessEnv, role: string, version: string): Record<string, string> {
  const given = new Set(namesIn(env[VARIABLES.resource] ?? '').map(pair => pair.split('=')[0]?.trim()))
  if (read(env, 'serviceName') !== '') given.add(RESOURCE_ATTRIBUTES.serviceName)
  const ours = {
    [RESOURCE_ATTRIBUTES.serviceName]: serviceName(role),
    [RESOURCE_ATTRIBUTES.serviceNamespace]: SERVICE,
    [RESOURCE_ATTRIBUTES.serviceVersion]: version,
  }
  return Object.fromEntries(Object.entries(ours).filter(([name]) => !given.has(name)))
}
