import type { MetricSource } from '../observed.ts'
import type { Tracing } from '../tracing/tracing.ts'

/** What one process sends by OpenTelemetry. */
export type Otel = {
  /** Null while traces are off. */
  readonly tracing: Tracing | null
  /** Metrics are read from there each time they are sent, from now on; never while they are off. */
  readonly tellMetrics: (source: MetricSource) => void
  /** Sends what is still here, metrics once more; gives up after a few seconds. */
  close(): Promise<void>
}

export type OtelOptions = {
  readonly env: NodeJS.ProcessEnv
  /** What the process does: aggregate, reduce, sink, serve or generate. */
  readonly role: string
  readonly version: string
  /** Hears what the SDK complains of, such as a collector that does not answer. */
  readonly onTrouble: (message: string) => void
}
