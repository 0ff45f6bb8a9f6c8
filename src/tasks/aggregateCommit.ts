import { TidemarkError } from '../errors.ts'
import type { Totals } from '../results/result.ts'
import type { Gap } from '../windows/gaps.ts'
import type { Commit } from './task.ts'

/** What an aggregator leaves for the next owner: a statement about everything below the committed offset. */
export type AggregateCommit = {
  readonly offset: number
  /** Where the next owner begins to read; windows that began before it take no more events. */
  readonly replayFrom: number
  /** The partition's clock at `replayFrom` and at `offset`, epoch milliseconds. */
  readonly clockAtReplayFrom: number
  readonly clock: number
  /** Start of the chunk or sub-chunk that `offset` lies in (`offset` itself when it starts one), and the clock there. */
  readonly from: number
  readonly clockAtFrom: number
  readonly totals: Totals
  readonly gaps: readonly Gap[]
  readonly configHash: string
  readonly partialsPartitions: number
}

const COMMIT_VERSION = 1

export function encodeAggregateCommit(commit: AggregateCommit): Commit {
  const { totals } = commit
  return {
    offset: commit.offset,
    metadata: JSON.stringify({
      v: COMMIT_VERSION,
      h: commit.configHash,
      n: commit.partialsPartitions,
      r: [commit.replayFrom, commit.clockAtReplayFrom],
      c: commit.clock,
      f: [commit.from, commit.clockAtFrom],
      t: [totals.accepted, totals.late, totals.rejected],
      g: commit.gaps.map(gap => [gap.from, gap.to, gap.clockBefore, gap.untilMs]),
    }),
  }
}

/** The commit with which a partition of a new generation begins at `offset`: nothing is counted, nothing is told. */
export function initialAggregateCommit(configHash: string, partialsPartitions: number, offset: number): Commit {
  return encodeAggregateCommit({
    offset,
    replayFrom: offset,
    clockAtReplayFrom: 0,
    clock: 0,
    from: offset,
    clockAtFrom: 0,
    totals: { accepted: 0, late: 0, rejected: {} },
    gaps: [],
    configHash,
    partialsPartitions,
  })
}

/** @throws TidemarkError `refused_no_metadata` when the commit was not written by us: going on would be a silent reset */
export function decodeAggregateCommit(commit: Commit): AggregateCommit {
  try {
    const json = JSON.parse(commit.metadata)
    if (json.v !== COMMIT_VERSION) throw new Error(`commit version ${json.v}`)
    return {
      offset: commit.offset,
      replayFrom: json.r[0],
      clockAtReplayFrom: json.r[1],
      clock: json.c,
      from: json.f[0],
      clockAtFrom: json.f[1],
      totals: { accepted: json.t[0], late: json.t[1], rejected: json.t[2] },
      gaps: json.g.map(([from, to, clockBefore, untilMs]: [number, number, number, number]) => {
        return { from, to, clockBefore, untilMs }
      }),
      configHash: json.h,
      partialsPartitions: json.n,
    }
  } catch (cause) {
    throw new TidemarkError(
      'refused_no_metadata',
      `the committed offset ${commit.offset} was not written by Tidemark (an operator's reset?): counting from it would lose or repeat events. ` +
        'Begin a new generation beside this one with `tidemark topics rewind --to <time|earliest|offsets>`',
      { cause },
    )
  }
}
