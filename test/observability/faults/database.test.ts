import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Settings } from '../../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../../src/dev/kafka/embeddedKafka.ts'
import { type EmbeddedPostgres, startPostgres } from '../../../src/dev/postgres.ts'
import { createBatchSender, type KafkaBatchSender } from '../../../src/kafka/batchSender.ts'
import { damageBatch } from '../../kafka/damage.ts'
import { DAY_MS, keyOf, type ResultOver, resultOf } from '../../unit/sinks/results.ts'
import { FIRED_FOR_REAL } from '../support/firedForReal.ts'
import { type Prometheus, skipsPrometheus, startPrometheus } from '../support/prometheus.ts'
import { again, firing, type Scene, startScene, untilFiring, untilSilent } from './causes.ts'

const START_MS = 180_000
const WAIT_MS = 60_000
const PARTITIONS = 3
/** Above the 2.5 s of TidemarkSlowDatabase, and below the 10 s after which the sink takes the database for away. */
const LOCK_SECONDS = 3
/** In the records, behind the 61 bytes of the batch's header. */
const FLIPPED_AT = 90
const flip = (bytes: Buffer) => void bytes.writeUInt8(bytes.readUInt8(FLIPPED_AT) ^ 0x10, FLIPPED_AT)

let folder: string
let broker: EmbeddedKafka
let postgres: EmbeddedPostgres
let sender: KafkaBatchSender
let prometheus: Prometheus
let scenes: { readonly slow: Scene; readonly strict: Scene; readonly api: Scene }
const fired = new Set<string>()
let serial = 0

beforeAll(async () => {
  if (skipsPrometheus) return
  folder = mkdtempSync(join(tmpdir(), 'tidemark-database-alerts-'))
  ;[broker, postgres] = await Promise.all([startKafka(), startPostgres()])
  const kafka = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  sender = await createBatchSender(kafka)
  const [slow, strict, api] = await Promise.all([sink('slow'), sink('strict'), unreadableApi()])
  scenes = { slow, strict, api }
  prometheus = await startPrometheus({ targets: [slow, strict, api].map(({ target }) => target) })
}, START_MS)
afterAll(async () => {
  const roles = Object.values(scenes ?? {}).map(({ role }) => role)
  for (const role of roles) role.kill('SIGKILL')
  await Promise.all(roles.map(({ exited }) => exited))
  await sender?.close()
  await Promise.all([prometheus, broker, postgres].map(each => each?.stop()))
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

async function sink(name: string): Promise<Scene> {
  await postgres.createDatabase(name)
  const settings = {
    DATABASE_URL: postgres.url(name),
    PARTIALS_PARTITIONS: String(PARTITIONS),
    FLUSH_INTERVAL: '100ms',
  }
  return await startScene({ role: 'sink', name, brokers: broker.brokers, folder, settings })
}

/** An API whose topic holds a batch that was damaged on the broker's disk: it never gets to the end of what there is. */
function unreadableApi(): Promise<Scene> {
  const before = async (settings: Settings) => {
    await write(settings, 0, [{}])
    damageBatch(broker.dataDir, settings.topics.results, { partition: 0, batch: 0 }, flip)
  }
  const settings = { PARTIALS_PARTITIONS: '1' }
  return startScene({ role: 'serve', name: 'api', brokers: broker.brokers, folder, settings, before })
}

/** Results of windows that were not there before, as one batch. */
async function write(settings: Settings, partition: number, overs: readonly ResultOver[]): Promise<void> {
  const messages = overs.map(over => {
    const result = resultOf({ startMs: DAY_MS + ++serial * 10_000, ...over })
    return { key: keyOf(result), value: JSON.stringify(result) }
  })
  await sender.send(settings.topics.results, partition, messages)
}

/** Results for every partition of a scene, again and again. */
function writing({ settings }: Scene, count: number): () => Promise<void> {
  const overs = Array.from({ length: count }, () => ({}))
  return again(async () => {
    for (let partition = 0; partition < PARTITIONS; partition++) await write(settings, partition, overs)
  }, 100)
}

/** A table that is locked for some seconds, and again at once, as by a report. @returns ends it */
async function lockAgainAndAgain(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: postgres.url('slow') })
  await client.connect()
  const lock = 'LOCK TABLE tidemark.windows IN SHARE ROW EXCLUSIVE MODE'
  const end = again(() => client.query(`BEGIN; ${lock}; SELECT pg_sleep(${LOCK_SECONDS}); COMMIT`))
  return async () => {
    await end()
    await client.end()
  }
}

async function expectFired(scene: Scene, ...names: readonly string[]) {
  const alerts = await untilFiring(prometheus, scene.target.labels.namespace ?? '', ...names)
  for (const { name } of alerts) fired.add(name)
  return alerts
}

describe.skipIf(skipsPrometheus)('alerts of the database and the API', () => {
  test(
    'a lock that is held again and again: the database is slow, the sink is behind; a result that it cannot take is told',
    async () => {
      const { slow, strict } = scenes
      const [endSlow, endStrict] = [writing(slow, 20), writing(strict, 1)]
      // What another program copies from the table has room for small numbers alone.
      await postgres.run(
        'strict',
        'CREATE TABLE tidemark.copy (logins smallint)',
        `CREATE FUNCTION tidemark.copy() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN INSERT INTO tidemark.copy VALUES (NEW.batch_size); RETURN NEW; END'`,
        'CREATE TRIGGER copy AFTER INSERT ON tidemark.windows FOR EACH ROW EXECUTE FUNCTION tidemark.copy()',
      )
      const release = await lockAgainAndAgain()
      await vi.waitFor(
        async () => expect(await prometheus.query('tidemark_sink_refused_results_total')).toHaveLength(2),
        WAIT_MS,
      )
      expect(await firing(prometheus, 'strict')).toEqual([])
      await write(strict.settings, 0, [{ devices: { android: 40_000 } }])
      expect((await expectFired(strict, 'TidemarkSinkRefuses')).map(({ name }) => name)).toEqual([
        'TidemarkSinkRefuses',
      ])
      const refused = strict.lines.find(({ event }) => event === 'refused_result')
      expect(refused).toMatchObject({ window: expect.any(String), reason: expect.stringContaining('smallint') })

      const alerts = await expectFired(slow, 'TidemarkSlowDatabase', 'TidemarkSinkBehind')
      expect(alerts.map(({ name }) => name).sort()).toEqual(['TidemarkSinkBehind', 'TidemarkSlowDatabase'])
      expect(slow.lines.filter(({ event }) => event === 'database_down')).toEqual([])

      await Promise.all([endSlow(), endStrict(), release()])
      await untilSilent(prometheus, 'slow')
    },
    START_MS,
  )

  test(
    'a database that is gone, until it is back',
    async () => {
      const { slow } = scenes
      const end = writing(slow, 1)
      await postgres.kill()
      const alerts = await expectFired(slow, 'TidemarkDatabaseDown')
      expect(alerts.map(({ name }) => name)).toEqual(['TidemarkDatabaseDown'])
      await postgres.start()
      await untilSilent(prometheus, 'slow')
      await end()
      expect(slow.role.running).toBe(true)
      expect(slow.lines.map(({ event }) => event)).toEqual(expect.arrayContaining(['database_down', 'database_up']))
    },
    START_MS,
  )

  test(
    'an API that cannot read its results, until it can',
    async () => {
      const { api } = scenes
      const ask = again(() => fetch(`${api.url}/api/windows`).then(answer => answer.arrayBuffer()), 100)
      const [alert] = await expectFired(api, 'TidemarkApiErrors')
      // Those for metrics do not.
      expect(alert?.annotations.description).toMatch(/^\d\d\.?\d*% of the requests in api fail\.$/)
      expect(api.lines.map(({ event }) => event)).toContain('corrupt_batch')
      damageBatch(broker.dataDir, api.settings.topics.results, { partition: 0, batch: 0 }, flip)
      await untilSilent(prometheus, 'api')
      await ask()
      expect((await fetch(`${api.url}/api/windows`)).status).toBe(200)
    },
    START_MS,
  )

  test('these were all of the database and the API', () => {
    expect([...fired].sort()).toEqual([...FIRED_FOR_REAL.database, ...FIRED_FOR_REAL.api].sort())
  })
})
