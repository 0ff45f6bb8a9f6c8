import { type DestinationStream, destination, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import type { Settings } from '../config/settings.ts'
import { parseTraceparent, type Traceparent } from '../tasks/traceContext.ts'
import { EVENTS, type EventName } from './events.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** The least severe lines that are written. */
export type LogThreshold = Settings['logLevel']

/** What a line carries beside its event. Never a user id, an unmasked IP, a device id or the bytes of an event. */
export type LogFields = Readonly<Record<string, unknown>>

/** Writes one line: `event` names its kind, so that lines can be counted. */
export type WriteLine = (level: LogLevel, event: EventName, fields?: LogFields) => void

export type Log = Readonly<Record<LogLevel, (event: EventName, fields?: LogFields) => void>> & {
  readonly write: WriteLine
  /** May be changed at any time. */
  threshold: LogThreshold
}

/** Hears of a line what is written of it: fields that nobody may see are masked. */
export type LineListener = (level: LogLevel, event: EventName, fields: LogFields) => void

/** What a line was written in the course of, in hexadecimal as W3C Trace Context has it. */
export type TraceIds = { readonly trace_id: string; readonly span_id: string }

export type LogOptions = {
  /**
   * Where lines go. A role (`aggregate`, `reduce`) logs to stdout, which then holds nothing else; a command whose
   * stdout is its result (`demo`, `generate`, `topics`) logs to stderr.
   */
  readonly to?: 'stdout' | 'stderr' | DestinationStream
}

/** Names under which personal data or a secret could slip in by mistake, at the top and one level down. */
const NEVER_LOGGED = ['user_id', 'userId', 'device_id', 'deviceId', 'ip', 'password', 'sasl', 'key', 'value']
const CENSOR = '***'
/** The version of the Elastic Common Schema whose names are used. */
const ECS_VERSION = '8.11.0'

let listener: LineListener | null = null

/** Has every line of this process that is written go there, too; null for nowhere. */
export function hearLines(by: LineListener | null): void {
  listener = by
}

/**
 * The fields by which a line belongs to a trace; none for what belongs to none. Given where a line is written: the flushes of
 * all partitions go on side by side, so that nothing could tell by itself which of them a line belongs to.
 */
export function traceFields(trace: Traceparent | null): TraceIds | Readonly<Record<string, never>> {
  const ids = trace === null ? null : parseTraceparent(trace)
  return ids === null ? {} : { trace_id: ids.traceId, span_id: ids.spanId }
}

/**
 * A log of JSON lines, written synchronously: none is lost when the process exits right after. With LOG_FORMAT
 * - `tidemark`: {level, time (ISO 8601), ...bindings, event, ...fields}; an Error under `err` becomes its
 *   type, code, message and stack.
 * - `ecs`: the same under the names of the Elastic Common Schema; the event is `event.action`, what it means `message`, an
 *   Error `error.*`, and our own fields are in the object `tidemark`.
 */
export function createLogger(
  settings: Pick<Settings, 'logLevel' | 'logFormat'>,
  bindings: { readonly role: string },
  options: LogOptions = {},
): Log {
  const { to = 'stdout' } = options
  const stream = typeof to === 'string' ? destination({ dest: to === 'stdout' ? 1 : 2, sync: true }) : to
  const format = settings.logFormat === 'ecs' ? ecsFormat(bindings) : ownFormat(bindings)
  const logger = pino({ level: settings.logLevel, ...format.options }, stream)
  const write: WriteLine = (level, event, fields = {}) => {
    if (!logger.isLevelEnabled(level)) return
    logger[level](format.line(event, fields))
    listener?.(level, event, masked(fields))
  }
  return {
    write,
    get threshold() {
      return logger.level as LogThreshold
    },
    set threshold(level) {
      logger.level = level
    },
    trace: (event, fields) => write('trace', event, fields),
    debug: (event, fields) => write('debug', event, fields),
    info: (event, fields) => write('info', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
    fatal: (event, fields) => write('fatal', event, fields),
  }
}

type Format = {
  readonly options: LoggerOptions
  readonly line: (event: EventName, fields: LogFields) => LogFields
}

function ownFormat(bindings: LogFields): Format {
  return {
    options: {
      base: bindings,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: NEVER_LOGGED.flatMap(name => [name, `*.${name}`]), censor: CENSOR },
    },
    line: (event, fields) => ({ event, ...fields }),
  }
}

function ecsFormat({ role }: { readonly role: string }): Format {
  return {
    options: {
      base: { 'ecs.version': ECS_VERSION, 'service.name': 'tidemark', 'event.dataset': `tidemark.${role}` },
      timestamp: () => `,"@timestamp":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ 'log.level': label }) },
      redact: { paths: NEVER_LOGGED.flatMap(name => [`tidemark.${name}`, `tidemark.*.${name}`]), censor: CENSOR },
    },
    line: (event, { err, trace_id, span_id, ...fields }) => ({
      message: EVENTS[event],
      'event.action': event,
      ...(trace_id === undefined ? {} : { 'trace.id': trace_id, 'span.id': span_id }),
      ...(err === undefined ? {} : ecsError(err)),
      // A role tells its own partitions and windows: under one name, so that they meet no field of the schema.
      ...(Object.keys(fields).length === 0 ? {} : { tidemark: fields }),
    }),
  }
}

/** Without what is never logged, at the top and one level down. */
function masked(fields: LogFields): LogFields {
  const mask = (of: LogFields, inside: (value: unknown) => unknown) =>
    Object.fromEntries(
      Object.entries(of).map(([name, value]) => [name, NEVER_LOGGED.includes(name) ? CENSOR : inside(value)]),
    )
  const isPlain = (value: unknown): value is LogFields =>
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return mask(fields, value => (isPlain(value) ? mask(value, deeper => deeper) : value))
}

function ecsError(error: unknown): LogFields {
  if (!(error instanceof Error)) return { 'error.message': String(error) }
  const code: unknown = Reflect.get(error, 'code')
  return {
    'error.type': error.name,
    'error.message': error.message,
    'error.stack_trace': error.stack,
    ...(typeof code === 'string' || typeof code === 'number' ? { 'error.code': String(code) } : {}),
  }
}

/** Lines that may come by the thousand, of which few are written. */
export type SampledLog = {
  readonly write: WriteLine
  /** Writes at once what is held back, which the end of the process does, too. */
  readonly flush: () => void
}

type Held = { level: LogLevel; fields: LogFields | undefined; count: number; timer: NodeJS.Timeout }

/**
 * Lets through at most one line of each event in `intervalMs`: the first at once, of those that follow the last one at
 * the interval's end, with `suppressed`, the number of lines that it stands for beside itself. Memory is one line for
 * each event name.
 */
export function sampled(log: Pick<Log, 'write'>, intervalMs = 1_000): SampledLog {
  const heldByEvent = new Map<EventName, Held>()

  const release = (event: EventName): boolean => {
    const held = heldByEvent.get(event)
    if (held === undefined || held.count === 0) return false
    log.write(held.level, event, { ...held.fields, suppressed: held.count - 1 })
    held.count = 0
    return true
  }

  const onInterval = (event: EventName): void => {
    const held = heldByEvent.get(event)
    if (held === undefined) return
    if (release(event)) held.timer.refresh()
    else heldByEvent.delete(event)
  }

  const flush = () => {
    for (const [event, held] of heldByEvent) {
      clearTimeout(held.timer)
      release(event)
    }
    heldByEvent.clear()
  }
  flushAtExit(flush)

  return {
    write: (level, event, fields) => {
      const held = heldByEvent.get(event)
      if (held === undefined) {
        log.write(level, event, fields)
        // It must not keep a process alive that has nothing else to do.
        const timer = setTimeout(onInterval, intervalMs, event).unref()
        heldByEvent.set(event, { level, fields, count: 0, timer })
        return
      }
      held.level = level
      held.fields = fields
      held.count++
    },
    flush,
  }
}

const flushes: (() => void)[] = []

/** One listener for all: many samplers are no sign of a leak. */
function flushAtExit(flush: () => void): void {
  if (flushes.push(flush) > 1) return
  process.once('exit', () => {
    for (const each of flushes) each()
  })
}
