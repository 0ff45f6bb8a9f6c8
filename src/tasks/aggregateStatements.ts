import type { Totals } from '../results/result.ts'
import type { Gap } from '../windows/gaps.ts'
import { encodeAggregateCommit } from './aggregateCommit.ts'
import type { AggregateTaskSettings } from './aggregateStart.ts'
import { copyTotals, encodeMessage, type ProgressMessage } from './messages.ts'
import type { OpenWindow } from './openWindow.ts'
import type { Commit, OutputRecord } from './task.ts'

/** A partition's log below a position, and what it adds up to: what an aggregate task makes its statements of. */
export type Prefix = {
  readonly partition: number
  readonly position: number
  /** The event-time clock at the position, epoch milliseconds. */
  readonly clock: number
  /** Where the present chunk, or the sub-chunk in it, begins, and the clock there. */
  readonly from: number
  readonly clockAtFrom: number
  readonly totals: Totals
  readonly gaps: readonly Gap[]
}

/** What the window's events of the present chunk come to, those below the offset `through`. */
export function partialRecord(
  { partialsPartitions, generation }: AggregateTaskSettings,
  { partition, from, clockAtFrom }: Prefix,
  window: OpenWindow,
  through: number,
): OutputRecord {
  const { index } = window
  return {
    topic: 'partials',
    partition: ((index % partialsPartitions) + partialsPartitions) % partialsPartitions,
    key: `${index}/${partition}/${from}`,
    value: encodeMessage({
      kind: 'partial',
      generation,
      w: index,
      p: partition,
      from,
      clockAtFrom,
      through,
      last: window.last,
      aggregate: window.aggregate.toJSON(),
      coverage: null,
    }),
  }
}

/**
 * @param of how many source partitions there are
 * @param idleAsOf when the log was last seen to have nothing more, epoch milliseconds; null while it has
 */
export function progressOf(
  { generation }: AggregateTaskSettings,
  { partition, position, clock, totals, gaps }: Prefix,
  of: number,
  idleAsOf: number | null,
): ProgressMessage {
  return {
    kind: 'progress',
    generation,
    p: partition,
    of,
    through: position,
    clock,
    idleAsOf,
    totals: copyTotals(totals),
    gaps: gaps.map(gap => ({ p: partition, ...gap })),
  }
}

/** The statement about the prefix: a new owner reads again from where the first of the windows that are open began. */
export function commitOf(
  { configHash, partialsPartitions }: AggregateTaskSettings,
  { position, clock, from, clockAtFrom, totals, gaps }: Prefix,
  windows: Iterable<OpenWindow>,
): Commit {
  let replayFrom = position
  let clockAtReplayFrom = clock
  for (const window of windows) {
    if (window.firstOffset >= replayFrom) continue
    replayFrom = window.firstOffset
    clockAtReplayFrom = window.clockBeforeFirst
  }
  return encodeAggregateCommit({
    offset: position,
    replayFrom,
    clockAtReplayFrom,
    clock,
    from,
    clockAtFrom,
    totals,
    gaps,
    configHash,
    partialsPartitions,
  })
}
