import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../src/config/load.ts'
import type { Settings } from '../../src/config/settings.ts'
import { startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { type RoleLine, type RoleProcess, startRole } from '../../src/dev/roleProcess.ts'
import { createTopicReader } from '../../src/kafka/admin.ts'
import { createKafka, type KafkaClient } from '../../src/kafka/client.ts'
import { createTransactionalDelivery } from '../../src/kafka/delivery.ts'
import { outputTopicNames } from '../../src/kafka/names.ts'
import { openRedriver } from '../../src/kafka/redrive.ts'
import { ensureTopics } from '../../src/kafka/topics.ts'
import { runCli } from '../../src/main.ts'
import type { RecordHeader } from '../../src/tasks/recordBatch.ts'
import type { OutputRecord } from '../../src/tasks/task.ts'

export const PARTITIONS = 3
export const FAILED_AT = Date.parse('2026-01-31T08:00:00Z')
export const USER = 'marked-user-6f1c2a52'

export type Stream = {
  readonly env: NodeJS.ProcessEnv
  readonly settings: Settings
  readonly kafka: KafkaClient
}

export type LetterParts = {
  readonly partition?: number
  readonly code?: string
  readonly key?: string | null
  readonly value?: string | Uint8Array | null
  readonly original?: readonly RecordHeader[]
  /** Headers of ours behind the usual ones. */
  readonly more?: readonly RecordHeader[]
  readonly failedAt?: number
  readonly topic?: string
}

export type SourceRecord = {
  readonly partition: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string])[]
}

const readFile = (path: string) => readFileSync(path, 'utf8')

/** A dead letter of the source record `partition@offset` as the aggregator writes it. */
function letterOf(source: string, offset: number, parts: LetterParts): OutputRecord {
  const { partition = offset % PARTITIONS, code = 'invalid_timestamp', key = USER, original = [], more = [] } = parts
  const value = parts.value === undefined ? JSON.stringify({ user_id: USER, n: offset }) : parts.value
  const headers: RecordHeader[] = [
    ...original,
    ['error.code', code],
    ['error.message', 'what it means'],
    ['source.topic', parts.topic ?? source],
    ['source.partition', String(partition)],
    ['source.offset', String(offset)],
    ['source.timestamp', String(FAILED_AT - 5_000)],
    ['failed.at', new Date(parts.failedAt ?? FAILED_AT + offset * 1000).toISOString()],
    ...more,
  ]
  return { topic: 'deadLetters', partition: partition % PARTITIONS, key, value, headers }
}

type MakeLetter = (offset: number, parts?: LetterParts) => OutputRecord

/** A broker and what the tests of `tidemark dlq` do with it. */
export async function startDlqBench() {
  const broker = await startKafka()
  const logs = mkdtempSync(join(tmpdir(), 'tidemark-dlq-'))
  const baseSettings = loadSettings({ KAFKA_BROKERS: broker.brokers }, readFile)
  const reader = createTopicReader(createKafka(baseSettings.kafka, () => {}))
  let streams = 0
  let processes = 0

  async function write({ kafka, settings }: Stream, make: (letter: MakeLetter) => readonly OutputRecord[]) {
    const delivery = createTransactionalDelivery({
      kafka,
      transactionalId: `${settings.consumerGroup}-writer`,
      groupId: settings.consumerGroup,
      sourceTopic: settings.topics.source,
      partition: 0,
      topicNames: outputTopicNames(settings),
    })
    // Asks until the group has a coordinator, which a new broker makes at the first call; the commit asks only once.
    await reader.readCommit(settings.consumerGroup, settings.topics.source, 0)
    await delivery.fence()
    await delivery.begin()
    await delivery.send(make((offset, parts = {}) => letterOf(settings.topics.source, offset, parts)))
    await delivery.commit({ offset: 0, metadata: '' })
    // A commit is acknowledged a moment before it can be read; the next owner of its transactional id waits for that.
    await delivery.fence()
    await delivery.close()
  }

  return {
    reader,
    brokers: broker.brokers,
    write,
    /** Topics of their own, with these letters. */
    async streamWith(make: (letter: MakeLetter) => readonly OutputRecord[]): Promise<Stream> {
      const n = ++streams
      const env = {
        KAFKA_BROKERS: broker.brokers,
        CONSUMER_GROUP: `g${n}`,
        SOURCE_TOPIC: `source-${n}`,
        ENRICHED_TOPIC: `enriched-${n}`,
        DLQ_TOPIC: `dead-${n}`,
        PARTIALS_TOPIC: `partials-${n}`,
        RESULTS_TOPIC: `results-${n}`,
        SOURCE_PARTITIONS: String(PARTITIONS),
      }
      const settings = loadSettings(env, readFile)
      const stream = { env, settings, kafka: createKafka(settings.kafka, () => {}) }
      await ensureTopics(stream.kafka, settings)
      await write(stream, make)
      return stream
    },
    /** What a consumer of committed records finds in the source topic; for when no redrive runs. */
    async readSource({ settings, kafka }: Stream): Promise<SourceRecord[]> {
      // As above: waits until the last commit can be read.
      await (await openRedriver(kafka, settings)).close()
      const found: SourceRecord[] = []
      await reader.readAll({
        topic: settings.topics.source,
        readCommitted: true,
        onMessage: ({ partition, timestamp, key, value, headers }) => {
          const list = (Array.isArray(headers) ? headers : Object.entries(headers)) as [string, Buffer][]
          const texts = list.map(([name, bytes]) => [name, String(bytes)] as const)
          found.push({ partition, timestamp, key: key && String(key), value: value && String(value), headers: texts })
        },
      })
      return found
    },
    /** `tidemark dlq redrive --json` in a process of its own. */
    redriveProcess({ env }: Stream, args: readonly string[], onLine: (line: RoleLine) => void) {
      const name = `redrive-${++processes}`
      const logFile = join(logs, `${name}.log`)
      const started: RoleProcess = startRole({
        args: ['dlq', 'redrive', '--json', ...args],
        name,
        env: { ...process.env, ...env },
        logFile,
        onLine,
      })
      return { ...started, exited: started.exited, kill: started.kill, printed: () => readFile(logFile) }
    },
    async stop(): Promise<void> {
      await reader.close()
      await broker.stop()
      rmSync(logs, { recursive: true, force: true })
    },
  }
}

export type DlqBench = Awaited<ReturnType<typeof startDlqBench>>

/** Runs `tidemark dlq` in this process. */
export async function dlq({ env }: Pick<Stream, 'env'>, ...args: string[]) {
  const told = { stdout: '', stderr: '' }
  const sink = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      told[name] += text
    },
  })
  const context = { env, readFile, stdout: sink('stdout'), stderr: sink('stderr') }
  const code = await runCli(['dlq', ...args], context)
  const json = () =>
    told.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
  return { code, ...told, json }
}
