import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../../src/config/load.ts'
import { type EmbeddedKafka, startKafka } from '../../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { type EmbeddedPostgres, startPostgres } from '../../../src/dev/postgres.ts'
import { type RoleProcess, startRole } from '../../../src/dev/roleProcess.ts'
import { createKafka } from '../../../src/kafka/client.ts'
import { ensureTopics } from '../../../src/kafka/topics.ts'
import { type Prometheus, startPrometheus, type Target } from '../support/prometheus.ts'
import { shellText } from './shell.ts'

export type LabOptions = {
  /** By how much the times of the alerts are divided: with 60 their minutes are seconds, with 1 they are as they stand. */
  readonly divisor: number
  /** Logins a second. */
  readonly rate: number
  /** Settings of the roles over those of the lab. */
  readonly settings?: Readonly<Record<string, string>>
}

/** All of Tidemark on this machine, with synthetic logins, watched by Prometheus. */
export type Lab = {
  readonly prometheus: Prometheus
  /** A file for a shell to read: `q`, `tm`, `logs`, `ask`, `kafka` and `sql` of the runbooks, for this lab. */
  readonly shellFile: string
  /** Of the API. */
  readonly url: string
  /** Ends everything and removes its files. */
  stop(): Promise<void>
}

const HOST = '127.0.0.1'
const DATABASE = 'tidemark'
const NAMES = ['aggregate-1', 'aggregate-2', 'reduce-1', 'sink-1', 'serve-1'] as const
/** Of what is planted as a fault there is none by itself. */
const PLAIN = ['--invalid-required', '0']
/** As compose.yaml has them. */
const SETTINGS: Readonly<Record<string, string>> = { SOURCE_PARTITIONS: '6', PARTIALS_PARTITIONS: '2' }
/** Where the alerts' minutes are seconds, what they look at has to be told every second, too. */
const FASTER_SETTINGS: Readonly<Record<string, string>> = { IDLE_TIMEOUT: '1s', REJECTED_SHARE_WINDOW: '15s' }

/** Whatever was started, in that order. */
class Parts {
  readonly folder = mkdtempSync(join(tmpdir(), 'tidemark-lab-'))
  readonly roles: RoleProcess[] = []
  broker: EmbeddedKafka | null = null
  postgres: EmbeddedPostgres | null = null
  prometheus: Prometheus | null = null

  async stop(): Promise<void> {
    for (const role of this.roles) role.kill('SIGKILL')
    await Promise.all(this.roles.map(({ exited }) => exited))
    await Promise.all([this.prometheus?.stop(), this.broker?.stop(), this.postgres?.stop()])
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/**
 * Starts a broker, PostgreSQL, two aggregators, a reducer, a sink, the API, a generator and Prometheus with the chart's rules.
 * None of it outlives this process.
 * @throws Error of whichever does not come up; the others are ended then
 */
export async function startLab({ divisor, rate, settings = {} }: LabOptions): Promise<Lab> {
  const parts = new Parts()
  try {
    const [broker, postgres] = await Promise.all([startKafka(), startPostgres()])
    parts.broker = broker
    parts.postgres = postgres
    await postgres.createDatabase(DATABASE)
    const own = {
      ...SETTINGS,
      ...(divisor > 1 ? FASTER_SETTINGS : {}),
      ...settings,
      KAFKA_BROKERS: broker.brokers,
      DATABASE_URL: postgres.url(DATABASE),
    }
    const loaded = loadSettings(own, () => '')
    await ensureTopics(
      createKafka(loaded.kafka, () => {}),
      loaded,
    )
    const ports = await startRoles(parts, own)
    startTool(parts, 'generate-1', ['generate', '--rate', String(rate), ...PLAIN], own)
    parts.prometheus = await startPrometheus({ divisor, targets: [...ports].map(targetOf) })
    const url = `http://${HOST}:${ports.get('serve-1')}`
    const shellFile = join(parts.folder, 'shell.sh')
    writeFileSync(
      shellFile,
      await shellText({ prometheus: parts.prometheus.url, api: url, settings: own, folder: parts.folder, ports }),
    )
    return { prometheus: parts.prometheus, shellFile, url, stop: () => parts.stop() }
  } catch (error) {
    await parts.stop()
    throw error
  }
}

/** @returns the port of each, once all are at work */
async function startRoles(parts: Parts, settings: NodeJS.ProcessEnv): Promise<Map<string, number>> {
  const free = await freePorts(NAMES.length, HOST)
  const ports = new Map(NAMES.map((name, index) => [name as string, free[index] as number]))
  const atWork = NAMES.map(name => {
    const [role = ''] = name.split('-')
    const started = startTool(parts, name, [role], { ...settings, HTTP_PORT: String(ports.get(name)) })
    return started.line(({ event }) => event === (role === 'serve' ? 'ready' : 'assigned'))
  })
  await Promise.all(atWork)
  return ports
}

function startTool(parts: Parts, name: string, args: readonly string[], settings: NodeJS.ProcessEnv): RoleProcess {
  const logFile = join(parts.folder, `${name}.log`)
  const started = startRole({ args, name, env: { ...process.env, ...settings }, logFile })
  parts.roles.push(started)
  return started
}

function targetOf([pod, port]: readonly [string, number]): Target {
  return { address: `${HOST}:${port}`, labels: { job: 'tidemark', namespace: 'lab', pod } }
}
