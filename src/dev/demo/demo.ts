import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kindsOf, type WindowKind } from '../../audit/windows.ts'
import { loadSettings } from '../../config/load.ts'
import type { Settings } from '../../config/settings.ts'
import { TidemarkError } from '../../errors.ts'
import { createTopicReader, type TopicReader } from '../../kafka/admin.ts'
import { createKafka } from '../../kafka/client.ts'
import { topicName } from '../../kafka/names.ts'
import type { LedgerContent } from '../generator/ledger.ts'
import { startKafka } from '../kafka/embeddedKafka.ts'
import type { OutputVerdict } from '../outputs.ts'
import { type EmbeddedPostgres, startPostgres } from '../postgres.ts'
import { type RoleProcess, startRole } from '../roleProcess.ts'
import { compareLedger, compareTotals, judge, type Verdict } from '../verdict.ts'
import { insightsText } from './insightsText.ts'
import { judgeOutputsOf } from './outputVerdict.ts'
import { lastProgress, ResultFeed, recountTopic } from './resultFeed.ts'
import { createScreen } from './screen.ts'
import { compareSql } from './sqlCheck.ts'

export type DemoOptions = {
  readonly events: number
  /** How long the generator takes to send them. */
  readonly seconds: number
  /** Leave broker and roles running after the verdict until `signal`. */
  readonly keep: boolean
  readonly out: { write(text: string): unknown; isTTY?: boolean }
  readonly env: NodeJS.ProcessEnv
  /** Ends the run early; everything started is ended. */
  readonly signal: AbortSignal
}

export type DemoOutcome = Verdict & {
  readonly delivery: Settings['delivery']
  readonly enriched: OutputVerdict['enriched']
  readonly deadLetters: OutputVerdict['deadLetters']
  readonly produced: number
  readonly killed: number
  readonly added: number
  /** Windows in SQL, of all sizes; 0 without a database. */
  readonly sqlWindows: number
  /** Windows that `tidemark audit` chose by chance, and those of them that were equal. */
  readonly audited: number
  readonly auditedEqual: number
  readonly seconds: number
  readonly secondsToFirstResult: number
}

type Judged = Omit<DemoOutcome, 'sqlWindows' | 'audited' | 'auditedEqual'>

const AUDITED_WINDOWS = 20
/** Shares of the run at which one aggregator is killed, and at which two are added. */
const KILL_AT = 0.3
const ADD_AT = 0.5
const POLL_MS = 1_000
/** From the last event: a window and its lateness, idleness, a session timeout of a killed one, and room. */
const FINAL_LIMIT_MS = 90_000
const END_LIMIT_MS = 20_000
const TOO_LARGE_SHARE = '0.0002'

/** Small times, so that many windows turn final while one looks on; and a limit that some of the events can pass. */
const DEMO_SETTINGS: Readonly<Record<string, string>> = {
  SOURCE_PARTITIONS: '6',
  PARTIALS_PARTITIONS: '2',
  WINDOW_SIZE: '2s',
  SLIDING_WINDOWS: '6s/2s',
  ALLOWED_LATENESS: '5s',
  // Beyond the generator's latest events (10 minutes): none comes too late to be counted.
  CORRECTION_HORIZON: '15m',
  IDLE_TIMEOUT: '2s',
  SESSION_TIMEOUT: '6s',
  MAX_EVENT_BYTES: '16KiB',
}

/** The whole of Tidemark on a real broker: counts while aggregators are killed and added, then checks every number. */
export async function runDemo(options: DemoOptions): Promise<DemoOutcome> {
  const { out, env } = options
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-demo-'))
  const own = env.KAFKA_BROKERS === undefined
  out.write(
    own ? 'demo: starting Kafka (the first time its jars are fetched, 54 MB)\n' : `demo: using ${env.KAFKA_BROKERS}\n`,
  )
  const [kafka, postgres] = await Promise.all([own ? startKafka() : null, startDatabase(out)])
  const brokers = kafka?.brokers ?? (env.KAFKA_BROKERS as string)
  const demo = new Demo(options, folder, brokers, own, postgres?.url() ?? null)
  try {
    return await demo.run()
  } finally {
    await demo.end()
    await Promise.all([kafka?.stop(), postgres?.stop()])
    await rm(folder, { recursive: true, force: true })
  }
}

/** A PostgreSQL of the demo's own; null where there is none, so that the rest can be seen all the same. */
async function startDatabase(out: DemoOptions['out']): Promise<EmbeddedPostgres | null> {
  try {
    return await startPostgres()
  } catch (error) {
    out.write(`demo: without SQL: ${error instanceof Error ? error.message : String(error)}\n`)
    return null
  }
}

class Demo {
  readonly #options: DemoOptions
  readonly #folder: string
  readonly #env: NodeJS.ProcessEnv
  readonly #databaseUrl: string | null
  readonly #settings: Settings
  readonly #reader: TopicReader
  readonly #feed: ResultFeed
  readonly #roles: RoleProcess[] = []
  readonly #story: string[] = []
  readonly #screen
  readonly #startedAt = Date.now()
  #killed = 0
  #added = 0
  #firstResultAt: number | null = null

  constructor(options: DemoOptions, folder: string, brokers: string, own: boolean, databaseUrl: string | null) {
    this.#options = options
    this.#databaseUrl = databaseUrl
    this.#screen = createScreen(options.out)
    this.#folder = folder
    // On somebody's broker the demo keeps to topics and groups of its own.
    const names = own ? {} : demoNames(`demo-${process.pid}-${Date.now().toString(36)}`)
    const { DATABASE_URL: _, DATABASE_URL_FILE: __, ...env } = options.env
    const database = databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }
    this.#env = { ...env, ...DEMO_SETTINGS, ...names, ...database, KAFKA_BROKERS: brokers }
    this.#settings = loadSettings(this.#env, () => '')
    this.#reader = createTopicReader(createKafka(this.#settings.kafka, () => {}))
    this.#feed = new ResultFeed(
      this.#reader,
      topicName(this.#settings, 'results'),
      topicName(this.#settings, 'deviceStats'),
    )
  }

  async run(): Promise<DemoOutcome> {
    const topics = this.#start('topics', ['topics'])
    if ((await topics.exited) !== 0) throw this.#failed(topics)
    this.#start('reducer', ['reduce'])
    if (this.#databaseUrl !== null) this.#start('sink', ['sink'])
    const first = this.#start('aggregator-1', ['aggregate'])
    this.#start('aggregator-2', ['aggregate'])
    this.#start('aggregator-3', ['aggregate'])
    const ledgerFile = join(this.#folder, 'ledger.json')
    const { events, seconds } = this.#options
    const rate = String(Math.ceil(events / seconds))
    const generator = this.#start('generator', [
      ...['generate', '--events', String(events), '--rate', rate, '--too-large', TOO_LARGE_SHARE],
      ...['--ledger', ledgerFile, '--ledger-every', '1s'],
    ])
    await this.#watch(generator, first, ledgerFile)
    if ((await generator.exited) !== 0) throw this.#failed(generator)
    const ledger = await this.#ledger(ledgerFile)
    if (ledger === null) throw new TidemarkError('crashed', 'the generator has left no ledger')
    this.#tell('the generator is done; waiting for the last windows to turn final')
    await this.#untilFinal(ledger, ledgerFile)
    const outcome = await this.#audited(await this.#verdict(ledger))
    if (this.#options.keep) await this.#hold()
    return outcome
  }

  /** Ends every role that still runs, first by asking. */
  async end(): Promise<void> {
    for (const role of this.#roles) if (role.running) role.kill('SIGTERM')
    const all = Promise.allSettled(this.#roles.map(role => role.exited))
    await Promise.race([all, sleep(END_LIMIT_MS, undefined, { ref: false })])
    for (const role of this.#roles) if (role.running) role.kill('SIGKILL')
    await all
    await this.#reader.close()
  }

  /** Shows the numbers while the generator runs, and makes trouble on the way. */
  async #watch(generator: RoleProcess, victim: RoleProcess, ledgerFile: string): Promise<void> {
    while (generator.running) {
      this.#checkAlive()
      const produced = (await this.#ledger(ledgerFile))?.acknowledged ?? 0
      if (this.#killed === 0 && produced >= this.#options.events * KILL_AT) {
        this.#killed++
        victim.kill('SIGKILL')
        this.#tell(`killed ${victim.name} (SIGKILL); the others take over after its session timeout`)
      }
      if (this.#added === 0 && produced >= this.#options.events * ADD_AT) {
        this.#added = 2
        this.#start('aggregator-4', ['aggregate'])
        this.#start('aggregator-5', ['aggregate'])
        this.#tell('added aggregator-4 and aggregator-5')
      }
      await this.#show(produced)
      await Promise.race([generator.exited, sleep(POLL_MS)])
    }
  }

  async #untilFinal(ledger: LedgerContent, ledgerFile: string): Promise<void> {
    const deadline = Date.now() + FINAL_LIMIT_MS
    const open = () =>
      Object.keys(ledger.windows).filter(
        key => (this.#feed.table.byKey.get(key)?.status ?? 'provisional') === 'provisional',
      )
    while (open().length > 0 && Date.now() < deadline) {
      this.#checkAlive()
      await this.#show((await this.#ledger(ledgerFile))?.acknowledged ?? 0)
      await sleep(POLL_MS)
    }
    for (const key of open()) this.#tell(`${key} did not turn final within ${FINAL_LIMIT_MS / 1000} s`)
  }

  async #verdict(ledger: LedgerContent): Promise<Judged> {
    const recount = await recountTopic(this.#reader, topicName(this.#settings, 'source'), this.#settings)
    const progress = await lastProgress(this.#reader, topicName(this.#settings, 'partials'))
    await this.#feed.poll()
    const verdict = judge(recount, this.#feed.table)
    this.#tell('every window is compared; now each event, in the enriched topic and among the dead letters')
    await this.#show(ledger.acknowledged)
    const { enriched, deadLetters, ...outputs } = await judgeOutputsOf(this.#reader, this.#settings)
    const unfinished = verdict.windows - verdict.final
    const more = [
      ...compareLedger(ledger, recount),
      ...compareTotals(recount, progress),
      ...(unfinished > 0 ? [`${unfinished} windows are not final`] : []),
      ...(this.#killed === 0 || this.#added === 0 ? ['the run was too short to kill and add aggregators'] : []),
    ]
    return {
      ...verdict,
      differences: [...verdict.differences, ...more, ...outputs.differences],
      differenceCount: verdict.differenceCount + more.length + outputs.differenceCount,
      delivery: this.#settings.delivery,
      enriched,
      deadLetters,
      produced: ledger.acknowledged,
      killed: this.#killed,
      added: this.#added,
      seconds: (Date.now() - this.#startedAt) / 1000,
      secondsToFirstResult: ((this.#firstResultAt ?? Date.now()) - this.#startedAt) / 1000,
    }
  }

  /** Says what the numbers tell, and has some of them counted again by the command that operators have. */
  async #audited(judged: Judged): Promise<DemoOutcome> {
    const { out } = this.#options
    for (const line of insightsText(this.#settings, this.#feed.table.byKey)) out.write(`${line}\n`)
    const sql = this.#databaseUrl === null ? null : await compareSql(this.#databaseUrl, this.#feed.table.byKey)
    const source = sql === null ? [] : ['--from', 'sql']
    const audit = this.#start('audit', ['audit', '--random', String(AUDITED_WINDOWS), ...source])
    const code = await audit.exited
    const output = (await readFile(this.#logFile('audit'), 'utf8')).trimEnd()
    const [, equal = '0', audited = '0'] = /^(\d+) of (\d+) equal/m.exec(output) ?? []
    if (sql !== null) out.write(`SQL: ${sql.windows} windows\n`)
    out.write(`audit: ${equal} of ${audited} equal\n`)
    const faults = [...(sql?.differences ?? []), ...(code === 0 ? [] : [`audit: exit ${code}: ${output}`])]
    return {
      ...judged,
      sqlWindows: sql?.windows ?? 0,
      audited: Number(audited),
      auditedEqual: Number(equal),
      differences: [...judged.differences, ...faults],
      differenceCount: judged.differenceCount + faults.length,
    }
  }

  async #show(produced: number): Promise<void> {
    await this.#feed.poll()
    // Longer windows count the same events again.
    const { size } = kindsOf(this.#settings)[0] as WindowKind
    const results = [...this.#feed.table.byKey.values()].filter(({ window }) => window.size === size)
    if (results.length > 0) this.#firstResultAt ??= Date.now()
    const roles = this.#roles
      .filter(({ name }) => name !== 'topics')
      .map(role => ({ name: role.name, state: role.running ? 'running' : 'ended' }))
    this.#screen({
      elapsedSeconds: (Date.now() - this.#startedAt) / 1000,
      produced,
      roles,
      results,
      story: this.#story,
    })
  }

  async #hold(): Promise<void> {
    const { signal, out } = this.#options
    out.write(`demo: kept running; KAFKA_BROKERS=${this.#settings.kafka.brokers.join(',')}; Ctrl-C ends it\n`)
    if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
  }

  #start(name: string, args: readonly string[]): RoleProcess {
    const role = startRole({ name, args, env: this.#env, logFile: this.#logFile(name) })
    this.#roles.push(role)
    return role
  }

  #tell(line: string): void {
    this.#story.push(`${((Date.now() - this.#startedAt) / 1000).toFixed(1)} s  ${line}`)
  }

  /** Only the one that is killed on purpose, and those whose work is done, may have ended. */
  #checkAlive(): void {
    if (this.#options.signal.aborted) throw new TidemarkError('usage', 'interrupted')
    const ended = this.#roles.find(
      ({ name, running }) => !running && !['topics', 'generator', 'aggregator-1'].includes(name),
    )
    if (ended !== undefined) throw this.#failed(ended)
  }

  #failed(role: RoleProcess): TidemarkError {
    return new TidemarkError('crashed', `${role.name} has ended early; its log: ${this.#logFile(role.name)}`)
  }

  #logFile(name: string): string {
    return join(this.#folder, `${name}.log`)
  }

  async #ledger(file: string): Promise<LedgerContent | null> {
    try {
      return JSON.parse(await readFile(file, 'utf8')) as LedgerContent
    } catch {
      return null
    }
  }
}

function demoNames(prefix: string): Record<string, string> {
  return {
    CONSUMER_GROUP: prefix,
    SOURCE_TOPIC: `${prefix}-user-login`,
    ENRICHED_TOPIC: `${prefix}-processed-user-login`,
    DLQ_TOPIC: `${prefix}-user-login-dlq`,
    PARTIALS_TOPIC: `${prefix}-login-partials`,
    RESULTS_TOPIC: `${prefix}-aggregated-usage`,
    DEVICE_STATS_TOPIC: `${prefix}-user-device-stats`,
  }
}
