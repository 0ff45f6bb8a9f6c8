import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer, Transaction } from 'kafkajs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../src/dev/kafka/ports.ts'
import { type RoleProcess, startRole } from '../../src/dev/roleProcess.ts'
import { createBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { withAdmin } from '../../src/kafka/topics.ts'
import type { Result } from '../../src/results/result.ts'
import { aResult, T0 } from '../unit/results/factory.ts'

const TOPIC = 'aggregated-usage'
const WINDOWS = 3_000
const LIMIT_MS = 20_000

let broker: EmbeddedKafka
let settings: KafkaSettings
let folder: string
let producer: Producer
const roles: RoleProcess[] = []

beforeAll(async () => {
  broker = await startKafka()
  settings = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  folder = await mkdtemp(join(tmpdir(), 'tidemark-serve-'))
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
  const topics = [{ topic: TOPIC, numPartitions: 2, replicationFactor: 1, configEntries }]
  await withAdmin(client(), admin => admin.createTopics({ topics, waitForLeaders: true }))
  producer = client().producer({ transactionalId: 'test', maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
})
afterAll(async () => {
  for (const role of roles) role.kill('SIGKILL')
  await producer?.disconnect()
  await broker?.stop()
  await rm(folder, { recursive: true, force: true })
})

const client = () => createKafka(settings, () => {})
const windowAt = (i: number, over: Partial<Result> = {}) => aResult('10s', T0 + i * 10_000, over)

/** Sends results in one transaction, each to the partition that its number gives, and leaves it open. */
async function begun(results: readonly Result[]): Promise<Transaction> {
  const transaction = await producer.transaction()
  const messages = results.map(result => ({
    partition: (Date.parse(result.window.start) / 10_000) % 2,
    key: `${result.window.size}/${result.window.start}`,
    value: JSON.stringify(result),
  }))
  for (let i = 0; i < messages.length; i += 500) {
    await transaction.send({ topic: TOPIC, messages: messages.slice(i, i + 500) })
  }
  return transaction
}

async function write(results: readonly Result[]): Promise<void> {
  await (await begun(results)).commit()
}

type Serving = {
  readonly role: RoleProcess
  get(path: string): Promise<{ status: number; body: never; etag: string | null }>
  /** A window's revision, null when it is not there. */
  revision(i: number): Promise<number | null>
}

async function serve(): Promise<Serving> {
  const [port] = await freePorts(1, '127.0.0.1')
  const role = startRole({
    args: ['serve'],
    name: `serve-${roles.length}`,
    env: { ...process.env, KAFKA_BROKERS: broker.brokers, HTTP_PORT: String(port) },
    logFile: join(folder, `serve-${roles.length}.log`),
  })
  roles.push(role)
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, body: (await response.json()) as never, etag: response.headers.get('etag') }
  }
  const revision = async (i: number) => {
    const { status, body } = await get(`/api/windows/10s/${T0 + i * 10_000}`)
    return status === 200 ? (body as Result).revision : null
  }
  return { role, get, revision }
}

/** Asks until the results are served; whatever is answered before then must say that they are not. */
async function untilServed({ get }: Serving): Promise<{ sizes: { size: string; windows: number }[] }> {
  const deadline = Date.now() + LIMIT_MS
  for (;;) {
    // Nobody listens yet. One after the other: who is ready stays so, and it may become so between the two.
    const ready = await get('/readyz').catch(() => null)
    const answer = await get('/api/sizes').catch(() => null)
    if (answer?.status === 200) return answer.body
    if (answer && ready) expect([answer.status, ready.status]).toEqual([503, 503])
    if (Date.now() > deadline) throw new Error('the results are not served')
    await sleep(5)
  }
}

test('serves what is committed, all of it once ready, through a broker that stops and after its own restart', async () => {
  await write(Array.from({ length: WINDOWS }, (_, i) => windowAt(i)))
  await (await begun([windowAt(0, { revision: 66 }), windowAt(WINDOWS + 1)])).abort()
  const serving = await serve()
  expect((await untilServed(serving)).sizes).toContainEqual(expect.objectContaining({ size: '10s', windows: WINDOWS }))
  expect((await serving.get('/readyz')).status).toBe(200)
  expect([await serving.revision(0), await serving.revision(WINDOWS + 1)]).toEqual([10, null])

  const open = await begun([windowAt(0, { revision: 11 })])
  await sleep(1_000)
  expect(await serving.revision(0)).toBe(10)
  await open.commit()
  await vi.waitFor(async () => expect(await serving.revision(0)).toBe(11), LIMIT_MS)
  await writeForeign()
  await write([windowAt(1, { revision: 12 })])
  await vi.waitFor(async () => expect(await serving.revision(1)).toBe(12), LIMIT_MS)
  // In the same partition as that, before it, stood a record of window 3 that is none.
  expect(await serving.revision(3)).toBe(10)

  await broker.stop({ keepData: true })
  expect([await serving.revision(1), (await serving.get('/livez')).status]).toEqual([12, 200])
  await broker.restart()
  await write([windowAt(2, { revision: 13 })])
  await vi.waitFor(async () => expect(await serving.revision(2)).toBe(13), LIMIT_MS)

  await withAdmin(client(), admin => admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count: 3 }] }))
  await writeTo(2, windowAt(5, { revision: 14 }))
  await vi.waitFor(async () => expect(await serving.revision(5)).toBe(14), LIMIT_MS)

  const before = await serving.get('/api/windows?limit=1000&order=asc')
  serving.role.kill('SIGTERM')
  expect(await serving.role.exited).toBe(0)
  const again = await serve()
  await untilServed(again)
  const after = await again.get('/api/windows?limit=1000&order=asc')
  expect(after.etag).toBe(before.etag)
  expect(await again.revision(5)).toBe(14)
  again.role.kill('SIGTERM')
  expect(await again.role.exited).toBe(0)
})

/** By a new client: one that is older drops what is for a partition that it does not know. */
async function writeTo(partition: number, result: Result): Promise<void> {
  const sender = await createBatchSender(settings)
  const key = `${result.window.size}/${result.window.start}`
  const send = () => sender.send(TOPIC, partition, [{ key, value: JSON.stringify(result) }])
  await vi.waitFor(send, LIMIT_MS)
  await sender.close()
}

/** Records that are no results: none may change a window, or end the process. */
async function writeForeign(): Promise<void> {
  const key = `10s/${windowAt(3).window.start}`
  const values = ['', 'x', '{}', JSON.stringify({ ...windowAt(3, { revision: 99 }), v: 2 })]
  const messages = [
    ...values.map(value => ({ partition: 1, key, value })),
    { partition: 1, key: 'other', value: JSON.stringify(windowAt(3, { revision: 99 })) },
    { partition: 1, key: 'other', value: null },
  ]
  const transaction = await producer.transaction()
  await transaction.send({ topic: TOPIC, messages })
  await transaction.commit()
}
