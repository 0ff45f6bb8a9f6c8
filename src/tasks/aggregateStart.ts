import type { AggregateLimits } from '../aggregate/aggregate.ts'
import { TidemarkError } from '../errors.ts'
import type { EventRules } from '../events/parse.ts'
import type { GeoLookup, Ipv4Lookup } from '../events/place.ts'
import type { Totals } from '../results/result.ts'
import { addGap, type Gap } from '../windows/gaps.ts'
import { type AggregateCommit, decodeAggregateCommit } from './aggregateCommit.ts'
import type { EventOutputSettings } from './eventOutputs.ts'
import type { ProgressTellerSettings } from './progressTeller.ts'
import type { Commit, LogRange } from './task.ts'

export type AggregateTaskSettings = EventRules &
  ProgressTellerSettings & {
    readonly generation: number
    readonly configHash: string
    readonly windowSizeMs: number
    readonly allowedLatenessMs: number
    readonly maxFutureSkewMs: number
    readonly chunkSize: number
    readonly limits: AggregateLimits
    /** The place of an event's address, which is `unknown` or a valid one as it came. */
    readonly place: GeoLookup
    /** The same of IPv4 addresses, without a text being made; by `place` when left out. */
    readonly ipv4Places?: Ipv4Lookup
    readonly outputs: EventOutputSettings
    /** Whether captures tell of the traces that events belong to; off when left out. */
    readonly traced?: boolean
  }

/** Where and how a task begins. */
export type AggregateStart = {
  /** Where to read on, and the clock there. */
  readonly position: number
  readonly clock: number
  readonly committed: number
  readonly committedClock: number
  readonly from: number
  readonly clockAtFrom: number
  readonly totals: Totals
  readonly gaps: readonly Gap[]
  /** A gap found just now, to be reported. */
  readonly newGap: Gap | null
  readonly commitFirst: boolean
}

/** The start of the chunk that holds `offset`. */
export function chunkStart(offset: number, chunkSize: number): number {
  return Math.floor(offset / chunkSize) * chunkSize
}

/**
 * Where a partition's new owner begins, by its last commit and what the log still holds.
 * @throws TidemarkError `refused_*` when going on from the commit would be a silent reset
 */
export function startOf(
  settings: AggregateTaskSettings,
  partition: number,
  commit: Commit | null,
  log: LogRange,
  now: number,
): AggregateStart {
  if (commit === null) {
    const totals = { accepted: 0, late: 0, rejected: {} }
    return beginAt(log.start, 0, totals, [], null)
  }
  const last = decodeAggregateCommit(commit)
  checkAggregateCommit(settings, partition, last, log)
  if (last.offset < log.start) {
    // Lateness is the slack for producers whose clocks are ahead of ours.
    const untilMs = now + settings.maxFutureSkewMs + settings.allowedLatenessMs
    const gap = { from: last.offset, to: log.start, clockBefore: last.clock, untilMs }
    return beginAt(log.start, last.clock, last.totals, addGap(last.gaps, gap), gap)
  }
  // The records to rebuild from are gone, but all that they said is told: a sub-chunk goes on behind them.
  if (last.replayFrom < log.start) return beginAt(last.offset, last.clock, last.totals, last.gaps, null)
  return {
    position: last.replayFrom,
    clock: last.clockAtReplayFrom,
    committed: last.offset,
    committedClock: last.clock,
    from: last.from,
    clockAtFrom: last.clockAtFrom,
    totals: last.totals,
    gaps: last.gaps,
    newGap: null,
    commitFirst: false,
  }
}

/** A (sub-)chunk that begins at `offset`, with nothing before it to rebuild. */
function beginAt(
  offset: number,
  clock: number,
  totals: Totals,
  gaps: readonly Gap[],
  newGap: Gap | null,
): AggregateStart {
  return {
    position: offset,
    clock,
    committed: offset,
    committedClock: clock,
    from: offset,
    clockAtFrom: clock,
    totals,
    gaps,
    newGap,
    commitFirst: true,
  }
}

/** @throws TidemarkError `refused_*` when going on from the commit would be a silent reset */
export function checkAggregateCommit(
  settings: Pick<AggregateTaskSettings, 'configHash' | 'partialsPartitions'>,
  partition: number,
  commit: AggregateCommit,
  log: LogRange,
): void {
  const where = `source partition ${partition}`
  const remedy =
    'Put the setting back, or begin a new generation beside this one with `tidemark topics rewind --to <time|earliest|offsets>`'
  if (commit.configHash !== settings.configHash) {
    throw new TidemarkError(
      'refused_config_hash',
      `${where}: committed by settings with the hash ${commit.configHash}, but the present ones have ${settings.configHash}: ` +
        `a setting that decides which window an event falls into (generation, window size, lateness, skew, validation, bounds, chunk size) was changed. ${remedy}`,
    )
  }
  if (commit.partialsPartitions !== settings.partialsPartitions) {
    throw new TidemarkError(
      'refused_partition_count',
      `${where}: committed with ${commit.partialsPartitions} partials partitions, but the partials topic has ${settings.partialsPartitions}: windows would move between reducers. ${remedy}`,
    )
  }
  if (commit.offset > log.end) {
    throw new TidemarkError(
      'refused_beyond_log',
      `${where}: the committed offset ${commit.offset} lies beyond the log's end ${log.end}: the source topic was made anew or cut. ` +
        'Begin a new generation with `tidemark topics rewind --to earliest`',
    )
  }
}
