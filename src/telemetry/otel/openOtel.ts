import type { Otel, OtelOptions } from './otel.ts'
import { signalsOn } from './variables.ts'

const OFF: Otel = { tracing: null, tellMetrics: () => {}, close: () => Promise.resolve() }

/** Starts the SDK by the standard OTEL_* variables. Nothing of OpenTelemetry is loaded while every signal is off. */
export async function openOtel(options: OtelOptions): Promise<Otel> {
  const on = signalsOn(options.env)
  if (!Object.values(on).includes(true)) return OFF
  const { startOtel } = await import('./sdk.ts')
  return startOtel(options, on)
}
