import { TidemarkError } from '../errors.ts'

/** Answers of the broker that say: this member, producer or generation is no longer the owner. */
const FENCED_TYPES = new Set([
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'REBALANCE_IN_PROGRESS',
  'FENCED_INSTANCE_ID',
  // Also for PRODUCER_FENCED, which brokers tell only in newer versions of the requests than kafkajs sends.
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])

/** The Kafka protocol's name of an error (as ILLEGAL_GENERATION), looked for along its causes; null when it has none. */
export function protocolTypeOf(error: unknown): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const { type } = at as { type?: unknown }
    if (typeof type === 'string') return type
  }
  return null
}

/**
 * What a failed request means to the owner of a partition: `fenced` (someone else owns it now) or a retriable
 * `delivery_failed` (unknown outcome included).
 */
export function deliveryError(what: string, cause: unknown): TidemarkError {
  if (cause instanceof TidemarkError) return cause
  const type = protocolTypeOf(cause)
  const detail = type ?? (cause instanceof Error ? cause.message : String(cause))
  if (type !== null && FENCED_TYPES.has(type)) return new TidemarkError('fenced', `${what}: ${detail}`, { cause })
  return new TidemarkError('delivery_failed', `${what} failed: ${detail}`, { cause, retriable: true })
}
