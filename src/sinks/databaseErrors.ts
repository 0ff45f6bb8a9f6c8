import { TidemarkError } from '../errors.ts'

/** What a failed call means for the caller, by which errors are counted and told. */
export type DatabaseTrouble =
  /** Worth another try: it is away, starting, full, read-only, busy, or said nothing in time. */
  | 'unavailable'
  /** Somebody has to change something: the password, the rights, the database's name. */
  | 'refused'
  /** It does not take these data, and never will. */
  | 'data'
  /** A fault of ours, or of somebody who has changed our tables. */
  | 'fault'

/**
 * SQLSTATE classes that pass by themselves: 08 connection, 25006 read-only, 25P03 and 25P04 a transaction in which we slept
 * for too long, 40 conflicts of transactions, 53 resources (a full disk, too many connections), 55 locks, 57 shut down,
 * starting or cancelled by a timeout, 58 input and output.
 */
const PASSING = /^(?:08|25006|25P0[34]|40|53|55|57|58)/
/** 28 sign-in, 3D000 no such database, 3F000 no such schema, 42501 rights. */
const REFUSED = /^(?:28|3D000|3F000|42501)/
/** 22 data exceptions, 54 limits (an index entry too long, nesting too deep). */
const DATA = /^(?:22|54)/
const SQLSTATE = /^[0-9A-Z]{5}$/
/** Of TLS, by Node's names: a certificate that is not trusted today is not trusted in a second. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL/

/** Total: every error that a database call throws is one of these. */
export function troubleOf(error: unknown): DatabaseTrouble {
  const code = codeOf(error)
  if (SQLSTATE.test(code)) {
    if (PASSING.test(code)) return 'unavailable'
    if (REFUSED.test(code)) return 'refused'
    return DATA.test(code) ? 'data' : 'fault'
  }
  if (UNTRUSTED.test(code)) return 'refused'
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) return 'fault'
  // The driver gives its refusals to sign in no code; they alone begin so.
  if (error instanceof Error && error.message.startsWith('SASL')) return 'refused'
  // All that is left are sockets and timeouts, of Node (ECONNREFUSED) or the driver (no code at all).
  return 'unavailable'
}

/**
 * The error that the runtime is told. Messages of PostgreSQL and its driver name users and databases, never passwords.
 * @param where as in Database
 */
export function databaseError(error: unknown, where: string): TidemarkError {
  if (error instanceof TidemarkError) return error
  const trouble = troubleOf(error)
  const message = `database ${where}: ${reasonOf(error)}`
  if (trouble === 'unavailable') return new TidemarkError('unreachable', message, { cause: error, retriable: true })
  if (trouble === 'refused') {
    const remedy = 'check user, password, database and rights in DATABASE_URL'
    return new TidemarkError('refused_database', `${message}; ${remedy}`, { cause: error })
  }
  return new TidemarkError('crashed', message, { cause: error })
}

/** One line for people. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error)
  // A host with several addresses fails with one error for each, and an empty message of its own.
  const first = error instanceof AggregateError ? error.errors[0] : error
  const text = first instanceof Error ? first.message : String(first)
  return code === '' ? text : `${text} (${code})`
}

/** SQLSTATE, or Node's name of the error; empty without one. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
