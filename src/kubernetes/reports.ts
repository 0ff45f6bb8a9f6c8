import { type ErrorCode, TidemarkError } from '../errors.ts'
import type { Notice } from '../tasks/task.ts'
import type { RejectionAlarm } from '../telemetry/rejections.ts'
import type { LimitChange } from './scaleLimit.ts'

/** What an Event says. Never a user id, an address, a device id or the bytes of an event: Events are read by many. */
export type Report = {
  readonly type: 'Normal' | 'Warning'
  /** In CamelCase, for programs: one word for one kind. */
  readonly reason: string
  /** What is done about it, as `Reject`. */
  readonly action: string
  /** For people. The first one of a series stands for all of it. */
  readonly note: string
  /** Reports with the same reason and key are one Event with a count, from whichever pod they come. */
  readonly key: string
}

const REFUSALS: Partial<Record<ErrorCode, string>> = {
  refused_config_hash: 'ConfigurationRefused',
  refused_partition_count: 'PartitionCountRefused',
  refused_no_metadata: 'CommitRefused',
  refused_commit_lost: 'CommitLost',
  refused_beyond_log: 'CommitBeyondLog',
  refused_replay_lost: 'ReplayLost',
  refused_topic: 'TopicRefused',
  refused_generation: 'GenerationRefused',
}

/** A role that refuses to run; null for endings that say nothing about the stream, as a broker that is away. */
export function refusalReport(error: unknown): Report | null {
  if (!(error instanceof TidemarkError)) return null
  const reason = REFUSALS[error.code]
  if (reason === undefined) return null
  // Another message is another refusal: its note has to be read.
  return { type: 'Warning', reason, action: 'Refuse', note: error.message, key: error.message }
}

/** @param place what the partition is called */
export function noticeReport(place: string, notice: Notice): Report | null {
  if (notice.kind !== 'gap') return null
  const { from, to } = notice
  const note = `Partition ${place}: offsets ${from} to ${to} were gone from the log before they were counted. The windows that they may have touched say so (exact: false, coverage.gaps).`
  return { type: 'Warning', reason: 'LogGap', action: 'Skip', note, key: `${place}:${from}-${to}` }
}

export function corruptReport(place: string, { from, skipped }: { from: number; skipped: boolean }): Report | null {
  // A skipped one is reported as the gap that it leaves.
  if (skipped) return null
  const note = `Partition ${place} stands at offset ${from}: the record batch there cannot be read. Restore it, or set CORRUPT_BATCHES=skip to go on behind it.`
  return { type: 'Warning', reason: 'CorruptBatch', action: 'Wait', note, key: `${place}:${from}` }
}

export function alarmReport(place: string, { kind, records, rejected, share, codes }: RejectionAlarm): Report {
  if (kind === 'cleared') {
    const note = `Partition ${place}: the share of rejected events is below its limit again.`
    return { type: 'Normal', reason: 'DeadLetterSurgeEnded', action: 'Accept', note, key: place }
  }
  const reasons = codes.map(([code, count]) => `${code} ${count}`).join(', ')
  const note = `Partition ${place}: ${rejected} of ${records} events (${Math.round(share * 100)} %) were rejected and are in the dead-letter topic: ${reasons}.`
  return { type: 'Warning', reason: 'DeadLetterSurge', action: 'Reject', note, key: place }
}

export function limitReport(scaledObject: string, topic: string, { from, to }: LimitChange): Report {
  const note = `ScaledObject ${scaledObject}: maxReplicaCount ${from} -> ${to}, as many as ${topic} has partitions.`
  return { type: 'Normal', reason: 'ScalingLimitChanged', action: 'Scale', note, key: `${scaledObject}:${to}` }
}
