import type { PartialMessage } from './messages.ts'
import type { ReduceTaskSettings } from './reduceStart.ts'
import type { OutputRecord } from './task.ts'

/** A partial of a forgotten window, and where it stands. */
export type LatePartial = {
  readonly partial: PartialMessage
  readonly position: number
  /** The broker's time of the record, epoch milliseconds. */
  readonly appendedAt: number
}

const encoder = new TextEncoder()

/** The dead letter of a partial that came too late to be counted. */
export function lateLetter(
  settings: Pick<ReduceTaskSettings, 'partialsTopic' | 'deadLetterPartitions'>,
  partition: number,
  { partial, position, appendedAt }: LatePartial,
  now: number,
): OutputRecord {
  const message =
    `a partial of source partition ${partial.p} through offset ${partial.through} came after its window was forgotten: ` +
    "what it counts past the coverage of the window's last result is in no result"
  return {
    topic: 'deadLetters',
    partition: partial.p % settings.deadLetterPartitions,
    key: `${partial.w}/${partial.p}/${partial.from}`,
    value: encoder.encode(JSON.stringify(partial)),
    headers: [
      ['error.code', 'partial_too_late'],
      ['error.message', message],
      ['source.topic', settings.partialsTopic],
      ['source.partition', String(partition)],
      ['source.offset', String(position)],
      ['source.timestamp', String(appendedAt)],
      ['failed.at', new Date(now).toISOString()],
    ],
  }
}
