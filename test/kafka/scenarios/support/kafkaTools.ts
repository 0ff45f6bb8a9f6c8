import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensureKafkaJars } from '../../../../src/dev/kafka/jars.ts'

const run = promisify(execFile)
const TOOL_LIMIT_MS = 60_000

/** Kafka's own command line tools, as an operator uses them. Each call starts a JVM: 1-2 s. */
async function runTool(mainClass: string, args: readonly string[]): Promise<string> {
  const classPath = join(await ensureKafkaJars(), '*')
  const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', classPath, mainClass]
  return (await run('java', [...jvm, ...args], { timeout: TOOL_LIMIT_MS })).stdout
}

function topicTool(brokers: string, ...args: string[]): Promise<string> {
  return runTool('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', brokers, ...args])
}

function groupTool(brokers: string, ...args: string[]): Promise<string> {
  const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
  return runTool(tool, ['--bootstrap-server', brokers, ...args])
}

/** `kafka-topics --alter --partitions`. */
export async function addPartitions(brokers: string, topic: string, partitions: number): Promise<void> {
  await topicTool(brokers, '--alter', '--topic', topic, '--partitions', String(partitions))
}

/** `kafka-topics --delete`, then `--create`: the same name, an empty log. */
export async function makeTopicAnew(brokers: string, topic: string, partitions: number): Promise<void> {
  await topicTool(brokers, '--delete', '--topic', topic)
  await topicTool(brokers, '--create', '--topic', topic, '--partitions', String(partitions))
}

/** `kafka-consumer-groups --reset-offsets --to-earliest --execute`: the new commits carry no metadata. */
export async function resetOffsetsToEarliest(brokers: string, group: string, topic: string): Promise<string> {
  const what = ['--group', group, '--topic', topic]
  return await groupTool(brokers, ...what, '--reset-offsets', '--to-earliest', '--execute')
}

/** The groups that the brokers know, by `kafka-consumer-groups --list`. */
export async function listGroups(brokers: string): Promise<readonly string[]> {
  return (await groupTool(brokers, '--list')).split('\n').filter(line => line !== '')
}

/** `kafka-delete-records`: each partition's log then begins at the given offset. */
export async function deleteRecords(
  brokers: string,
  topic: string,
  before: ReadonlyMap<number, number>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-delete-'))
  try {
    const file = join(folder, 'offsets.json')
    const partitions = [...before].map(([partition, offset]) => ({ topic, partition, offset }))
    await writeFile(file, JSON.stringify({ version: 1, partitions }))
    const args = ['--bootstrap-server', brokers, '--offset-json-file', file]
    await runTool('org.apache.kafka.tools.DeleteRecordsCommand', args)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
