import type { AggregateLimits } from '../aggregate/aggregate.ts'
import { TidemarkError } from '../errors.ts'
import type { Level } from '../windows/levels.ts'
import { decodeReduceCommit, type ReduceCommit } from './reduceCommit.ts'
import type { Commit, LogRange } from './task.ts'

export type ReduceTaskSettings = {
  readonly generation: number
  readonly configHash: string
  readonly level: Level
  /** The levels that merge this one's results. */
  readonly above: readonly Level[]
  readonly allowedLatenessMs: number
  readonly correctionHorizonMs: number
  readonly maxWindows: number
  readonly limits: AggregateLimits
  /** The hour of the day, 0 to 23, of a moment (epoch milliseconds) in TIME_ZONE. */
  readonly hourOf: (timeMs: number) => number
  /** The name of the topic that is read, for the headers of dead letters. */
  readonly partialsTopic: string
  /** Of every level's partials. */
  readonly partialsPartitions: number
  readonly deadLetterPartitions: number
  /** Levels above are told of progress at least this often. */
  readonly idleTimeoutMs: number
  /** Whether captures tell of the traces that partials belong to; off when left out. */
  readonly traced?: boolean
}

/** The least MAX_WINDOWS: the windows that may be corrected, and one more. */
export function leastMaxWindows(settings: Pick<ReduceTaskSettings, 'level' | 'correctionHorizonMs'>): number {
  return Math.ceil(settings.correctionHorizonMs / settings.level.hopMs) + 2
}

/**
 * Where a partials partition's new owner begins.
 * @throws TidemarkError `refused_*` when windows could not be rebuilt from the log
 */
export function startOf(
  settings: ReduceTaskSettings,
  partition: number,
  commit: Commit | null,
  log: LogRange,
): ReduceCommit {
  const { configHash } = settings
  if (commit === null) {
    if (log.start > 0) {
      throw new TidemarkError(
        'refused_replay_lost',
        `partials partition ${partition}: the log begins at ${log.start}, but no reducer of this group has read it: partials are lost. Begin a new generation beside this one with \`tidemark topics rewind --to <time|earliest|offsets>\``,
      )
    }
    return {
      offset: log.start,
      replayFrom: log.start,
      finalThrough: -1,
      droppedThrough: -1,
      sourcePartitions: 0,
      configHash,
    }
  }
  const last = decodeReduceCommit(commit)
  checkReduceCommit(configHash, partition, last, log)
  return last
}

/** @throws TidemarkError `refused_*` when a reducer of these settings could not go on from the commit */
export function checkReduceCommit(configHash: string, partition: number, last: ReduceCommit, log: LogRange): void {
  const where = `partials partition ${partition}`
  const remedy = 'Begin a new generation beside this one with `tidemark topics rewind --to <time|earliest|offsets>`'
  if (last.configHash !== configHash) {
    throw new TidemarkError(
      'refused_config_hash',
      `${where}: committed by settings with the hash ${last.configHash}, but the present ones have ${configHash}. Put the setting back, or: ${remedy}`,
    )
  }
  if (last.offset > log.end) {
    throw new TidemarkError(
      'refused_beyond_log',
      `${where}: the committed position ${last.offset} lies beyond the log's end ${log.end}: the topic was made anew or cut. ${remedy}`,
    )
  }
  if (last.replayFrom < log.start) {
    throw new TidemarkError(
      'refused_replay_lost',
      `${where}: windows must be rebuilt from position ${last.replayFrom}, but the log begins at ${log.start}: retention was too short, or the reducer stood still too long. ${remedy}`,
    )
  }
}
