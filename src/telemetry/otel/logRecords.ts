import {
  type Context,
  type Logger,
  type LogRecord,
  ROOT_CONTEXT,
  SeverityNumber,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { EVENTS, type EventName } from '../events.ts'
import type { LineListener, LogFields, LogLevel } from '../log.ts'
import { ATTRIBUTES, SERVICE } from '../tracing/names.ts'

const SEVERITIES: Readonly<Record<LogLevel, SeverityNumber>> = {
  trace: SeverityNumber.TRACE,
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
  fatal: SeverityNumber.FATAL,
}

/** Of an error, as the semantic conventions name them. */
const EXCEPTION_ATTRIBUTES = {
  type: 'exception.type',
  message: 'exception.message',
  stack: 'exception.stacktrace',
} as const

/** That telemetry cannot be sent is not sent: each try would be the cause of the next. */
const NEVER_SENT: EventName = 'tracing_trouble'

/** Makes a log record of each line, for whoever the SDK sends them to. */
export function emitLines(logger: Pick<Logger, 'emit'>): LineListener {
  return (level, event, fields) => {
    if (event !== NEVER_SENT) logger.emit(logRecord(level, event, fields))
  }
}

/**
 * A line as a log record: its event's name and meaning, the ids of the trace that it belongs to, and its fields as
 * attributes `tidemark.*`; those of an Error under `err` have the names of the semantic conventions.
 */
export function logRecord(level: LogLevel, event: EventName, fields: LogFields): LogRecord {
  const { err, trace_id, span_id, ...own } = fields
  const attributes = Object.entries(own).map(([name, value]) => [`${SERVICE}.${name}`, plain(value)] as const)
  return {
    eventName: `${SERVICE}.${event}`,
    body: EVENTS[event],
    severityNumber: SEVERITIES[level],
    severityText: level,
    attributes: {
      ...Object.fromEntries(attributes.filter(([, value]) => value !== undefined)),
      ...(err === undefined ? {} : errorAttributes(err)),
    },
    context: contextOf(trace_id, span_id),
  }
}

function contextOf(traceId: unknown, spanId: unknown): Context {
  if (typeof traceId !== 'string' || typeof spanId !== 'string') return ROOT_CONTEXT
  // Only the ids of sampled spans are told.
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true })
}

function errorAttributes(error: unknown): Record<string, string> {
  if (!(error instanceof Error)) return { [EXCEPTION_ATTRIBUTES.message]: String(error) }
  const code: unknown = Reflect.get(error, 'code')
  return {
    [EXCEPTION_ATTRIBUTES.type]: error.name,
    [EXCEPTION_ATTRIBUTES.message]: error.message,
    ...(error.stack === undefined ? {} : { [EXCEPTION_ATTRIBUTES.stack]: error.stack }),
    ...(typeof code === 'string' || typeof code === 'number' ? { [ATTRIBUTES.errorType]: String(code) } : {}),
  }
}

/** The value as the line's JSON has it: attributes know no others. */
function plain(value: unknown): unknown {
  const text = JSON.stringify(value, (_name, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner))
  return text === undefined ? undefined : JSON.parse(text)
}
