import { TidemarkError } from '../errors.ts'
import type { Commit } from './task.ts'

/** What a reducer leaves for the next owner of a partials partition. */
export type ReduceCommit = {
  readonly offset: number
  /** Least of the first positions of the windows held (or parked) and of every source's latest progress. */
  readonly replayFrom: number
  /** Windows up to these indexes are final, and forgotten. They never decrease; -1 before the first. */
  readonly finalThrough: number
  readonly droppedThrough: number
  /** The greatest number of source partitions that any source has told of: finality waits for all of them. */
  readonly sourcePartitions: number
  readonly configHash: string
}

const COMMIT_VERSION = 1

export function encodeReduceCommit(commit: ReduceCommit): Commit {
  return {
    offset: commit.offset,
    metadata: JSON.stringify({
      v: COMMIT_VERSION,
      h: commit.configHash,
      r: commit.replayFrom,
      f: commit.finalThrough,
      d: commit.droppedThrough,
      s: commit.sourcePartitions,
    }),
  }
}

/** @throws TidemarkError `refused_no_metadata` when the commit was not written by us */
export function decodeReduceCommit(commit: Commit): ReduceCommit {
  try {
    const json = JSON.parse(commit.metadata)
    if (json.v !== COMMIT_VERSION) throw new Error(`commit version ${json.v}`)
    const { h: configHash, r: replayFrom, f: finalThrough, d: droppedThrough, s: sourcePartitions } = json
    return { offset: commit.offset, replayFrom, finalThrough, droppedThrough, sourcePartitions, configHash }
  } catch (cause) {
    throw new TidemarkError(
      'refused_no_metadata',
      `the committed offset ${commit.offset} of the partials was not written by Tidemark (an operator's reset?): windows merged from it would miss partials. ` +
        'Begin a new generation beside this one with `tidemark topics rewind --to <time|earliest|offsets>`',
      { cause },
    )
  }
}
