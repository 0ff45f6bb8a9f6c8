import type { Tracer } from '@opentelemetry/api'
import type { BatchSender } from '../../dev/generator/batchSender.ts'
import type { Delivery } from '../../runtime/ports.ts'
import type { TracedPlace } from './tracedDelivery.ts'

/** Tracing of one process, while it is on. */
export type Tracing = {
  readonly tracer: Tracer
  /** The same delivery, with a span for each capture. */
  readonly delivery: (delivery: Delivery, place: TracedPlace) => Delivery
  /** The same sender, with a span for each batch. */
  readonly sender: (sender: BatchSender) => BatchSender
}
