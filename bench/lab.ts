import { type ChildProcess, fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadSettings } from '../src/config/load.ts'
import { SETTING_NAMES } from '../src/config/schema.ts'
import type { Settings } from '../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../src/dev/kafka/embeddedKafka.ts'
import { type RoleLine, type RoleProcess, startRole } from '../src/dev/roleProcess.ts'
import { createTopicReader, type TopicReader } from '../src/kafka/admin.ts'
import { createKafka } from '../src/kafka/client.ts'
import { ensureTopics } from '../src/kafka/topics.ts'

/** A set of settings with topics and groups of its own. */
export type Pipeline = { readonly env: NodeJS.ProcessEnv; readonly settings: Settings }

/** A helper program of the benchmarks in a process of its own. */
export type Tool<Message> = {
  readonly pid: number
  /** Resolves with the next message that the test holds for; rejects when the process ends before. */
  message<M extends Message>(test: (message: Message) => message is M): Promise<M>
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>
}

const BROKER_HEAP_MB = 1024
const STOP_LIMIT_MS = 20_000

/** The broker, the temporary folder and all processes of one run of the benchmarks. */
export class Lab {
  readonly reader: TopicReader
  readonly kafka: EmbeddedKafka
  readonly #folder: string
  readonly #given: Readonly<Record<string, string>>
  readonly #roles: RoleProcess[] = []
  readonly #tools = new Set<ChildProcess>()
  readonly #killTools = () => {
    for (const tool of this.#tools) tool.kill('SIGKILL')
  }

  private constructor(kafka: EmbeddedKafka, folder: string, given: Readonly<Record<string, string>>) {
    this.kafka = kafka
    this.#given = given
    this.#folder = folder
    this.reader = createTopicReader(createKafka(this.#load({}).settings.kafka, () => {}))
    process.once('exit', this.#killTools)
  }

  /** @param given settings of every pipeline, by their names in the environment */
  static async open(given: Readonly<Record<string, string>>): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    return new Lab(await startKafka({ fullJit: true, heapMb: BROKER_HEAP_MB }), folder, given)
  }

  /** Settings by their names in the environment, on topics and groups that begin with `name`; creates the topics. */
  async pipeline(name: string, given: Readonly<Record<string, string>> = {}): Promise<Pipeline> {
    const pipeline = this.#load({
      CONSUMER_GROUP: name,
      SOURCE_TOPIC: `${name}-user-login`,
      ENRICHED_TOPIC: `${name}-processed-user-login`,
      DLQ_TOPIC: `${name}-user-login-dlq`,
      PARTIALS_TOPIC: `${name}-login-partials`,
      RESULTS_TOPIC: `${name}-aggregated-usage`,
      DEVICE_STATS_TOPIC: `${name}-user-device-stats`,
      ...given,
    })
    await ensureTopics(
      createKafka(pipeline.settings.kafka, () => {}),
      pipeline.settings,
    )
    return pipeline
  }

  /** @param env more of the process's environment, as NODE_OPTIONS */
  role(
    name: string,
    command: 'aggregate' | 'reduce' | 'sink',
    pipeline: Pipeline,
    onLine: (line: RoleLine) => void = () => {},
    env: NodeJS.ProcessEnv = {},
  ): RoleProcess {
    const role = startRole({
      name,
      args: [command],
      env: { ...pipeline.env, ...env },
      logFile: join(this.#folder, `${name}.log`),
      onLine,
    })
    this.#roles.push(role)
    return role
  }

  /** Starts bench/tools/<file> with the task as its argument. */
  tool<Message>(file: string, task: object, onMessage: (message: Message) => void = () => {}): Tool<Message> {
    const child = fork(join(import.meta.dirname, 'tools', file), [JSON.stringify(task)], {
      env: environment(),
      execArgv: ['--no-warnings'],
      serialization: 'advanced',
    })
    this.#tools.add(child)
    const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
    child.on('message', message => onMessage(message as Message))
    return {
      pid: child.pid ?? -1,
      message: <M extends Message>(test: (message: Message) => message is M) =>
        new Promise<M>((resolve, reject) => {
          child.on('message', message => {
            if (test(message as Message)) resolve(message as M)
          })
          void ended.then(() => reject(new Error(`${file} has ended (${child.exitCode ?? child.signalCode})`)))
        }),
      stop: async () => {
        child.kill('SIGTERM')
        await Promise.race([ended, sleep(STOP_LIMIT_MS, undefined, { ref: false })])
        child.kill('SIGKILL')
        await ended
        this.#tools.delete(child)
      },
    }
  }

  /** Ends a role in order, or after 20 s in any case. */
  async endRole(role: RoleProcess): Promise<void> {
    if (role.running) role.kill('SIGTERM')
    await Promise.race([role.exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })])
    if (role.running) role.kill('SIGKILL')
    await role.exited
  }

  /** Ends everything that was started; the folder goes with this process. */
  async close(): Promise<void> {
    await Promise.all(this.#roles.map(role => this.endRole(role)))
    this.#killTools()
    process.off('exit', this.#killTools)
    await this.reader.close()
    await this.kafka.stop()
  }

  #load(given: Readonly<Record<string, string>>): Pipeline {
    const env = { ...environment(), ...this.#given, ...given, KAFKA_BROKERS: this.kafka.brokers }
    return { env, settings: loadSettings(env, () => '') }
  }
}

/** Ours without Tidemark's settings: figures are those of the defaults, whatever is set in the shell. */
function environment(): NodeJS.ProcessEnv {
  const env = { ...process.env }
  for (const name of SETTING_NAMES) delete env[name]
  return env
}
