import { TidemarkError } from '../errors.ts'
import { decodeMessage } from '../tasks/messages.ts'
import type { TopicReader } from './admin.ts'

export type CommitPlace = {
  readonly groupId: string
  readonly sourceTopic: string
  readonly partialsTopic: string
  readonly generation: number
}

/** Among this many records from the start of a partials log there is a partial, if partials were ever sent. */
const LOOKED_AT = 2_000

/**
 * A partition without a commit is new, or its commit was lost: Kafka deletes a group's commits with the topic, and those of a
 * group that stood empty for long. An owner commits before its first partial, so partials without any commit mean a loss.
 * @throws TidemarkError `refused_commit_lost`: beginning anew beside what was told would count twice, or hide it
 */
export async function refuseLostCommits(reader: TopicReader, place: CommitPlace): Promise<void> {
  const { groupId, sourceTopic, partialsTopic, generation } = place
  const told = await reader.readLogRanges(partialsTopic)
  if (told.every(({ end }) => end === 0)) return
  // Read after the partials: another member, starting at this moment too, has committed before it sent any.
  const partitions = (await reader.readLogRanges(sourceTopic)).length
  const commits = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => reader.readCommit(groupId, sourceTopic, partition)),
  )
  if (commits.some(commit => commit !== null)) return
  let partials = 0
  await reader.readAll({
    topic: partialsTopic,
    readCommitted: true,
    toOffsets: new Map(told.map(({ start, end }, partition) => [partition, Math.min(end, start + LOOKED_AT)])),
    onMessage: ({ value }) => {
      const message = value === null ? null : decodeMessage(value, 0, value.length)
      if (message?.kind === 'partial' && message.generation === generation) partials++
    },
  })
  if (partials === 0) return
  throw new TidemarkError(
    'refused_commit_lost',
    `group ${groupId} has no commit for any partition of ${sourceTopic}, but ${partialsTopic} holds what it has counted: the commits were lost ` +
      '(was the source topic deleted and made anew, or the group empty for longer than offsets.retention.minutes?). ' +
      'Begin a new generation beside this one with `tidemark topics rewind --to <time|earliest|offsets>`',
  )
}
