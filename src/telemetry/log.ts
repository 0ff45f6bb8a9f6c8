import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import type { Settings } from '../config/settings.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** What a line carries beside its event. Never a user id, an unmasked IP, a device id or the bytes of an event. */
export type LogFields = Readonly<Record<string, unknown>>

/** Writes one line: `event` names its kind in snake_case, one name for one kind, so that lines can be counted. */
export type WriteLine = (level: LogLevel, event: string, fields?: LogFields) => void

export type Log = Readonly<Record<LogLevel, (event: string, fields?: LogFields) => void>> & {
  readonly write: WriteLine
  /** A log whose every line also carries `bindings`. */
  readonly child: (bindings: LogFields) => Log
}

export type LogOptions = {
  /**
   * Where lines go. A role (`aggregate`, `reduce`) logs to stdout, which then holds nothing else; a command whose
   * stdout is its result (`demo`, `generate`, `topics`) logs to stderr.
   */
  readonly to?: 'stdout' | 'stderr' | DestinationStream
}

/** Names under which personal data or a secret could slip in by mistake, at the top and one level down. */
const NEVER_LOGGED = ['user_id', 'userId', 'device_id', 'deviceId', 'ip', 'password', 'sasl', 'key', 'value']

/**
 * A log of JSON lines: {level, time (ISO 8601), ...bindings, event, ...fields}; an Error under `err` becomes its type,
 * code, message and stack. Lines are written synchronously: none is lost when the process exits right after.
 */
export function createLogger(settings: Pick<Settings, 'logLevel'>, bindings: LogFields, options: LogOptions = {}): Log {
  const { to = 'stdout' } = options
  const stream = typeof to === 'string' ? destination({ dest: to === 'stdout' ? 1 : 2, sync: true }) : to
  const logger = pino(
    {
      level: settings.logLevel,
      base: bindings,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: NEVER_LOGGED.flatMap(name => [name, `*.${name}`]), censor: '***' },
    },
    stream,
  )
  return wrap(logger)
}

function wrap(logger: Logger): Log {
  const write: WriteLine = (level, event, fields) => logger[level]({ event, ...fields })
  return {
    write,
    child: bindings => wrap(logger.child(bindings)),
    trace: (event, fields) => write('trace', event, fields),
    debug: (event, fields) => write('debug', event, fields),
    info: (event, fields) => write('info', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
    fatal: (event, fields) => write('fatal', event, fields),
  }
}

/** Lines that may come by the thousand, of which few are written. */
export type SampledLog = {
  readonly write: WriteLine
  /** Writes at once what is held back; call it before the process ends. */
  readonly flush: () => void
}

type Held = { level: LogLevel; fields: LogFields | undefined; count: number; timer: NodeJS.Timeout }

/**
 * Lets through at most one line of each event in `intervalMs`: the first at once, of those that follow the last one at
 * the interval's end, with `suppressed`, the number of lines that it stands for beside itself. Memory is one line for
 * each event name, so names must come from the code and never from data.
 */
export function sampled(log: Pick<Log, 'write'>, intervalMs = 1_000): SampledLog {
  const heldByEvent = new Map<string, Held>()

  const release = (event: string): boolean => {
    const held = heldByEvent.get(event)
    if (held === undefined || held.count === 0) return false
    log.write(held.level, event, { ...held.fields, suppressed: held.count - 1 })
    held.count = 0
    return true
  }

  const onInterval = (event: string): void => {
    const held = heldByEvent.get(event)
    if (held === undefined) return
    if (release(event)) held.timer.refresh()
    else heldByEvent.delete(event)
  }

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
    flush: () => {
      for (const [event, held] of heldByEvent) {
        clearTimeout(held.timer)
        release(event)
      }
      heldByEvent.clear()
    },
  }
}
