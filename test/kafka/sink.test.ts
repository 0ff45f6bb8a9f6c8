import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { loadSettings } from '../../src/config/load.ts'
import type { KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../src/dev/kafka/ports.ts'
import { type EmbeddedPostgres, startPostgres } from '../../src/dev/postgres.ts'
import { type RoleLine, type RoleProcess, startRole } from '../../src/dev/roleProcess.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createBatchSender, type KafkaBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { ensureTopics } from '../../src/kafka/topics.ts'
import { runCli } from '../../src/main.ts'
import { compareStanding, type Result } from '../../src/results/result.ts'
import type { Database } from '../../src/sinks/database.ts'
import { openPostgres } from '../../src/sinks/postgres.ts'
import { DAY_MS, keyOf, resultOf } from '../unit/sinks/results.ts'

const PARTITIONS = 3
const WAIT_MS = 30_000
const TOPIC = 'aggregated-usage'

let broker: EmbeddedKafka
let postgres: EmbeddedPostgres
let kafka: KafkaSettings
let sender: KafkaBatchSender
let reader: TopicReader
let folder: string
let serial = 0
let env: NodeJS.ProcessEnv
let topic: string
let database: Database
let roles: RoleProcess[] = []
let lines: RoleLine[]
/** The greatest result of each window that was sent. */
let sent: Map<string, Result>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-sink-'))
  ;[broker, postgres] = await Promise.all([startKafka(), startPostgres()])
  kafka = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  sender = await createBatchSender(kafka)
  reader = createTopicReader(createKafka(kafka, () => {}))
})
beforeEach(async () => {
  const name = `sink${++serial}`
  topic = `${TOPIC}-${name}`
  env = {
    KAFKA_BROKERS: broker.brokers,
    CONSUMER_GROUP: name,
    RESULTS_TOPIC: topic,
    PARTIALS_TOPIC: `partials-${name}`,
    PARTIALS_PARTITIONS: String(PARTITIONS),
    SOURCE_PARTITIONS: '1',
    SESSION_TIMEOUT: '6s',
    FLUSH_INTERVAL: '100ms',
    DATABASE_URL: postgres.url(name),
  }
  await postgres.createDatabase(name)
  await ensureTopics(
    createKafka(kafka, () => {}),
    settings(),
  )
  database = openPostgres({ url: postgres.url(name) })
  lines = []
  sent = new Map()
})
afterEach(async () => {
  for (const role of roles) role.kill('SIGKILL')
  await Promise.all(roles.map(({ exited }) => exited))
  roles = []
  await database?.close()
})
afterAll(async () => {
  await Promise.all([reader?.close(), sender?.close()])
  await Promise.all([broker?.stop(), postgres?.stop()])
  rmSync(folder, { recursive: true, force: true })
})

const settings = () => loadSettings(env, () => '')

function startSink(over: NodeJS.ProcessEnv = {}): RoleProcess {
  const name = `${topic}-${roles.length}`
  const role = startRole({
    args: ['sink'],
    name,
    env: { ...env, ...over },
    logFile: join(folder, `${name}.log`),
    onLine: line => void lines.push(line),
  })
  roles.push(role)
  return role
}

/** The last that it has printed, errors included. */
const logOf = ({ name }: RoleProcess) => readFileSync(join(folder, `${name}.log`), 'utf8').slice(-2_000)

/** Sends `count` results of windows beginning at number `first`, each with this revision. */
async function send(first: number, count: number, revision: number): Promise<void> {
  const results = Array.from({ length: count }, (_, i) =>
    resultOf({ startMs: DAY_MS + (first + i) * 10_000, revision, devices: { android: revision, tv: i + 1 } }),
  )
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const own = results.filter((_, i) => (first + i) % PARTITIONS === partition)
    await sender.send(
      topic,
      partition,
      own.map(result => ({ key: keyOf(result), value: JSON.stringify(result) })),
    )
  }
  for (const result of results) {
    const known = sent.get(keyOf(result))
    if (known === undefined || compareStanding(result, known) > 0) sent.set(keyOf(result), result)
  }
}

const select = (statement: string) => database.transaction(sql => sql.query(statement))

async function written(): Promise<Map<string, Result>> {
  const rows = await select('SELECT result FROM tidemark.windows')
  const results = rows.map(({ result }) => result as Result)
  return new Map(results.map(result => [keyOf(result), result]))
}

/** Waits until the database has all of the topic, and the group says so too. */
async function caughtUp(): Promise<void> {
  const group = `${env.CONSUMER_GROUP}-sink`
  await vi.waitFor(
    async () => {
      const ends = (await reader.readLogRanges(topic)).map(({ end }) => end)
      const rows = await select('SELECT next_offset FROM tidemark.positions ORDER BY partition')
      expect(rows.map(row => Number(row.next_offset))).toEqual(ends)
      const commits = ends.map((_, partition) => reader.readCommit(group, topic, partition))
      expect((await Promise.all(commits)).map(commit => commit?.offset)).toEqual(ends)
    },
    { timeout: WAIT_MS, interval: 100 },
  )
}

const told = (event: string) => lines.filter(line => line.event === event)

async function tidemark(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await runCli(args, {
    env: { ...env, LOG_LEVEL: 'silent' },
    readFile: () => '{"version":"1"}',
    stdout: { write: text => out.push(text) },
    stderr: { write: text => err.push(text) },
  })
  return { code, out: out.join(''), err: err.join('') }
}

test('the database dies, the sink dies, and nothing is lost or doubled', async () => {
  const [port] = await freePorts(1, '127.0.0.1')
  const readyz = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null)
    return { status: response?.status, body: (await response?.json()) as { database?: { reason: string } } | undefined }
  }
  await send(0, 3_000, 1)
  const first = startSink({ HTTP_PORT: String(port) })
  await vi.waitFor(async () => expect((await readyz()).status).toBe(200), { timeout: WAIT_MS })
  // Amid a load: results come and are written all the time.
  const load = (async () => {
    for (let round = 0; round < 30; round++) {
      await send((round * 37) % 3_000, 600, 2 + round)
      await sleep(50)
    }
  })()
  await sleep(300)
  await postgres.kill()
  await vi.waitFor(async () => {
    const { status, body } = await readyz()
    expect({ status, hasEnded: first.running ? false : logOf(first) }).toEqual({ status: 503, hasEnded: false })
    expect(body?.database?.reason).toMatch(/^database 127\.0\.0\.1:/)
  }, WAIT_MS)
  await sleep(500)
  expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200)
  await postgres.start()
  await vi.waitFor(async () => expect((await readyz()).status).toBe(200), { timeout: WAIT_MS })
  // One line for each change; the sessions of a server that is killed end one after the other.
  const changes = lines.map(({ event }) => event).filter(event => /^database_/.test(event ?? ''))
  expect(changes).toEqual(changes.map((_, i) => (i % 2 === 0 ? 'database_down' : 'database_up')))
  expect(changes.length % 2).toBe(0)
  expect(changes.length).toBeLessThanOrEqual(6)
  first.kill('SIGKILL')
  const second = startSink()
  await load
  await caughtUp()
  expect(await written()).toEqual(sent)
  second.kill('SIGTERM')
  expect(await second.exited).toBe(0)
}, 120_000)

test('a sink that slept through its session changes nothing when it wakes', async () => {
  await send(0, 300, 1)
  const sleeper = startSink()
  await caughtUp()
  await send(0, 300, 2)
  sleeper.kill('SIGSTOP')
  const other = startSink()
  await send(0, 300, 3)
  await caughtUp()
  const before = await select('SELECT topic, partition, next_offset FROM tidemark.positions ORDER BY partition')
  sleeper.kill('SIGCONT')
  await vi.waitFor(() => expect(told('assigned').length).toBeGreaterThanOrEqual(3), { timeout: WAIT_MS })
  expect(await select('SELECT topic, partition, next_offset FROM tidemark.positions ORDER BY partition')).toEqual(
    before,
  )
  expect(await written()).toEqual(sent)
  for (const role of [sleeper, other]) role.kill('SIGTERM')
  expect(await Promise.all([sleeper.exited, other.exited])).toEqual([0, 0])
}, 120_000)

test('records of others are left out and told; a rebuild gives the same rows', async () => {
  await send(0, 900, 1)
  await sender.send(topic, 1, [
    { key: 'k', value: 'not ours' },
    { key: keyOf(resultOf()), value: null },
    { key: '10s/elsewhere', value: JSON.stringify(resultOf({ revision: 99 })) },
  ])
  await send(100, 50, 2)
  const sink = startSink()
  await caughtUp()
  expect(await written()).toEqual(sent)
  expect(told('foreign_record')[0]).toMatchObject({ topic, partition: 1, offset: 300 })
  sink.kill('SIGTERM')
  expect(await sink.exited).toBe(0)

  const refusal = await tidemark('sink', '--rebuild')
  expect(refusal).toMatchObject({
    code: 2,
    err: expect.stringContaining('holds 900 windows; --yes deletes them first'),
  })
  await select("UPDATE tidemark.windows SET revision = 1000, result = '{}' RETURNING 1")
  const done = await tidemark('sink', '--rebuild', '--yes')
  expect(done).toMatchObject({ code: 0, out: expect.stringContaining('900 windows in 127.0.0.1') })
  expect(done.out).toContain('2 of them foreign')
  expect(await written()).toEqual(sent)
  // And a sink goes on from there.
  await send(890, 20, 3)
  startSink()
  await caughtUp()
  expect(await written()).toEqual(sent)
}, 120_000)

test('a sink waits for a database that is away from the start, and leaves at once when asked', async () => {
  const [away] = await freePorts(1, '127.0.0.1')
  const sink = startSink({ DATABASE_URL: `postgresql://u:hidden@127.0.0.1:${away}/d` })
  await vi.waitFor(() => expect(told('database_down')).toHaveLength(1), WAIT_MS)
  expect(JSON.stringify(lines)).not.toContain('hidden')
  const askedAt = performance.now()
  sink.kill('SIGTERM')
  expect(await sink.exited).toBe(0)
  expect(performance.now() - askedAt).toBeLessThan(5_000)
})
