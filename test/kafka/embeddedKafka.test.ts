import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { ensureKafkaJars } from '../../src/dev/kafka/jars.ts'
import { freePorts } from '../../src/dev/kafka/ports.ts'
import { isProcessAlive } from '../../src/dev/kafka/process.ts'
import { answersAsKafka } from '../../src/dev/kafka/readiness.ts'

const MODULE = join(import.meta.dirname, '../../src/dev/kafka/embeddedKafka.ts')
const run = promisify(execFile)
let scratch: string

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'embedded-kafka-test-'))
})
afterEach(() => rm(scratch, { recursive: true, force: true }))

/** Kafka's own command line client: nothing of ours judges the broker. */
async function topics(...args: string[]): Promise<string> {
  const classPath = join(await ensureKafkaJars(), '*')
  const jvm = ['-XX:TieredStopAtLevel=1', '-cp', classPath, 'org.apache.kafka.tools.TopicCommand']
  return (await run('java', [...jvm, ...args])).stdout
}

function isUp(address: string, timeoutMs = 1_000): Promise<boolean> {
  const [host, port] = address.split(':')
  return answersAsKafka(host!, Number(port), timeoutMs)
}

describe('a broker', { timeout: 120_000 }, () => {
  test('keeps data and ports over stop, kill and restart, answers on both listeners, and leaves nothing', async () => {
    const kafka = await startKafka({ external: { host: '127.0.0.2' } })
    const { brokers, dataDir } = kafka
    try {
      await topics('--bootstrap-server', brokers, '--create', '--topic', 'kept', '--partitions', '3')
      const firstPid = kafka.pid!
      await kafka.kill()
      expect(isProcessAlive(firstPid)).toBe(false)
      expect(await isUp(brokers)).toBe(false)
      await kafka.restart()
      expect(kafka.brokers).toBe(brokers)
      expect(await topics('--bootstrap-server', kafka.externalBrokers!, '--describe')).toContain('PartitionCount: 3')
      await kafka.stop({ keepData: true })
      await kafka.restart()
      expect(await topics('--bootstrap-server', brokers, '--list')).toContain('kept')
      expect(await readFile(join(dataDir, 'broker.pid'), 'utf8')).toBe(`${kafka.pid}\n`)
    } finally {
      await kafka.stop()
    }
    expect(kafka.pid).toBe(null)
    expect(existsSync(dataDir)).toBe(false)
  })

  test('answers nothing while paused, and again when resumed', async () => {
    const kafka = await startKafka()
    try {
      kafka.pause()
      expect(await isUp(kafka.brokers, 500)).toBe(false)
      kafka.resume()
      expect(await isUp(kafka.brokers, 10_000)).toBe(true)
      kafka.pause()
    } finally {
      // A paused broker is stopped as well.
      await kafka.stop()
    }
    expect(existsSync(kafka.dataDir)).toBe(false)
  })

  test('in a folder of the caller survives in it', async () => {
    const dataDir = join(scratch, 'data')
    const first = await startKafka({ dataDir })
    await topics('--bootstrap-server', first.brokers, '--create', '--topic', 'kept')
    await first.stop()
    const second = await startKafka({ dataDir })
    try {
      expect(await topics('--bootstrap-server', second.brokers, '--list')).toContain('kept')
    } finally {
      await second.stop()
    }
  })

  test('dies with its parent, even when that is killed, and takes its folder along', async () => {
    const script = `import { startKafka } from ${JSON.stringify(MODULE)}
      const kafka = await startKafka()
      console.log(JSON.stringify({ pid: kafka.pid, dataDir: kafka.dataDir }))`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const { pid, dataDir } = JSON.parse(line.toString()) as { pid: number; dataDir: string }
    expect(isProcessAlive(pid)).toBe(true)
    parent.kill('SIGKILL')
    for (let waited = 0; waited < 100 && (isProcessAlive(pid) || existsSync(dataDir)); waited++) await sleep(50)
    expect(isProcessAlive(pid)).toBe(false)
    expect(existsSync(dataDir)).toBe(false)
  })
})

describe('a broker that cannot start', { timeout: 60_000 }, () => {
  const started: EmbeddedKafka[] = []
  afterEach(async () => {
    for (const kafka of started.splice(0)) await kafka.stop()
  })
  const failure = async (options: Parameters<typeof startKafka>[0]): Promise<unknown> => {
    try {
      started.push(await startKafka(options))
      return null
    } catch (error) {
      return error
    }
  }

  test('for a taken port says so in the words of its log', async () => {
    const [client, controller] = await freePorts(2, '127.0.0.1')
    const server = createServer().listen(client!, '127.0.0.1')
    await once(server, 'listening')
    try {
      const error = await failure({ ports: { client: client!, controller: controller! } })
      expect(error).toMatchObject({ code: 'unreachable', message: expect.stringContaining('Address already in use') })
    } finally {
      server.close()
    }
  })

  test('for a bad property names it', async () => {
    const error = await failure({ extraProperties: { 'num.io.threads': 'many' } })
    expect(error).toMatchObject({ code: 'unreachable', message: expect.stringContaining('num.io.threads') })
  })

  test('for want of Java says what to install and what else works', async () => {
    const { PATH, JAVA_HOME } = process.env
    process.env.PATH = scratch
    delete process.env.JAVA_HOME
    try {
      const error = await failure({})
      expect(error).toMatchObject({
        code: 'unreachable',
        message: expect.stringMatching(/Java 17.*KAFKA_BROKERS.*compose/s),
      })
    } finally {
      process.env.PATH = PATH
      if (JAVA_HOME !== undefined) process.env.JAVA_HOME = JAVA_HOME
    }
  })
})
