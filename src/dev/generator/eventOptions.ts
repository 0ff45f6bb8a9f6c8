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
  readonly shares: Shares
  /** An event's time lies up to this far behind its sending, milliseconds. */
  readonly jitterMs: number
  /** A partition that gets the given share of all events; null for none. */
  readonly skewed: { readonly partition: number; readonly share: number } | null
  /** A partition that gets no event; null for none. */
  readonly silentPartition: number | null
}

export const NO_SHARES: Shares = {
  missingOptional: 0,
  missingRequired: 0,
  brokenJson: 0,
  notUtf8: 0,
  duplicates: 0,
  late: 0,
  future: 0,
}

export const DEFAULT_EVENT_OPTIONS: EventOptions = {
  seed: 1,
  partitions: 12,
  users: 10_000,
  shares: {
    missingOptional: 0.01,
    missingRequired: 0.001,
    brokenJson: 0.001,
    notUtf8: 0.0005,
    duplicates: 0.005,
    late: 0.005,
    future: 0.0005,
  },
  jitterMs: 3_000,
  skewed: null,
  silentPartition: null,
}

/** @throws TidemarkError 'usage' for options that contradict each other or the number of partitions */
export function checkEventOptions({ partitions, shares, skewed, silentPartition }: EventOptions): void {
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0)
  if (total > 1) throw usage(`the shares of unusual events add up to ${total}; at most 1 is allowed`)
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
