import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, type FileHandle, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { invariant, TidemarkError } from '../../errors.ts'
import { runProgram } from './java.ts'
import { guard, hasExited } from './process.ts'
import { answersAsKafka } from './readiness.ts'
import { type ServerOptions, serverProperties } from './serverProperties.ts'

/** One cluster id for all embedded brokers: a data folder can then be started again without knowing its own. */
const CLUSTER_ID = 'dGlkZW1hcmstZW1iZWRkZQ'
const LOG4J_FILE = join(import.meta.dirname, 'log4j2.properties')
/** The last step of Kafka's start; whoever asks earlier may find a broker that knows no topics yet. */
const STARTED = 'Kafka Server started'
const READY_POLL_MS = 25
const STOP_GRACE_MS = 10_000
const REQUEST_TIMEOUT_MS = 2_000
const ERROR_LOG_LINES = 12
const LAST_LOG_LINES = 12

export type BrokerProcessOptions = Omit<ServerOptions, 'logFolder'> & {
  readonly java: string
  readonly jarFolder: string
  readonly dataDir: string
  /** True when the data folder is to go with this process. */
  readonly temporary: boolean
  readonly heapMb: number
  readonly fullJit: boolean
  readonly startTimeoutMs: number
}

/** The JVM of one broker: none, or one that runs. Start and stop take turns; ports and data stay the same. */
export class BrokerProcess {
  readonly options: BrokerProcessOptions
  readonly logFile: string
  readonly #pidFile: string
  readonly #propertiesFile: string
  readonly #logFolder: string
  /** Where in the log file the present start begins: what earlier ones said is not its fault. */
  #logStart = 0
  #jvm: ChildProcess | null = null
  readonly #killOnExit = () => this.#jvm?.kill('SIGKILL')

  constructor(options: BrokerProcessOptions) {
    this.options = options
    this.logFile = join(options.dataDir, 'broker.log')
    this.#pidFile = join(options.dataDir, 'broker.pid')
    this.#propertiesFile = join(options.dataDir, 'server.properties')
    this.#logFolder = join(options.dataDir, 'log')
  }

  get pid(): number | null {
    return this.#jvm?.pid ?? null
  }

  /** Returns when the broker answers. @throws TidemarkError 'unreachable' with the last log lines when it does not */
  async start(): Promise<void> {
    invariant(this.#jvm === null, 'a broker is started once')
    await writeFile(this.#propertiesFile, serverProperties({ ...this.options, logFolder: this.#logFolder }))
    const log = await open(this.logFile, 'a')
    try {
      this.#logStart = (await log.stat()).size
      if (!existsSync(join(this.#logFolder, 'meta.properties'))) await this.#format()
      this.#launch(log)
      await writeFile(this.#pidFile, `${this.#jvm!.pid ?? ''}\n`)
      await this.#awaitReady()
    } catch (error) {
      await this.kill()
      throw error
    } finally {
      await log.close()
    }
  }

  /** SIGTERM, and SIGKILL for a broker that has not ended after 10 s (a paused one cannot). */
  async stop(): Promise<void> {
    const jvm = this.#jvm
    if (jvm === null) return
    jvm.kill('SIGTERM')
    jvm.kill('SIGCONT')
    if (!(await hasExited(jvm, STOP_GRACE_MS))) jvm.kill('SIGKILL')
    await this.#ended(jvm)
  }

  async kill(): Promise<void> {
    const jvm = this.#jvm
    if (jvm === null) return
    jvm.kill('SIGKILL')
    await this.#ended(jvm)
  }

  signal(signal: NodeJS.Signals): void {
    this.#jvm?.kill(signal)
  }

  async #ended(jvm: ChildProcess): Promise<void> {
    await hasExited(jvm, STOP_GRACE_MS)
    await rm(this.#pidFile, { force: true })
  }

  /** Gives the empty log folder its identity, as `kafka-storage.sh format` does. */
  async #format(): Promise<void> {
    const { java } = this.options
    const args = [
      ...this.#jvmArgs(64),
      'kafka.tools.StorageTool',
      'format',
      '-t',
      CLUSTER_ID,
      '-c',
      this.#propertiesFile,
    ]
    const { code, text } = await runProgram(java, args)
    await appendFile(this.logFile, text)
    if (code !== 0) throw await this.#failure(`its storage could not be formatted (exit ${code})`)
  }

  #launch(log: FileHandle): void {
    const args = [...this.#jvmArgs(this.options.heapMb), 'kafka.Kafka', this.#propertiesFile]
    // Detached: a Ctrl-C is for this process, which then stops its clients first and the broker last.
    const jvm = spawn(this.options.java, args, { detached: true, stdio: ['ignore', log.fd, log.fd] })
    this.#jvm = jvm
    const endGuard =
      jvm.pid === undefined ? () => {} : guard(jvm.pid, this.options.temporary ? this.options.dataDir : null)
    process.once('exit', this.#killOnExit)
    const onEnd = () => {
      endGuard()
      process.off('exit', this.#killOnExit)
      if (this.#jvm === jvm) this.#jvm = null
    }
    jvm.once('exit', onEnd)
    jvm.once('error', onEnd)
  }

  #jvmArgs(heapMb: number): string[] {
    const jit = this.options.fullJit ? [] : ['-XX:TieredStopAtLevel=1']
    const files = [`-Dlog4j2.configurationFile=${LOG4J_FILE}`, '-cp', join(this.options.jarFolder, '*')]
    return [`-Xmx${heapMb}m`, ...jit, '-XX:+UseSerialGC', '-Xshare:auto', '-Djava.awt.headless=true', ...files]
  }

  /** Ready is: it says so in its own log (nobody else on that port can), and it answers a request. */
  async #awaitReady(): Promise<void> {
    const { client, startTimeoutMs } = this.options
    const deadline = Date.now() + startTimeoutMs
    let told = false
    while (Date.now() < deadline) {
      if (this.#jvm === null) throw await this.#failure('it ended while starting')
      told ||= await this.#hasLogged(STARTED)
      if (told && (await answersAsKafka(client.host, client.port, REQUEST_TIMEOUT_MS))) return
      await sleep(READY_POLL_MS)
    }
    throw await this.#failure(`it was not ready after ${startTimeoutMs / 1000} s`)
  }

  async #hasLogged(text: string): Promise<boolean> {
    return (await readFile(this.logFile)).subarray(this.#logStart).includes(text)
  }

  async #failure(what: string): Promise<TidemarkError> {
    const log = (await readFile(this.logFile).catch(() => Buffer.alloc(0))).subarray(this.#logStart).toString()
    const message = `The embedded Kafka broker did not come up: ${what}. From its log:\n${logExcerpt(log)}`
    return new TidemarkError('unreachable', message)
  }
}

/**
 * What tells why a broker died: its first errors and its last words. Between them lies an orderly shutdown of a hundred
 * lines that says nothing, and under each error a stack that names only Kafka's own code.
 */
export function logExcerpt(log: string): string {
  const lines = log
    .trimEnd()
    .split('\n')
    .filter(line => !line.startsWith('\tat '))
  const lastWords = Math.max(0, lines.length - LAST_LOG_LINES)
  const firstError = lines.findIndex(line => /\b(ERROR|FATAL)\b|Exception/.test(line))
  if (firstError === -1 || firstError >= lastWords) return lines.slice(lastWords).join('\n')
  const pastErrors = Math.min(firstError + ERROR_LOG_LINES, lastWords)
  const between = pastErrors < lastWords ? ['…'] : []
  return [...lines.slice(firstError, pastErrors), ...between, ...lines.slice(lastWords)].join('\n')
}
