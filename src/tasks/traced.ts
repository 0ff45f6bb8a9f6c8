import { PackedRecords } from './packedRecords.ts'
import type { Output, OutputTopic } from './task.ts'
import { parseTraceparent, TRACEPARENT_HEADER, type Traceparent } from './traceContext.ts'

/** What goes on through the aggregate. Enriched events and dead letters keep the context that they came with. */
const CARRIERS: ReadonlySet<OutputTopic> = new Set(['partials', 'results', 'deviceStats'])

/**
 * The records as they are told under a span: its context is a header of each, and a field `trace` of a result. Applied to
 * what a task has captured, so that captures are the same whether there is a span or not.
 */
export function traced(records: readonly Output[], context: Traceparent): Output[] {
  const ids = parseTraceparent(context)
  if (ids === null) return [...records]
  const field = `,"trace":${JSON.stringify({ trace_id: ids.traceId, span_id: ids.spanId })}}`
  return records.map(record => {
    if (record instanceof PackedRecords || !CARRIERS.has(record.topic)) return record
    const headers = [...(record.headers ?? []), [TRACEPARENT_HEADER, context] as const]
    if (record.topic !== 'results' || typeof record.value !== 'string') return { ...record, headers }
    // A result is a JSON object with fields of its own: one more goes before its last bracket.
    return { ...record, headers, value: record.value.slice(0, -1) + field }
  })
}
