import { mkdtempSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadSettings } from '../../../../src/config/load.ts'
import type { Settings } from '../../../../src/config/settings.ts'
import { judgeOutputsOf } from '../../../../src/dev/demo/outputVerdict.ts'
import { lastProgress, ResultFeed, recountTopic } from '../../../../src/dev/demo/resultFeed.ts'
import type { LedgerContent } from '../../../../src/dev/generator/ledger.ts'
import type { EmbeddedKafka } from '../../../../src/dev/kafka/embeddedKafka.ts'
import type { RecountResult } from '../../../../src/dev/recount.ts'
import { type RoleLine, type RoleProcess, startRole } from '../../../../src/dev/roleProcess.ts'
import { compareLedger, compareTotals, judge } from '../../../../src/dev/verdict.ts'
import { createTopicReader, type TopicReader } from '../../../../src/kafka/admin.ts'
import { createKafka } from '../../../../src/kafka/client.ts'
import { topicName } from '../../../../src/kafka/names.ts'
import { lastHeader } from '../../../../src/kafka/readAll.ts'
import { faultsOfResultLog } from './kafkaState.ts'
import { mergeLedgers } from './ledgers.ts'
import { SupervisedRole } from './supervisedRole.ts'

export type PipelineOptions = {
  readonly aggregators: number
  readonly reducers?: number
  readonly settings?: Readonly<Record<string, string>>
  /** Start anew what exits with 4, as Kubernetes would. Without it no role may crash. */
  readonly supervised?: boolean
}

export type Run = { readonly code: number; readonly output: string; readonly seconds: number }

/** A generator under way; `ledger` resolves when it has ended well, by itself or by `end`. */
export type Generating = { readonly ledger: Promise<LedgerContent>; readonly running: boolean; end(): void }

const SETTINGS: Readonly<Record<string, string>> = {
  SOURCE_PARTITIONS: '6',
  PARTIALS_PARTITIONS: '2',
  WINDOW_SIZE: '2s',
  ALLOWED_LATENESS: '2s',
  // Long: an outage must not make the reducer forget windows whose events are still under way.
  CORRECTION_HORIZON: '2m',
  IDLE_TIMEOUT: '1s',
  SESSION_TIMEOUT: '3s',
  FLUSH_INTERVAL: '200ms',
  EMIT_INTERVAL: '300ms',
  STATS_INTERVAL: '0',
}
/** With this seed the first event of each partition is a plain one: a late one could be older than what is kept. */
const SEED = '1'
const SETTLE_LIMIT_MS = 75_000
const POLL_MS = 300
const CRASHED = 4

const open = new Set<Pipeline>()

/** Ends what scenarios that were given up have left running. */
export async function endPipelines(): Promise<void> {
  await Promise.all([...open].map(pipeline => pipeline.end()))
}

/** Runs a scenario on topics, groups and processes of its own, and ends them whatever happens. */
export async function withPipeline(
  kafka: EmbeddedKafka,
  name: string,
  options: PipelineOptions,
  scenario: (pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const pipeline = new Pipeline(kafka.brokers, name, options)
  try {
    await pipeline.start()
    await scenario(pipeline)
    pipeline.passed = true
  } finally {
    await pipeline.end()
  }
}

/** The whole of Tidemark as real processes. */
export class Pipeline {
  readonly env: NodeJS.ProcessEnv
  readonly settings: Settings
  readonly reader: TopicReader
  readonly roles: SupervisedRole[] = []
  /** Crashes (exit 4) after which a role was started anew. */
  restarts = 0
  passed = false
  readonly #options: PipelineOptions
  readonly #folder: string
  readonly #problems: string[] = []
  readonly #jobs: RoleProcess[] = []
  readonly #ledgers: LedgerContent[] = []
  readonly #feed: ResultFeed
  #serial = 0
  #ended = false

  constructor(brokers: string, name: string, options: PipelineOptions) {
    this.#options = options
    this.#folder = mkdtempSync(join(tmpdir(), `tidemark-scenario-${name}-`))
    const names = {
      CONSUMER_GROUP: name,
      SOURCE_TOPIC: `${name}-logins`,
      ENRICHED_TOPIC: `${name}-enriched`,
      DLQ_TOPIC: `${name}-dlq`,
      PARTIALS_TOPIC: `${name}-partials`,
      RESULTS_TOPIC: `${name}-results`,
      DEVICE_STATS_TOPIC: `${name}-device-stats`,
    }
    this.env = { ...process.env, ...SETTINGS, ...names, ...options.settings, KAFKA_BROKERS: brokers }
    this.settings = loadSettings(this.env, () => '')
    this.reader = createTopicReader(createKafka(this.settings.kafka, () => {}))
    this.#feed = new ResultFeed(this.reader, this.topic('results'), this.topic('deviceStats'))
    open.add(this)
  }

  /** Makes the topics and starts the roles; resolves when all have partitions or know that they have none. */
  async start(): Promise<void> {
    const { code, output } = await this.run(['topics'])
    if (code !== 0) throw new Error(`topics: exit ${code}: ${output}`)
    const { aggregators, reducers = 1 } = this.#options
    for (let i = 0; i < reducers; i++) this.add('reduce')
    for (let i = 0; i < aggregators; i++) this.add('aggregate')
    await Promise.all(this.roles.map(role => role.line('assigned')))
  }

  topic(role: Parameters<typeof topicName>[1]): string {
    return topicName(this.settings, role)
  }

  /** Starts one more of a stage. */
  add(stage: SupervisedRole['stage'], env: Readonly<Record<string, string>> = {}): SupervisedRole {
    const name = `${stage}-${++this.#serial}`
    const role = new SupervisedRole({ stage, name, env: { ...this.env, ...env }, logFile: this.#logFile(name) })
    this.roles.push(role)
    void role.process.exited.then(code => this.#onExit(role, code))
    return role
  }

  running(stage: SupervisedRole['stage']): SupervisedRole[] {
    return this.roles.filter(role => role.stage === stage && role.running && role.expected === 'running')
  }

  /** All that its processes have printed so far. */
  async logs(): Promise<string> {
    const files = await readdir(this.#folder)
    const logs = files.filter(name => name.endsWith('.log')).map(name => readFile(join(this.#folder, name), 'utf8'))
    return (await Promise.all(logs)).join('\n')
  }

  /** A generator with these flags; its ledger is held against the results at the end. */
  generate(...flags: string[]): Generating {
    const name = `generate-${++this.#serial}`
    const file = join(this.#folder, `${name}.json`)
    const seed = flags.includes('--seed') ? [] : ['--seed', SEED]
    const args = ['generate', '--json', '--ledger', file, ...seed, ...flags]
    const job = startRole({ name, args, env: this.env, logFile: this.#logFile(name) })
    this.#jobs.push(job)
    const ledger = job.exited.then(async code => {
      if (code !== 0) throw new Error(`${name}: exit ${code}: ${await readFile(this.#logFile(name), 'utf8')}`)
      const content = JSON.parse(await readFile(file, 'utf8')) as LedgerContent
      this.#ledgers.push(content)
      return content
    })
    ledger.catch(() => {})
    return {
      ledger,
      get running() {
        return job.running
      },
      end: () => job.kill('SIGTERM'),
    }
  }

  /** Runs a command to its end, which must come within `limitMs`. */
  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}, limitMs = 45_000): Promise<Run> {
    const name = `${args[0]}-${++this.#serial}`
    const startedAt = Date.now()
    const job = startRole({ name, args, env: { ...this.env, ...env }, logFile: this.#logFile(name) })
    this.#jobs.push(job)
    const late = Symbol()
    const code = await Promise.race([job.exited, sleep(limitMs, late, { ref: false })])
    const output = await readFile(this.#logFile(name), 'utf8')
    if (typeof code !== 'number') throw new Error(`${name} has not ended within ${limitMs / 1000} s: ${output}`)
    return { code, output, seconds: (Date.now() - startedAt) / 1000 }
  }

  /**
   * Waits until every window is final and complete, drains all roles, and says what is not as it must be: each window
   * and total against a recount of the log, the ledgers against the same, every result ever written against the
   * others, every source record against the enriched topic and the dead letters, the roles' exit codes. `recount` is the judge where the log no longer holds everything.
   */
  async differences(recount?: RecountResult): Promise<string[]> {
    const ledger = recount === undefined ? mergeLedgers(this.#ledgers) : null
    await this.settle((recount ?? (ledger as LedgerContent)).windows)
    const wanted = recount ?? (await recountTopic(this.reader, this.topic('source'), this.settings))
    await this.#totalsTold(wanted)
    await this.drain()
    await this.#feed.poll()
    const verdict = judge(wanted, this.#feed.table)
    const progress = await lastProgress(this.reader, this.topic('partials'))
    const differences = [
      ...verdict.differences,
      ...(verdict.final < verdict.windows ? [`${verdict.windows - verdict.final} windows are not final`] : []),
      ...compareTotals(wanted, progress),
      ...(ledger === null ? [] : compareLedger(ledger, wanted)),
      ...(await faultsOfResultLog(this.reader, this.topic('results'))),
      ...(recount === undefined ? await this.outputDifferences() : await this.#latePartials()),
      ...this.#problems,
    ]
    if (differences.length > 0) differences.push(`logs: ${this.#folder}`)
    return differences
  }

  /** Every record of the source topic against the enriched topic and the dead letters. */
  async outputDifferences(): Promise<string[]> {
    const { enriched, deadLetters, differences, differenceCount } = await judgeOutputsOf(this.reader, this.settings)
    const { delivery } = this.settings
    const told = [enriched, deadLetters].map(({ found, repeated }) => `${found} found, ${repeated} repeated`)
    console.log(`${this.settings.consumerGroup}, ${delivery}: enriched ${told[0]}; dead letters ${told[1]}`)
    const more = differenceCount - differences.length
    return more > 0 ? [...differences, `${more} more differences of events`] : [...differences]
  }

  /** Partials that came when their windows were forgotten: what they claim is in no result. */
  async #latePartials(): Promise<string[]> {
    let count = 0
    await this.reader.readAll({
      topic: this.topic('deadLetters'),
      readCommitted: true,
      onMessage: ({ headers }) => {
        if (lastHeader(headers, 'error.code') === 'partial_too_late') count++
      },
    })
    return count > 0 ? [`${count} partials came too late`] : []
  }

  /** Waits until the results are final and hold as many events as these windows; not for ever, the verdict tells. */
  async settle(windows: RecountResult['windows'], limitMs = SETTLE_LIMIT_MS): Promise<void> {
    const deadline = Date.now() + limitMs
    const isSettled = ([key, { count }]: [string, { readonly count: number }]) => {
      const result = this.#feed.table.byKey.get(key)
      return result !== undefined && result.status !== 'provisional' && result.batch_size === count
    }
    for (;;) {
      await this.#feed.poll()
      if (Object.entries(windows).every(isSettled) || this.#problems.length > 0 || Date.now() > deadline) return
      await sleep(POLL_MS)
    }
  }

  /** What a reader of the results believes at this moment. */
  async results(): Promise<ResultFeed['table']> {
    await this.#feed.poll()
    return this.#feed.table
  }

  /** Asks every role that still runs to leave; each must exit with 0. */
  async drain(): Promise<void> {
    await Promise.all(this.roles.filter(role => role.expected === 'running' && role.running).map(role => role.leave()))
  }

  /** Ends all that is left, by its own id. */
  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    open.delete(this)
    for (const role of this.roles) role.expected = 'killed'
    const left = [...this.roles.map(role => role.process), ...this.#jobs].filter(each => each.running)
    for (const each of left) each.kill('SIGKILL')
    await Promise.all(left.map(each => each.exited))
    await this.reader.close()
    if (this.passed) await rm(this.#folder, { recursive: true, force: true })
  }

  #onExit(role: SupervisedRole, code: number): void {
    if (role.expected === 'killed' || this.#ended) return
    if (role.expected === 'leaving') {
      if (code !== 0) this.#problems.push(`${role.name} drained with exit ${code}: ${lastWords(role.lines)}`)
    } else if (code === CRASHED && this.#options.supervised === true) {
      this.restarts++
      this.add(role.stage)
    } else {
      this.#problems.push(`${role.name} ended with exit ${code}: ${lastWords(role.lines)}`)
    }
  }

  async #totalsTold(wanted: RecountResult): Promise<void> {
    const deadline = Date.now() + SETTLE_LIMIT_MS / 5
    while (Date.now() < deadline && this.#problems.length === 0) {
      const progress = await lastProgress(this.reader, this.topic('partials'))
      if (compareTotals(wanted, progress).length === 0) return
      await sleep(POLL_MS)
    }
  }

  #logFile(name: string): string {
    return join(this.#folder, `${name}.log`)
  }
}

function lastWords(lines: readonly RoleLine[]): string {
  return JSON.stringify(lines.at(-1) ?? 'no line')
}
