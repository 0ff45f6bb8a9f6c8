import type { Settings } from '../config/settings.ts'
import type { Role } from '../telemetry/catalogue.ts'
import { createLogger, type Log, type LogOptions, type LogThreshold } from '../telemetry/log.ts'

/** The log of a role, on stdout. SIGUSR2 makes it say more, and once more makes it say what is set. */
export function openRoleLog(
  settings: Pick<Settings, 'logLevel' | 'logFormat'>,
  role: Role,
  options: LogOptions = {},
): Log {
  const log = createLogger(settings, { role }, options)
  process.on('SIGUSR2', () => changeLevel(log, settings.logLevel))
  return log
}

/** From the threshold that is set to the other one, or back. The line that says so is written at the more talkative of both. */
export function changeLevel(log: Pick<Log, 'info' | 'threshold'>, set: LogThreshold): void {
  const from = log.threshold
  const to = from === set ? otherThan(set) : set
  const more = from === set && set !== 'trace'
  if (more) log.threshold = to
  log.info('log_level', { from, to })
  log.threshold = to
}

/** More talkative; less so for what already says all. */
function otherThan(set: LogThreshold): LogThreshold {
  if (set === 'trace') return 'info'
  return set === 'debug' ? 'trace' : 'debug'
}
