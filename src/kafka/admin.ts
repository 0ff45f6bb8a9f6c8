import type { Admin, Cluster, Kafka } from 'kafkajs'
import { TidemarkError } from '../errors.ts'
import type { Commit, LogRange } from '../tasks/task.ts'
import { deliveryError, protocolTypeOf } from './kafkaErrors.ts'
import { type Coordinator, kafkajs, openCluster } from './patches.ts'
import { type ReadAllOptions, readAll } from './readAll.ts'

export type TopicReader = {
  /** The group's commit for a partition, null when there is none. Reads asked for in one tick share one request. */
  readCommit(groupId: string, topic: string, partition: number): Promise<Commit | null>
  /** [start, end) of one partition's log; the end is the high watermark. */
  readLogRange(topic: string, partition: number): Promise<LogRange>
  /** All partitions of a topic by their number. Calls of one tick share one request. */
  readLogRanges(topic: string): Promise<LogRange[]>
  /** Null when there is no such topic. */
  partitionCount(topic: string): Promise<number | null>
  /** A topic's settings by name (as `retention.ms`), all of them, defaults too. */
  topicConfig(topic: string): Promise<Record<string, string>>
  /** Reads topics from their start to their present end, or between given offsets; resolves at that end. */
  readAll(options: ReadAllOptions): Promise<void>
  close(): Promise<void>
}

const READ_ATTEMPTS = 8
const RETRY_MS = 250

/** @throws TidemarkError `refused_topic`, saying how to get it, when there is no such topic */
export async function partitionsOfExisting(reader: TopicReader, topic: string): Promise<number> {
  const partitions = await reader.partitionCount(topic)
  if (partitions !== null) return partitions
  throw new TidemarkError('refused_topic', `There is no topic ${topic}: \`tidemark topics\` creates it.`)
}

/** Reads commits, log ranges, topic settings and whole topics; connects at its first use. */
export function createTopicReader(kafka: Kafka): TopicReader {
  const cluster = openCluster(kafka, false)
  const admin = kafka.admin()
  const clusters: Cluster[] = [cluster]
  const connecting = { cluster: once(() => cluster.connect()), admin: once(() => admin.connect()) }

  const commits = perTick(async (groupAndTopic: string, partitions: ReadonlySet<number>) => {
    const [groupId, topic] = JSON.parse(groupAndTopic) as [string, string]
    return await retrying(`read the commits of ${groupId}`, async () => {
      await connecting.cluster()
      return await fetchCommits(cluster, groupId, topic, [...partitions])
    })
  })
  const ranges = perTick((topic: string) =>
    retrying(`read the log of ${topic}`, async () => {
      await connecting.cluster()
      return await fetchRanges(cluster, topic)
    }),
  )

  return {
    async readCommit(groupId, topic, partition) {
      return (await commits(JSON.stringify([groupId, topic]), partition)).get(partition) ?? null
    },
    async readLogRange(topic, partition) {
      const range = (await ranges(topic, partition))[partition]
      if (range !== undefined) return range
      throw deliveryError('read the log', new Error(`${topic} has no partition ${partition}`))
    },
    readLogRanges: topic => ranges(topic, 0),
    partitionCount: topic =>
      retrying(`read the partitions of ${topic}`, async () => {
        await connecting.admin()
        return (await fetchPartitionCounts(admin, [topic])).get(topic) ?? null
      }),
    topicConfig: topic =>
      retrying(`read the settings of ${topic}`, async () => {
        await connecting.admin()
        return await fetchTopicConfig(admin, topic)
      }),
    async readAll(options) {
      const own = openCluster(kafka, options.readCommitted)
      clusters.push(own)
      try {
        await own.connect()
        await readAll(own, options)
      } finally {
        clusters.splice(clusters.indexOf(own), 1)
        await own.disconnect()
      }
    },
    async close() {
      await Promise.allSettled([...clusters.map(each => each.disconnect()), admin.disconnect()])
    },
  }
}

async function fetchCommits(cluster: Cluster, groupId: string, topic: string, partitions: number[]) {
  const coordinator = (await cluster.findGroupCoordinator({ groupId })) as unknown as Coordinator
  const topics = [{ topic, partitions: partitions.map(partition => ({ partition })) }]
  const { responses } = await coordinator.offsetFetch({ groupId, topics })
  const found = new Map<number, Commit>()
  for (const { partition, offset, metadata } of responses[0]?.partitions ?? []) {
    // -1: nothing was ever committed for the partition.
    if (Number(offset) >= 0) found.set(partition, { offset: Number(offset), metadata: metadata ?? '' })
  }
  return found
}

async function fetchRanges(cluster: Cluster, topic: string): Promise<LogRange[]> {
  await cluster.addTargetTopic(topic)
  await cluster.refreshMetadata()
  const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId: partition }) => ({ partition }))
  const starts = await fetchOffsets(cluster, topic, partitions, true)
  const ends = await fetchOffsets(cluster, topic, partitions, false)
  return partitions.map((_, partition) => ({ start: starts.get(partition) ?? 0, end: ends.get(partition) ?? 0 }))
}

async function fetchOffsets(
  cluster: Cluster,
  topic: string,
  partitions: { partition: number }[],
  fromBeginning: boolean,
): Promise<Map<number, number>> {
  const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }])
  return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
}

/** How many partitions each of the topics has; those that do not exist are left out. */
export async function fetchPartitionCounts(admin: Admin, topics: readonly string[]): Promise<Map<string, number>> {
  const existing = new Set(await admin.listTopics())
  const wanted = topics.filter(topic => existing.has(topic))
  if (wanted.length === 0) return new Map()
  const { topics: found } = await admin.fetchTopicMetadata({ topics: wanted })
  return new Map(found.map(({ name, partitions }) => [name, partitions.length]))
}

/** All settings of a topic that exists, defaults too. */
export async function fetchTopicConfig(admin: Admin, topic: string): Promise<Record<string, string>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
  })
  const entries = resources[0]?.configEntries ?? []
  return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]))
}

/** A coordinator or leader that has moved answers once with an error; the next attempt finds the new one. */
async function retrying<T>(what: string, run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (cause) {
      const unknownTopic = protocolTypeOf(cause) === 'UNKNOWN_TOPIC_OR_PARTITION'
      if (unknownTopic || attempt >= READ_ATTEMPTS) throw deliveryError(what, cause)
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Runs once for all calls; a failure is forgotten, so that the next call tries again. */
function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null
  return () => {
    running ??= run().catch(error => {
      running = null
      throw error
    })
    return running
  }
}

/**
 * Gathers the calls of one tick for a key into one. A call never joins one that is already under way: what it then
 * would get might be older than what the caller has just done (a fence, above all).
 */
function perTick<R>(
  run: (key: string, items: ReadonlySet<number>) => Promise<R>,
): (key: string, item: number) => Promise<R> {
  const gathering = new Map<string, { readonly items: Set<number>; readonly result: Promise<R> }>()
  return (key, item) => {
    const open = gathering.get(key)
    if (open !== undefined) {
      open.items.add(item)
      return open.result
    }
    const items = new Set([item])
    const result = new Promise<void>(resolve => setImmediate(resolve)).then(() => {
      gathering.delete(key)
      return run(key, items)
    })
    gathering.set(key, { items, result })
    return result
  }
}
