import type { KafkaSettings } from '../../../../src/config/settings.ts'
import type { TopicReader } from '../../../../src/kafka/admin.ts'
import { createKafka } from '../../../../src/kafka/client.ts'
import { type Coordinator, openCluster } from '../../../../src/kafka/patches.ts'
import type { Result } from '../../../../src/results/result.ts'
import type { Commit } from '../../../../src/tasks/task.ts'

const STATUS_ORDER = ['provisional', 'final', 'corrected']

/**
 * Reads all that was ever written to a results topic, and says what must not be in it: two results with equal
 * (generation, revision, status) and different counts, and a result that goes back behind one written before it.
 */
export async function faultsOfResultLog(reader: TopicReader, topic: string): Promise<string[]> {
  const counts = new Map<string, string>()
  const latest = new Map<string, Result>()
  const faults: string[] = []
  await reader.readAll({
    topic,
    readCommitted: true,
    onMessage: ({ partition, offset, key, value }) => {
      if (key === null || value === null) return
      const window = String(key)
      const result = JSON.parse(String(value)) as Result
      const { generation, revision, status } = result
      const where = `${window} at ${partition}/${offset}, revision ${revision}, ${status}`
      const identity = `${window} ${generation} ${revision} ${status}`
      const known = counts.get(identity)
      if (known !== undefined && known !== countsOf(result)) faults.push(`contradiction: ${where}`)
      counts.set(identity, countsOf(result))
      const before = latest.get(window)
      if (before !== undefined && isBehind(result, before)) {
        faults.push(`back: ${where}, after revision ${before.revision}, ${before.status}`)
      }
      latest.set(window, result)
    },
  })
  return faults
}

function isBehind(result: Result, before: Result): boolean {
  const byStatus = STATUS_ORDER.indexOf(result.status) - STATUS_ORDER.indexOf(before.status)
  return (result.generation - before.generation || result.revision - before.revision || byStatus) < 0
}

function countsOf({ batch_size, device_stats, location_stats, app_version_stats, quality }: Result): string {
  const maps = [device_stats, location_stats, app_version_stats, quality.missing, quality.invalid]
  return JSON.stringify([batch_size, ...maps.map(map => Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)))])
}

/** Records of transactions that were never committed: what a kill inside a flush leaves behind. */
export async function countAborted(reader: TopicReader, topic: string): Promise<number> {
  const count = async (readCommitted: boolean) => {
    let records = 0
    await reader.readAll({ topic, readCommitted, onMessage: () => void records++ })
    return records
  }
  return (await count(false)) - (await count(true))
}

/** Tells, within milliseconds, whether a transaction is open that has written to the topic. */
export type TransactionProbe = {
  /** Asks about these partitions of the topic, or about all. */
  isOpen(partitions?: readonly number[]): Promise<boolean>
  close(): Promise<void>
}

/** It is when the topic's last stable offset lies before its end. */
export async function probeTransactions(kafka: KafkaSettings, topic: string): Promise<TransactionProbe> {
  const clusters = [true, false].map(readCommitted =>
    openCluster(
      createKafka(kafka, () => {}),
      readCommitted,
    ),
  )
  for (const cluster of clusters) {
    await cluster.connect()
    await cluster.addTargetTopic(topic)
  }
  const endsOf = async (cluster: (typeof clusters)[number], asked: readonly number[] | undefined) => {
    const all = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
    const partitions = (asked ?? all).map(partition => ({ partition }))
    const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning: false }])
    return JSON.stringify(found?.partitions)
  }
  return {
    async isOpen(partitions) {
      const [stable, end] = await Promise.all(clusters.map(cluster => endsOf(cluster, partitions)))
      return stable !== end
    },
    async close() {
      await Promise.all(clusters.map(cluster => cluster.disconnect()))
    },
  }
}

/** Commits for a group without members, as an operator's tool may restore them: with their metadata. */
export async function restoreCommits(
  kafka: KafkaSettings,
  groupId: string,
  topic: string,
  commits: readonly Commit[],
): Promise<void> {
  const cluster = openCluster(
    createKafka(kafka, () => {}),
    false,
  )
  try {
    await cluster.connect()
    const coordinator = (await cluster.findGroupCoordinator({ groupId })) as unknown as Coordinator
    const partitions = commits.map(({ offset, metadata }, partition) => {
      return { partition, offset: String(offset), metadata }
    })
    await coordinator.offsetCommit({ groupId, memberId: '', groupGenerationId: -1, topics: [{ topic, partitions }] })
  } finally {
    await cluster.disconnect()
  }
}
