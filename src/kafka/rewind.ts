import type { Admin, Kafka } from 'kafkajs'
import type { Settings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import type { Commit, LogRange } from '../tasks/task.ts'
import { createTopicReader, type TopicReader } from './admin.ts'
import { deliveryError } from './kafkaErrors.ts'
import { groupName, topicName } from './names.ts'
import { type Coordinator, openCluster } from './patches.ts'
import { ensureTopics, type TopicReport, withAdmin } from './topics.ts'

/** Where a new generation begins to read the source topic. Time: epoch milliseconds. */
export type RewindTarget =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'time'; readonly at: number }
  | { readonly kind: 'offsets'; readonly offsets: ReadonlyMap<number, number> }

export type Rewound = {
  readonly generation: number
  readonly groupId: string
  readonly offsets: ReadonlyMap<number, number>
  readonly topics: TopicReport
}

const OFFSETS_PATTERN = /^\d+:\d+(,\d+:\d+)*$/

/**
 * @param text `earliest`, an ISO 8601 time, or `<partition>:<offset>,...` for every partition
 * @throws TidemarkError `usage`
 */
export function parseRewindTarget(text: string): RewindTarget {
  if (text === 'earliest') return { kind: 'earliest' }
  if (OFFSETS_PATTERN.test(text)) {
    const pairs = text.split(',').map(pair => pair.split(':').map(Number) as [number, number])
    return { kind: 'offsets', offsets: new Map(pairs) }
  }
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return { kind: 'time', at }
  const allowed = "'earliest', an ISO 8601 time (2026-01-31T08:00:00Z) or '<partition>:<offset>,...' is allowed"
  throw new TidemarkError('usage', `--to ${text}: ${allowed}`)
}

/**
 * Starts the next generation beside the running one: its topics, and the commits that its aggregators begin from.
 *
 * @param initialCommit the commit with which a partition of the new generation begins at an offset
 * @throws TidemarkError `usage` for offsets that the log does not hold, `refused_topic` when the new generation has
 * commits already or its topics are unfit
 */
export async function rewind(
  kafka: Kafka,
  settings: Settings,
  target: RewindTarget,
  initialCommit: (next: Settings, offset: number) => Commit,
): Promise<Rewound> {
  const next = { ...settings, generation: settings.generation + 1 }
  const groupId = groupName(next, 'aggregate')
  const source = topicName(next, 'source')
  const reader = createTopicReader(kafka)
  try {
    const logs = await reader.readLogRanges(source)
    await refuseExisting(reader, groupId, source, logs.length, next.generation)
    const offsets = await withAdmin(kafka, admin => resolveTarget(admin, source, target, logs))
    const topics = await ensureTopics(kafka, next)
    const fatal = topics.differences.filter(difference => difference.fatal)
    if (fatal.length > 0) throw new TidemarkError('refused_topic', fatal.map(({ text }) => text).join('; '))
    const commits = new Map([...offsets].map(([partition, offset]) => [partition, initialCommit(next, offset)]))
    await writeCommits(kafka, groupId, source, commits)
    return { generation: next.generation, groupId, offsets, topics }
  } finally {
    await reader.close()
  }
}

async function refuseExisting(
  reader: TopicReader,
  groupId: string,
  source: string,
  partitions: number,
  generation: number,
): Promise<void> {
  const reads = Array.from({ length: partitions }, (_, partition) => reader.readCommit(groupId, source, partition))
  if ((await Promise.all(reads)).every(commit => commit === null)) return
  const how = `set STREAM_GENERATION=${generation} to use it, and rewind from there for yet another`
  throw new TidemarkError('refused_topic', `generation ${generation} exists already (group ${groupId}): ${how}`)
}

/** The first offset of each partition in the new generation. */
async function resolveTarget(
  admin: Admin,
  source: string,
  target: RewindTarget,
  logs: readonly LogRange[],
): Promise<Map<number, number>> {
  if (target.kind === 'earliest') return new Map(logs.map(({ start }, partition) => [partition, start]))
  if (target.kind === 'time') {
    const found = await admin.fetchTopicOffsetsByTimestamp(source, target.at)
    // Past the last record there is nothing to find: the log's end.
    const byPartition = new Map(found.map(({ partition, offset }) => [partition, Number(offset)]))
    return new Map(
      logs.map(({ end }, partition) => {
        const offset = byPartition.get(partition) ?? -1
        return [partition, offset < 0 ? end : offset]
      }),
    )
  }
  for (const partition of target.offsets.keys()) {
    if (logs[partition] === undefined) {
      throw new TidemarkError('usage', `--to: ${source} has no partition ${partition}; it has ${logs.length}`)
    }
  }
  return new Map(
    logs.map(({ start, end }, partition) => {
      const offset = target.offsets.get(partition) ?? -1
      if (offset >= start && offset <= end) return [partition, offset]
      const is = offset < 0 ? 'no offset is given' : `${offset} is outside the log`
      throw new TidemarkError('usage', `--to: for partition ${partition} ${is}; ${start} to ${end} is allowed`)
    }),
  )
}

/** Commits without being a member, which the broker allows only while the group has none. */
async function writeCommits(
  kafka: Kafka,
  groupId: string,
  topic: string,
  commits: ReadonlyMap<number, Commit>,
): Promise<void> {
  const cluster = openCluster(kafka, false)
  try {
    await cluster.connect()
    const coordinator = (await cluster.findGroupCoordinator({ groupId })) as unknown as Coordinator
    const partitions = [...commits].map(([partition, { offset, metadata }]) => ({
      partition,
      offset: String(offset),
      metadata,
    }))
    await coordinator.offsetCommit({ groupId, memberId: '', groupGenerationId: -1, topics: [{ topic, partitions }] })
  } catch (cause) {
    throw deliveryError(`the first commits of ${groupId}`, cause)
  } finally {
    await cluster.disconnect()
  }
}
