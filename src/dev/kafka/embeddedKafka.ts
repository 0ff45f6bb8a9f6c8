import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TidemarkError } from '../../errors.ts'
import { BrokerProcess, type BrokerProcessOptions } from './brokerProcess.ts'
import { ensureKafkaJars } from './jars.ts'
import { findJava } from './java.ts'
import { freePorts, isPortFree } from './ports.ts'
import type { Listener } from './serverProperties.ts'

const LOCAL = '127.0.0.1'
const START_ATTEMPTS = 3
const PORT_WAIT_MS = 5_000
const PORT_POLL_MS = 50

export type KafkaPorts = { readonly client: number; readonly controller: number; readonly external?: number }

export type EmbeddedKafkaOptions = {
  /** A folder to keep the data in, also after `stop`; else a temporary one, removed by `stop`. */
  readonly dataDir?: string
  /** The TCP ports to use; free ones are chosen when absent. */
  readonly ports?: KafkaPorts
  /** A second listener, for clients elsewhere: the address to tell them, and the one to listen on if it is another. */
  readonly external?: { readonly host: string; readonly port?: number; readonly bind?: string }
  /** Settings of the broker that win over ours, as in server.properties. */
  readonly extraProperties?: Readonly<Record<string, string | number | boolean>>
  /** How often the broker looks for segments past their retention, milliseconds. */
  readonly retentionCheckMs?: number
  /** The JVM's greatest heap, MiB; 512 by default. */
  readonly heapMb?: number
  /** Lets the JVM optimise fully: a slower start, a faster broker. For benchmarks. */
  readonly fullJit?: boolean
  /** How long the broker may take until it answers, milliseconds; 60,000 by default. */
  readonly startTimeoutMs?: number
}

/** A running Kafka broker, or one that was stopped and can be started again. */
export type EmbeddedKafka = {
  /** `host:port` for KAFKA_BROKERS. */
  readonly brokers: string
  /** `host:port` of the second listener, null without one. */
  readonly externalBrokers: string | null
  readonly ports: KafkaPorts
  readonly dataDir: string
  /** All that the broker has printed, over all restarts. */
  readonly logFile: string
  /** The JVM's process id, null while none runs. */
  readonly pid: number | null
  /** Asks the broker to end (SIGTERM), after 10 s ends it. A temporary data folder is removed unless `keepData` is set. */
  stop(options?: { readonly keepData?: boolean }): Promise<void>
  /** SIGKILL: the broker is gone at once, its data stay as they are. */
  kill(): Promise<void>
  /** SIGSTOP: connections stay open, nothing is answered. */
  pause(): void
  /** SIGCONT after `pause`. */
  resume(): void
  /** Stops the broker if it runs, and starts it again on the same data and ports. */
  restart(): Promise<void>
}

/**
 * Starts a real Apache Kafka broker (KRaft, one JVM) and waits until it answers: 2-3 s. The very first call fetches 54 MB of
 * jars by Maven. The broker does not outlive this process; should one ever be left over, `<dataDir>/broker.pid` names it.
 *
 * @throws TidemarkError 'unreachable' when Java or Maven is missing, or the broker does not come up (with its last log lines)
 */
export async function startKafka(options: EmbeddedKafkaOptions = {}): Promise<EmbeddedKafka> {
  const java = await findJava()
  const jarFolder = await ensureKafkaJars()
  const temporary = options.dataDir === undefined
  const dataDir =
    options.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'tidemark-kafka-')) : resolve(options.dataDir)
  await mkdir(dataDir, { recursive: true })
  const removeOnExit = () => rmSync(dataDir, { recursive: true, force: true })
  if (temporary) process.once('exit', removeOnExit)
  const discard = async () => {
    if (!temporary) return
    process.off('exit', removeOnExit)
    await rm(dataDir, { recursive: true, force: true })
  }
  const base = { java, jarFolder, dataDir, temporary, ...startSettings(options) }
  try {
    return controls(await startOnFreePorts(base, options), discard)
  } catch (error) {
    await discard()
    throw error
  }
}

function startSettings(options: EmbeddedKafkaOptions) {
  return {
    retentionCheckMs: options.retentionCheckMs ?? null,
    extraProperties: options.extraProperties ?? {},
    heapMb: options.heapMb ?? 512,
    fullJit: options.fullJit ?? false,
    startTimeoutMs: options.startTimeoutMs ?? 60_000,
  }
}

type Base = Omit<BrokerProcessOptions, 'client' | 'external' | 'controllerPort'>

/** Between the choice of a port and the broker's listening somebody else may take it: then other ports are tried. */
async function startOnFreePorts(base: Base, options: EmbeddedKafkaOptions): Promise<BrokerProcess> {
  for (let attempt = 1; ; attempt++) {
    const listeners = await chooseListeners(options)
    const broker = new BrokerProcess({ ...base, ...listeners })
    try {
      await broker.start()
      return broker
    } catch (error) {
      const mayRetry = options.ports === undefined && attempt < START_ATTEMPTS
      if (!mayRetry || (await areAllFree(listeners))) throw error
    }
  }
}

type Listeners = { readonly client: Listener; readonly external: Listener | null; readonly controllerPort: number }

async function chooseListeners({ ports, external }: EmbeddedKafkaOptions): Promise<Listeners> {
  const [client, controller, spare] = await freePorts(3, LOCAL)
  const externalPort = external?.port ?? ports?.external ?? spare!
  return {
    client: { host: LOCAL, port: ports?.client ?? client! },
    controllerPort: ports?.controller ?? controller!,
    external:
      external === undefined ? null : { host: external.host, port: externalPort, bind: external.bind ?? external.host },
  }
}

async function areAllFree({ client, external, controllerPort }: Listeners): Promise<boolean> {
  const free = await Promise.all([
    isPortFree(client.port, LOCAL),
    isPortFree(controllerPort, LOCAL),
    external === null ? true : isPortFree(external.port, external.bind ?? external.host),
  ])
  return free.every(Boolean)
}

/** A stopped broker's ports may take a moment to be given back. */
async function awaitPorts(listeners: Listeners): Promise<void> {
  const deadline = Date.now() + PORT_WAIT_MS
  while (!(await areAllFree(listeners))) {
    if (Date.now() > deadline) {
      throw new TidemarkError(
        'unreachable',
        `Port ${listeners.client.port} of the stopped broker is in use by another program.`,
      )
    }
    await sleep(PORT_POLL_MS)
  }
}

function controls(broker: BrokerProcess, discard: () => Promise<void>): EmbeddedKafka {
  const { client, external, controllerPort, dataDir } = broker.options
  const ports = {
    client: client.port,
    controller: controllerPort,
    ...(external === null ? {} : { external: external.port }),
  }
  return {
    brokers: `${client.host}:${client.port}`,
    externalBrokers: external === null ? null : `${external.host}:${external.port}`,
    ports,
    dataDir,
    logFile: broker.logFile,
    get pid() {
      return broker.pid
    },
    async stop({ keepData = false } = {}) {
      await broker.stop()
      if (!keepData) await discard()
    },
    kill: () => broker.kill(),
    pause: () => broker.signal('SIGSTOP'),
    resume: () => broker.signal('SIGCONT'),
    async restart() {
      await broker.stop()
      await awaitPorts(broker.options)
      await broker.start()
    },
  }
}
