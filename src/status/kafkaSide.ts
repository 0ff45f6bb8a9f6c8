import type { Settings } from '../config/settings.ts'
import { createTopicReader, type TopicReader } from '../kafka/admin.ts'
import { checkReachable, createKafka, type KafkaClient } from '../kafka/client.ts'
import { describeMembers, type GroupDescription } from '../kafka/groupMembers.ts'
import { protocolTypeOf } from '../kafka/kafkaErrors.ts'
import { groupName, partialsTopic, STAGES, topicName } from '../kafka/names.ts'
import { answerWithin } from '../kafka/withinTime.ts'
import { decodeMessage } from '../tasks/messages.ts'
import type { Commit, LogRange } from '../tasks/task.ts'
import { type Level, levelsOf } from '../windows/levels.ts'
import { createResultReader, type NewestResults } from './newestResults.ts'

/** What the brokers tell. A part that could not be read is null or empty, and has a note. */
export type KafkaState = {
  readonly sourceTopic: string
  readonly partitions: readonly CommittedPartition[]
  /** By source partition: when it was last proven to hold no more, epoch milliseconds; null while it is not idle. */
  readonly idleAsOf: ReadonlyMap<number, number | null>
  readonly lanes: readonly (CommittedPartition & { readonly level: Level; readonly topic: string })[]
  /** In the order of STAGES; null when it could not be read. */
  readonly groups: readonly GroupDescription[] | null
  readonly newest: NewestResults | null
  readonly deadLetters: { readonly topic: string; readonly offsets: number } | null
  readonly notes: readonly string[]
}

export type CommittedPartition = {
  readonly partition: number
  readonly range: LogRange
  /** Null when there is none. */
  readonly commit: Commit | null
}

export type KafkaSide = {
  /**
   * One look. The first reads the newest results, later ones only what has come since.
   * @throws TidemarkError `unreachable` when no broker answers, Error when they take too long
   */
  read(): Promise<KafkaState>
  close(): Promise<void>
}

const LOOK_LIMIT_MS = 20_000
const RETRIES = 2
/** Progress of each partition comes at least every IDLE_TIMEOUT; between two there are partials. */
const PROGRESS_STEPS = [4, 16, 64]

/** Reads what the brokers know of the generation that the settings name. It joins no group and commits nothing. */
export function createKafkaSide(settings: Settings): KafkaSide {
  const kafka = createKafka(settings.kafka, () => {}, { retries: RETRIES })
  const reader = createTopicReader(kafka)
  const results = createResultReader(reader, topicName(settings, 'results'), levelsOf(settings))
  return {
    read: async () => {
      await checkReachable(settings.kafka, () => {})
      return await answerWithin(look(settings, kafka, reader, results.read), LOOK_LIMIT_MS)
    },
    close: () => reader.close(),
  }
}

async function look(
  settings: Settings,
  kafka: KafkaClient,
  reader: TopicReader,
  readResults: () => Promise<NewestResults>,
): Promise<KafkaState> {
  const notes: string[] = []
  const attempt = async <T>(what: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read()
    } catch (error) {
      notes.push(`${what}: ${reasonOf(error)}`)
      return otherwise
    }
  }
  const sourceTopic = topicName(settings, 'source')
  const deadLetters = topicName(settings, 'deadLetters')
  const committed = (stage: 'aggregate' | 'reduce', topic: string) =>
    attempt(topic, () => readCommitted(reader, groupName(settings, stage), topic), [])
  const levels = levelsOf(settings).map(async level => {
    const topic = partialsTopic(settings, level)
    return (await committed('reduce', topic)).map(each => ({ ...each, level, topic }))
  })
  const [partitions, lanes, groups, newest, letters] = await Promise.all([
    committed('aggregate', sourceTopic),
    Promise.all(levels),
    attempt(
      'groups',
      () =>
        describeMembers(
          kafka,
          STAGES.map(stage => groupName(settings, stage)),
        ),
      null,
    ),
    attempt(topicName(settings, 'results'), readResults, null),
    attempt(deadLetters, () => reader.readLogRanges(deadLetters), null),
  ])
  const base = lanes[0] ?? []
  const idleAsOf = await attempt('progress', () => readIdleness(reader, base, partitions.length), new Map())
  const offsets = letters?.reduce((sum, { start, end }) => sum + end - start, 0) ?? null
  return {
    sourceTopic,
    partitions,
    idleAsOf,
    lanes: lanes.flat(),
    groups,
    newest,
    deadLetters: offsets === null ? null : { topic: deadLetters, offsets },
    notes,
  }
}

function reasonOf(error: unknown): string {
  if (protocolTypeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return 'there is no such topic'
  return error instanceof Error ? error.message : String(error)
}

async function readCommitted(reader: TopicReader, groupId: string, topic: string): Promise<CommittedPartition[]> {
  const partitions = (await reader.readLogRanges(topic)).keys()
  const found = await Promise.all([...partitions].map(partition => reader.readCommit(groupId, topic, partition)))
  // Read after the commits: an end from before them could lie below what has been committed meanwhile.
  const ranges = await reader.readLogRanges(topic)
  return ranges.map((range, partition) => ({ partition, range, commit: found[partition] ?? null }))
}

/**
 * The newest word of each source on whether it is idle. All of them tell it to every partition of the base's partials, so
 * the end of one is enough; sources that are not heard of there are left out.
 */
async function readIdleness(
  reader: TopicReader,
  base: KafkaState['lanes'],
  sources: number,
): Promise<Map<number, number | null>> {
  const idle = new Map<number, number | null>()
  const [first] = base
  if (first === undefined) return idle
  const { topic, partition, range } = first
  let to = range.end
  for (const step of PROGRESS_STEPS) {
    const from = Math.max(range.start, to - step * sources)
    if (idle.size >= sources || from >= to) break
    const found = new Map<number, number | null>()
    await reader.readAll({
      topic,
      readCommitted: true,
      fromOffsets: new Map([[partition, from]]),
      toOffsets: new Map([[partition, to]]),
      onMessage: ({ value }) => {
        const message = value === null ? null : decodeMessage(value, 0, value.length)
        if (message?.kind === 'progress') found.set(message.p, message.idleAsOf)
      },
    })
    for (const [source, asOf] of found) if (!idle.has(source)) idle.set(source, asOf)
    to = from
  }
  return idle
}
