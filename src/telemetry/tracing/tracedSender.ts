import { ROOT_CONTEXT, SpanKind, type Tracer } from '@opentelemetry/api'
import type { BatchSender, SentMessage } from '../../dev/generator/batchSender.ts'
import type { RecordHeader } from '../../tasks/recordBatch.ts'
import { TRACEPARENT_HEADER, type Traceparent } from '../../tasks/traceContext.ts'
import { ATTRIBUTES, SPAN_NAMES } from './names.ts'
import { fail, traceparentOf } from './spans.ts'
import { sendAttributes } from './tracedDelivery.ts'

/** Brokers take 1 MiB unless told otherwise: a batch that the headers would make larger goes without them. */
const MAX_BATCH_BYTES = 1_000_000
const RECORD_OVERHEAD_BYTES = 16
/** What the header comes to in a record: two lengths, its name, a context. */
const HEADER_BYTES = 70

/**
 * A sender that makes one span of each batch and writes its context into each record, if it is sampled. A context that a
 * synthetic event brings along belongs to no span: it is left out, since a trace that began with it would have no beginning.
 */
export function tracedSender(sender: BatchSender, tracer: Tracer): BatchSender {
  return {
    async send(topic, partition, messages) {
      const attributes = { ...sendAttributes(topic, messages.length), [ATTRIBUTES.partition]: String(partition) }
      const span = tracer.startSpan(SPAN_NAMES.send(topic), { kind: SpanKind.PRODUCER, attributes }, ROOT_CONTEXT)
      try {
        const traceparent = traceparentOf(span)
        const sent = await sender.send(topic, partition, inTrace(messages, traceparent))
        return traceparent === null ? sent : { ...sent, traceparent }
      } catch (error) {
        fail(span, error)
        throw error
      } finally {
        span.end()
      }
    },
    close: () => sender.close(),
  }
}

/** The messages with this context in place of any that they bring along; null for none. */
export function inTrace(messages: readonly SentMessage[], context: Traceparent | null): SentMessage[] {
  const own: readonly RecordHeader[] =
    context === null || !hasRoom(messages) ? [] : [[TRACEPARENT_HEADER, context] as const]
  return messages.map(message => {
    const { headers } = message
    if (headers.length === 0 && own.length === 0) return message
    return { ...message, headers: [...headers.filter(([name]) => name !== TRACEPARENT_HEADER), ...own] }
  })
}

function hasRoom(messages: readonly SentMessage[]): boolean {
  let bytes = messages.length * (RECORD_OVERHEAD_BYTES + HEADER_BYTES)
  for (const { key, value, headers } of messages) {
    bytes += key.length + (value?.length ?? 0)
    for (const [name, content] of headers) bytes += name.length + (content?.length ?? 0) + 2
  }
  return bytes <= MAX_BATCH_BYTES
}
