import { configHash } from '../config/configHash.ts'
import type { Settings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import { decodeAggregateCommit } from '../tasks/aggregateCommit.ts'
import { checkAggregateCommit } from '../tasks/aggregateStart.ts'
import { decodeReduceCommit } from '../tasks/reduceCommit.ts'
import { checkReduceCommit } from '../tasks/reduceStart.ts'
import type { Commit, LogRange } from '../tasks/task.ts'
import { levelsOf } from '../windows/levels.ts'
import type { TopicReader } from './admin.ts'
import { refuseLostCommits } from './lostCommits.ts'
import { groupName, partialsTopic, topicName } from './names.ts'

export type CommitsReport = {
  /** Partitions, of all levels, that have a commit from which these settings may go on. */
  readonly verified: number
  /** Those that nobody has committed yet. */
  readonly fresh: number
}

/**
 * Whether processes with these settings could go on from what their groups have committed: what an owner checks of one
 * partition when it starts, for all of them at once, and without touching anything.
 * @throws TidemarkError `refused_*` as the process that would refuse
 */
export async function verifyCommits(reader: TopicReader, settings: Settings): Promise<CommitsReport> {
  const hash = configHash(settings)
  const source = topicName(settings, 'source')
  const base = topicName(settings, 'partials')
  const { partialsPartitions } = settings.topics
  const found = [
    await verifyTopic(reader, groupName(settings, 'aggregate'), source, (partition, commit, log) =>
      checkAggregateCommit({ configHash: hash, partialsPartitions }, partition, decodeAggregateCommit(commit), log),
    ),
  ]
  for (const level of levelsOf(settings)) {
    const topic = partialsTopic(settings, level)
    const verified = await verifyTopic(reader, groupName(settings, 'reduce'), topic, (partition, commit, log) =>
      checkReduceCommit(hash, partition, decodeReduceCommit(commit), log),
    )
    found.push(verified)
  }
  if (found[0]?.verified === 0 && (await reader.partitionCount(base)) !== null && found[0].fresh > 0) {
    const groupId = groupName(settings, 'aggregate')
    const { generation } = settings
    await refuseLostCommits(reader, { groupId, sourceTopic: source, partialsTopic: base, generation })
  }
  return {
    verified: found.reduce((sum, { verified }) => sum + verified, 0),
    fresh: found.reduce((sum, { fresh }) => sum + fresh, 0),
  }
}

async function verifyTopic(
  reader: TopicReader,
  groupId: string,
  topic: string,
  check: (partition: number, commit: Commit, log: LogRange) => void,
): Promise<CommitsReport> {
  // A topic that is not there yet will be made, and nobody can have committed it.
  const partitions = (await reader.partitionCount(topic)) ?? 0
  const ranges = partitions === 0 ? [] : await reader.readLogRanges(topic)
  const commits = await Promise.all(ranges.map((_, partition) => reader.readCommit(groupId, topic, partition)))
  let verified = 0
  for (const [partition, commit] of commits.entries()) {
    const log = ranges[partition]
    if (commit === null || log === undefined) continue
    try {
      check(partition, commit, log)
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error
      throw new TidemarkError(error.code, `${topic}, group ${groupId}: ${error.message}`, { cause: error })
    }
    verified++
  }
  return { verified, fresh: commits.length - verified }
}
