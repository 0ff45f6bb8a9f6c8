/** What to do about an error: try again, give up the owner's state and restore, refuse to run, or crash. */
export type ErrorCode =
  | 'bad_setting'
  | 'usage'
  | 'refused_no_metadata'
  | 'refused_config_hash'
  | 'refused_beyond_log'
  | 'refused_replay_lost'
  | 'refused_commit_lost'
  | 'refused_topic'
  | 'refused_partition_count'
  | 'refused_database'
  | 'refused_schema'
  | 'refused_generation'
  | 'unreachable'
  | 'fenced'
  | 'unassigned'
  | 'delivery_failed'
  | 'corrupt_batch'
  | 'crashed'

/** Exit codes of every command, part of the contract. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, crashed: 4 } as const

/** The one error type. `code` is for programs, the message for people: what was wrong and what is allowed. */
export class TidemarkError extends Error {
  readonly code: ErrorCode
  readonly retriable: boolean

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retriable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TidemarkError'
    this.code = code
    this.retriable = options.retriable ?? false
  }
}

/** @throws Error when a programmer's assumption does not hold; never for data or the outside world */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant violated: ${message}`)
}

/** Total: every error ends in exactly one exit code. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof TidemarkError)) return EXIT.crashed
  if (error.code === 'bad_setting' || error.code === 'usage') return EXIT.usage
  if (error.code === 'unreachable' || error.code.startsWith('refused_')) return EXIT.refused
  return EXIT.crashed
}
