import { VARIABLES } from './names.ts'
import type { Tracing, TracingOptions } from './tracing.ts'

/**
 * Whether spans are made: when there is somewhere to send them, or an exporter is named, and nothing says no. The SDK
 * would send to localhost where nobody says where to; a process that was told nothing is left alone.
 */
export function isTracingOn(env: NodeJS.ProcessEnv): boolean {
  const read = (name: string) => env[name]?.trim() ?? ''
  if (read(VARIABLES.disabled).toLowerCase() === 'true') return false
  const exporter = read(VARIABLES.exporter)
  if (exporter !== '') return !exporter.split(',').some(name => name.trim() === 'none')
  return read(VARIABLES.endpoint) !== '' || read(VARIABLES.tracesEndpoint) !== ''
}

/**
 * Starts the SDK by the standard OTEL_* variables. Nothing of OpenTelemetry is loaded while tracing is off.
 * @returns null when it is off
 */
export async function openTracing(options: TracingOptions): Promise<Tracing | null> {
  if (!isTracingOn(options.env)) return null
  const { startTracing } = await import('./sdk.ts')
  return startTracing(options)
}
