import { type Link, type Span, type SpanContext, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { TidemarkError } from '../../errors.ts'
import { formatTraceparent, parseTraceparent, type Traceparent } from '../../tasks/traceContext.ts'
import { ATTRIBUTES, OTHER_ERROR } from './names.ts'

/** The span's context as text; null when it is not sampled: another leads nowhere, and is not told. */
export function traceparentOf(span: Span): Traceparent | null {
  const { traceId, spanId, traceFlags } = span.spanContext()
  const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0
  return sampled ? formatTraceparent({ traceId, spanId, sampled }) : null
}

/** Links to the contexts, in their order. */
export function linksTo(contexts: readonly Traceparent[]): Link[] {
  return contexts.map(contextOf).flatMap(context => (context === null ? [] : [{ context }]))
}

function contextOf(text: Traceparent): SpanContext | null {
  const ids = parseTraceparent(text)
  if (ids === null) return null
  const traceFlags = ids.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE
  return { traceId: ids.traceId, spanId: ids.spanId, traceFlags, isRemote: true }
}

/** Marks what the span stands for as failed, by the error's code: messages may name what spans must not. */
export function fail(span: Span, error: unknown): void {
  span.setAttribute(ATTRIBUTES.errorType, error instanceof TidemarkError ? error.code : OTHER_ERROR)
  span.setStatus({ code: SpanStatusCode.ERROR })
}
