import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Compression } from '../../../src/config/settings.ts'
import { ensureKafkaJars } from '../../../src/dev/kafka/jars.ts'
import { findJava } from '../../../src/dev/kafka/java.ts'

/** A record as Kafka's own console tools write and read it: all of it text without tabs, line breaks, commas or colons. */
export type TextRecord = {
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string])[]
}

const TOOL_LIMIT_MS = 60_000
const NULL = '<null>'
/** Larger than the 64 KiB at which the Java client's codecs begin a new block. */
const BATCH_BYTES = 256 * 1024
const LINGER_MS = 300
const QUIET_MS = 10_000

/** Starts a main class of the Kafka distribution. Bytes are UTF-8 whatever the machine's locale. */
async function startTool(mainClass: string, args: readonly string[]): Promise<ChildProcess> {
  const [java, jars] = [await findJava(), await ensureKafkaJars()]
  const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-Dfile.encoding=UTF-8']
  return spawn(java, [...jvm, '-cp', join(jars, '*'), mainClass, ...args], { timeout: TOOL_LIMIT_MS })
}

type ToolRun = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

async function runTool(mainClass: string, args: readonly string[], input = ''): Promise<ToolRun> {
  const child = await startTool(mainClass, args)
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  child.stdin?.end(input)
  if (child.stdout === null || child.stderr === null) throw new Error(`${mainClass} has no output`)
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, stdout, stderr }
}

async function succeed(mainClass: string, args: readonly string[], input?: string): Promise<ToolRun> {
  const run = await runTool(mainClass, args, input)
  if (run.code !== 0) throw new Error(`${mainClass} has ended with ${run.code}: ${run.stdout}${run.stderr}`)
  return run
}

/** Writes records by `kafka-console-producer`, in their order, in batches of up to 256 KiB. */
export async function writeByJava(
  brokers: string,
  topic: string,
  codec: Compression,
  records: readonly TextRecord[],
): Promise<void> {
  const properties = ['parse.key=true', 'parse.headers=true', `null.marker=${NULL}`].flatMap(each => [
    '--property',
    each,
  ])
  const batches = ['--batch-size', String(BATCH_BYTES), '--timeout', String(LINGER_MS)]
  // Else the producer makes its batches smaller, for fear that they might not pack well.
  const requests = ['--producer-property', `max.request.size=${4 * BATCH_BYTES}`]
  const args = ['--bootstrap-server', brokers, '--topic', topic, '--compression-codec', codec]
  const lines = records.map(({ key, value, headers }) => {
    const pairs = headers.map(([name, text]) => `${name}:${text}`).join(',')
    return `${pairs === '' ? NULL : pairs}\t${key ?? NULL}\t${value ?? NULL}\n`
  })
  const tool = 'org.apache.kafka.tools.ConsoleProducer'
  const { stderr } = await succeed(tool, [...args, ...properties, ...batches, ...requests], lines.join(''))
  // It ends with 0 though it could not send.
  if (stderr.includes('ERROR')) throw new Error(`kafka-console-producer: ${stderr}`)
}

/** What `kafka-console-consumer` makes of a topic's first `count` records: partition, offset, headers, key and value. */
export async function readByJava(brokers: string, topic: string, count: number): Promise<string[]> {
  const printed = ['partition', 'offset', 'headers', 'key', 'value'].map(part => `print.${part}=true`)
  const properties = [...printed, `null.literal=${NULL}`].flatMap(property => ['--property', property])
  const limits = ['--max-messages', String(count), '--timeout-ms', String(QUIET_MS)]
  const args = ['--bootstrap-server', brokers, '--topic', topic, '--from-beginning', ...limits]
  const committed = ['--isolation-level', 'read_committed']
  const run = await runTool('org.apache.kafka.tools.consumer.ConsoleConsumer', [...args, ...committed, ...properties])
  return run.stdout.split('\n').filter(line => line.startsWith('Partition:'))
}

type ReadRecord = Omit<TextRecord, 'key' | 'value' | 'headers'> & {
  readonly partition: number
  readonly offset: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [string, string | Uint8Array | null])[]
}

/** A record of ours as `readByJava` gives it. */
export function asJavaPrints({ partition, offset, key, value, headers }: ReadRecord): string {
  const textOf = (bytes: string | Uint8Array | null) => (bytes === null ? NULL : Buffer.from(bytes).toString())
  const pairs = headers.map(([name, bytes]) => `${name}:${textOf(bytes)}`).join(',')
  return [
    `Partition:${partition}`,
    `Offset:${offset}`,
    pairs === '' ? 'NO_HEADERS' : pairs,
    textOf(key),
    textOf(value),
  ].join('\t')
}

/** `kafka-configs --alter`: sets one setting of a topic. */
export async function setTopicConfig(brokers: string, topic: string, name: string, value: string): Promise<void> {
  const which = ['--entity-type', 'topics', '--entity-name', topic, '--alter', '--add-config', `${name}=${value}`]
  await succeed('kafka.admin.ConfigCommand', ['--bootstrap-server', brokers, ...which])
}

/**
 * `kafka-producer-perf-test` in one transaction that it never ends: the broker aborts it when its time is up, and the tool
 * then fails.
 */
export async function writeUntilAborted(brokers: string, topic: string, codec: Compression): Promise<void> {
  const properties = [`bootstrap.servers=${brokers}`, `compression.type=${codec}`, 'transaction.timeout.ms=1500']
  const load = ['--num-records', '100000', '--record-size', '100', '--throughput', '300', '--print-metrics']
  const transaction = ['--transactional-id', `${topic}-java`, '--transaction-duration-ms', '60000']
  const args = ['--topic', topic, ...load, ...transaction, '--producer-props', ...properties]
  const child = await startTool('org.apache.kafka.tools.ProducerPerformance', args)
  const ended = new Promise(resolve => child.once('close', resolve).once('error', resolve))
  child.stdout?.resume()
  const failed = new Promise<void>(resolve => {
    child.stderr?.on('data', chunk => {
      if (/InvalidProducerEpoch|ProducerFenced|InvalidTxnState/.test(String(chunk))) resolve()
    })
  })
  await Promise.race([failed, ended])
  child.kill('SIGKILL')
  await ended
}
