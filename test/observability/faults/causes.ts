import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import type { Settings } from '../../../src/config/settings.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { type RoleLine, type RoleProcess, startRole } from '../../../src/dev/roleProcess.ts'
import { createKafka } from '../../../src/kafka/client.ts'
import { ensureTopics } from '../../../src/kafka/topics.ts'
import type { Alert, Prometheus, Target } from '../support/prometheus.ts'

const HOST = '127.0.0.1'
const WAIT_MS = 60_000

/** A role with topics and a group of its own, as one to be scraped; its namespace tells its alerts from those of others. */
export type Scene = {
  readonly settings: Settings
  readonly target: Target
  readonly url: string
  readonly role: RoleProcess
  readonly lines: readonly RoleLine[]
}

export type SceneOptions = {
  readonly role: 'sink' | 'serve'
  /** Of the scene: its namespace, group and results topic. */
  readonly name: string
  readonly brokers: string
  readonly folder: string
  readonly settings: Readonly<Record<string, string>>
  /** What is to be in the topics before the role starts. */
  readonly before?: (settings: Settings) => Promise<void>
}

/** Makes the topics and starts the role. */
export async function startScene({ role, name, brokers, folder, settings, before }: SceneOptions): Promise<Scene> {
  const [port] = (await freePorts(1, HOST)) as [number]
  const env = {
    ...settings,
    KAFKA_BROKERS: brokers,
    CONSUMER_GROUP: name,
    RESULTS_TOPIC: `results-${name}`,
    PARTIALS_TOPIC: `partials-${name}`,
    SOURCE_PARTITIONS: '1',
    HTTP_PORT: String(port),
  }
  const loaded = loadSettings(env, () => '')
  await ensureTopics(
    createKafka(loaded.kafka, () => {}),
    loaded,
  )
  await before?.(loaded)
  mkdirSync(folder, { recursive: true })
  const lines: RoleLine[] = []
  const started = startRole({
    args: [role],
    name,
    env: { ...process.env, ...env },
    logFile: join(folder, `${name}.log`),
    onLine: line => void lines.push(line),
  })
  await started.line(({ event }) => event === 'starting')
  const address = `${HOST}:${port}`
  const target = { address, labels: { job: 'tidemark', namespace: name, pod: `${role}-0` } }
  return { settings: loaded, target, url: `http://${address}`, role: started, lines }
}

/** Those of a scene that fire, by name; waits until `names` are among them. */
export function untilFiring(prometheus: Prometheus, namespace: string, ...names: readonly string[]): Promise<Alert[]> {
  return vi.waitFor(
    async () => {
      const found = await firing(prometheus, namespace)
      expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining([...names]))
      return found
    },
    { timeout: WAIT_MS, interval: 200 },
  )
}

/** Waits until none of a scene's alerts fires any more. */
export function untilSilent(prometheus: Prometheus, namespace: string): Promise<void> {
  return vi.waitFor(async () => expect(await firing(prometheus, namespace)).toEqual([]), {
    timeout: WAIT_MS,
    interval: 200,
  })
}

export async function firing(prometheus: Prometheus, namespace: string): Promise<Alert[]> {
  const alerts = await prometheus.alerts()
  return alerts.filter(({ state, labels }) => state === 'firing' && labels.namespace === namespace)
}

/** Does something again and again until it is told to end. @returns ends it; rejects with the failure that ended it before */
export function again(work: () => Promise<unknown>, pauseMs = 0): () => Promise<void> {
  let ended = false
  const running = (async () => {
    while (!ended) {
      await work()
      await sleep(pauseMs)
    }
  })()
  // It is told by whoever ends it.
  running.catch(() => {})
  return async () => {
    ended = true
    await running
  }
}
