import { TidemarkError } from '../../errors.ts'

/** What goes wrong in the world, as shares of all events (0 to 1 each, together at most 1). */
export type Shares = {
  /** An optional field is absent, null, empty or of a wrong type. */
  readonly missingOptional: number
  /** user_id or timestamp is absent, null or empty. */
  readonly missingRequired: number
  /** Cut off, another kind of JSON value, or no JSON at all. */
  readonly brokenJson: number
  readonly notUtf8: number
  /** Null, or no byte at all. */
  readonly emptyValue: number
  /** user_id or timestamp is of a wrong type or out of its bounds. */
  readonly invalidRequired: number
  /** One level deeper than `maxEventDepth`. */
  readonly tooDeep: number
  /** One byte longer than `maxEventBytes`. */
  readonly tooLarge: number
  /** The same bytes, key and partition as one of the last events. */
  readonly duplicates: number
  /** The event's time lies 1-10 minutes back. */
  readonly late: number
  /** The event's time lies a day to a year ahead. */
  readonly future: number
}

export type EventOptions = {
  /** The same seed and the same times give the same events. */
  readonly seed: number
  readonly partitions: number
  /** How many users there are; a few are far more active than most. */
  readonly users: number
  /** The share of apps that write otherwise than in the plain form: CloudEvents, more fields, other spellings, headers. */
  readonly variedClients: number
  readonly shares: Shares
  /** From here on events are rejected. */
  readonly maxEventBytes: number
  readonly maxEventDepth: number
  /** An event's time lies up to this far behind its sending, milliseconds. */
  readonly jitterMs: number
  /** A partition that gets the given share of all events; null for none. */
  readonly skewed: { readonly partition: number; readonly share: number } | null
  /** A partition that gets no event; null for none. */
  readonly silentPartition: number | null
}

/** Brokers refuse record batches of more than 1 MiB unless told otherwise. */
const LARGEST_EVENT_BYTES = 256 * 1024

export const NO_SHARES: Shares = {
  missingOptional: 0,
  missingRequired: 0,
  brokenJson: 0,
  notUtf8: 0,
  emptyValue: 0,
  invalidRequired: 0,
  tooDeep: 0,
  tooLarge: 0,
  duplicates: 0,
  late: 0,
  future: 0,
}

export const DEFAULT_EVENT_OPTIONS: EventOptions = {
  seed: 1,
  partitions: 12,
  users: 10_000,
  variedClients: 0.2,
  shares: {
    missingOptional: 0.01,
    missingRequired: 0.001,
    brokenJson: 0.001,
    notUtf8: 0.0005,
    emptyValue: 0.0005,
    invalidRequired: 0.0005,
    tooDeep: 0.0002,
    // Only where MAX_EVENT_BYTES is small enough that brokers take more.
    tooLarge: 0,
    duplicates: 0.005,
    late: 0.005,
    future: 0.0005,
  },
  maxEventBytes: 1024 * 1024,
  maxEventDepth: 64,
  jitterMs: 3_000,
  skewed: null,
  silentPartition: null,
}

/** @throws TidemarkError 'usage' for options that contradict each other or the number of partitions */
export function checkEventOptions(options: EventOptions): void {
  const { partitions, shares, skewed, silentPartition, maxEventBytes } = options
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0)
  if (total > 1) throw usage(`the shares of unusual events add up to ${total}; at most 1 is allowed`)
  if (shares.tooLarge > 0 && maxEventBytes > LARGEST_EVENT_BYTES) {
    throw usage(
      `events of more than MAX_EVENT_BYTES (${maxEventBytes}) cannot be sent; allowed is at most ${LARGEST_EVENT_BYTES}`,
    )
  }
  for (const partition of [skewed?.partition, silentPartition]) {
    if (partition === undefined || partition === null || partition < partitions) continue
    throw usage(`there is no partition ${partition}: the topic has 0 to ${partitions - 1}`)
  }
  const skewedOnly = skewed === null ? 0 : 1
  if (silentPartition !== null && skewed?.partition === silentPartition) {
    throw usage(`partition ${silentPartition} cannot be both silent and skewed`)
  }
  if (partitions - skewedOnly - (silentPartition === null ? 0 : 1) < 1 && (skewed?.share ?? 0) < 1) {
    throw usage(`${partitions} partitions leave none for the events outside the skewed and the silent one`)
  }
}

function usage(message: string): TidemarkError {
  return new TidemarkError('usage', message)
}
