import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ensureKafkaJars } from '../src/dev/kafka/jars.ts'
import { findJava } from '../src/dev/kafka/java.ts'
import type { Lab } from './lab.ts'
import { watchProcess } from './proc.ts'
import type { ReadMessage, ReadTask } from './tools/plainReader.ts'

/** How somebody else has read the same topic. Wall time: from the group's join to the last event. */
export type PeerRun = {
  readonly events: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakBytes: number
}

const WATCH_MS = 25

/** kafkajs as it comes, doing nothing with what it reads. */
export async function readWithKafkajs(lab: Lab, topic: string, events: number): Promise<PeerRun> {
  const task: ReadTask = { brokers: [lab.kafka.brokers], topic, events }
  const tool = lab.tool<ReadMessage>('plainReader.ts', task)
  const message = await tool.message((_message): _message is ReadMessage => true)
  await tool.stop()
  return { events, ...message }
}

/** Kafka's own measuring tool, with the JVM settings of its script. Its CPU seconds hold the JVM's start. */
export async function readWithConsumerPerformance(brokers: string, topic: string, events: number): Promise<PeerRun> {
  const [java, jarFolder] = await Promise.all([findJava(), ensureKafkaJars()])
  const args = ['-Xmx512m', '-XX:+UseG1GC', '-cp', join(jarFolder, '*'), 'org.apache.kafka.tools.ConsumerPerformance']
  const options = ['--bootstrap-server', brokers, '--topic', topic, '--messages', String(events), '--hide-header']
  const child = spawn(java, [...args, ...options], { stdio: ['ignore', 'pipe', 'ignore'] })
  const killOnExit = () => child.kill('SIGKILL')
  process.once('exit', killOnExit)
  const watch = watchProcess(child.pid ?? -1, WATCH_MS)
  let output = ''
  child.stdout.on('data', chunk => {
    output += chunk
  })
  try {
    await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
  } finally {
    process.off('exit', killOnExit)
    watch.stop()
  }
  const last = watch.stop().at(-1)
  const { read, seconds } = parseReport(output)
  return {
    events: read,
    seconds,
    cpuSeconds: last?.cpuSeconds ?? Number.NaN,
    peakBytes: last?.peakBytes ?? Number.NaN,
  }
}

/** Columns: start, end, MB, MB/s, messages, messages/s, rebalance ms, fetch ms, fetch MB/s, fetch messages/s. */
function parseReport(output: string): { read: number; seconds: number } {
  const line = output.split('\n').find(each => each.split(',').length === 10)
  if (line === undefined) throw new Error(`ConsumerPerformance reported nothing:\n${output}`)
  const columns = line.split(',').map(Number)
  return { read: columns[4] ?? Number.NaN, seconds: (columns[7] ?? Number.NaN) / 1000 }
}
