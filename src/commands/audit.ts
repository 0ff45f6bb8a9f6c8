import { type Audited, type Auditor, auditResults, type LogRanges, missingOf } from '../audit/audit.ts'
import { chooseWindows } from '../audit/choose.ts'
import { type AuditOptions, defineAudit, parseAuditOptions } from '../audit/options.ts'
import { auditJson, auditText, verdictOf } from '../audit/print.ts'
import { openSqlQuery } from '../audit/sql.ts'
import { loadDeviceStats, resultsInSql, resultsInTopic, type StoredResults } from '../audit/stored.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { EXIT, TidemarkError } from '../errors.ts'
import { createTopicReader, type TopicReader } from '../kafka/admin.ts'
import { checkReachable, createKafka } from '../kafka/client.ts'
import { topicName } from '../kafka/names.ts'
import { openGeo } from '../lookups/geo.ts'
import { compareStanding, type DeviceStats } from '../results/result.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { flushed, say } from './dlq/output.ts'

const RETRIES = 8
/** Results that are held at the same time. */
const RESULTS_AT_ONCE = 2_000

/** `tidemark audit`: counts windows again from the source topic, and compares. */
export const command: CommandFile = {
  define: defineAudit,
  run: async (context, given) => {
    const settings = loadSettings(context.env, context.readFile)
    const options = parseAuditOptions(given, settings, Math.floor(Math.random() * 1_000_000))
    const query = options.from === 'sql' ? await openSqlQuery(settings) : null
    // What goes wrong is said by the errors; kafkajs's own lines would come before them.
    await checkReachable(settings.kafka, () => {})
    const reader = createTopicReader(createKafka(settings.kafka, () => {}, { retries: RETRIES }))
    const geo = await openGeo({ file: settings.enriched.geoDatabase })
    try {
      await checkTopics(reader, settings, options)
      const stored = query === null ? resultsInTopic(reader, topicName(settings, 'results')) : resultsInSql(query.run)
      return await new Audit(context, options, settings, reader, stored, geo.lookup).run()
    } finally {
      geo.close()
      await Promise.all([reader.close(), query?.close()])
      await Promise.all([flushed(context.stdout), flushed(context.stderr)])
    }
  },
}

async function checkTopics(reader: TopicReader, settings: Settings, { from }: AuditOptions): Promise<void> {
  for (const role of ['source', ...(from === 'topic' ? (['results'] as const) : [])] as const) {
    const topic = topicName(settings, role)
    if ((await reader.partitionCount(topic)) === null) {
      throw new TidemarkError('refused_topic', `there is no topic ${topic}: nothing can be audited`)
    }
  }
}

class Audit {
  readonly #context: CommandContext
  readonly #options: AuditOptions
  readonly #settings: Settings
  readonly #reader: TopicReader
  readonly #stored: StoredResults
  readonly #auditor: Auditor
  readonly #counts = { equal: 0, different: 0, unreachable: 0 }

  constructor(
    context: CommandContext,
    options: AuditOptions,
    settings: Settings,
    reader: TopicReader,
    stored: StoredResults,
    placeOf: Auditor['placeOf'],
  ) {
    this.#context = context
    this.#options = options
    this.#settings = settings
    this.#reader = reader
    this.#stored = stored
    const sourceTopic = topicName(settings, 'source')
    const logsNow = (): Promise<LogRanges> => reader.readLogRanges(sourceTopic)
    this.#auditor = { reader, sourceTopic, rules: settings, placeOf, logsNow }
  }

  async run(): Promise<number> {
    const logs = await this.#auditor.logsNow()
    const entries = await this.#stored.list(result => missingOf(result, logs).length === 0)
    const { keys, note } = chooseWindows(entries, this.#options)
    if (note !== null) this.#context.stderr.write(`${note}\n`)
    for (let i = 0; i < keys.length; i += RESULTS_AT_ONCE) await this.#auditSome(keys.slice(i, i + RESULTS_AT_ONCE))
    return await this.#conclude()
  }

  /** A result that differs is looked at once more when a newer one has come meanwhile. */
  async #auditSome(keys: readonly string[]): Promise<void> {
    const doubtful: Audited[] = []
    await this.#auditKeys(new Set(keys), async audited => {
      if (verdictOf(audited) === 'different') doubtful.push(audited)
      else await this.#tell(audited)
    })
    if (doubtful.length === 0) return
    const newer = await this.#stored.load(new Set(doubtful.map(({ key }) => key)))
    const renewed = new Set<string>()
    for (const audited of doubtful) {
      const now = newer.get(audited.key)
      if (now !== undefined && compareStanding(now, audited.result) > 0) renewed.add(audited.key)
      else await this.#tell(audited)
    }
    if (renewed.size > 0) await this.#auditKeys(renewed, audited => this.#tell(audited))
  }

  async #auditKeys(keys: ReadonlySet<string>, onAudited: (audited: Audited) => Promise<void>): Promise<void> {
    const results = await this.#stored.load(keys)
    const deviceStats = await this.#deviceStats(keys)
    await auditResults(this.#auditor, [...results.values()], deviceStats, onAudited)
  }

  async #deviceStats(keys: ReadonlySet<string>): Promise<Map<string, DeviceStats>> {
    const topic = topicName(this.#settings, 'deviceStats')
    if ((await this.#reader.partitionCount(topic)) === null) return new Map()
    return await loadDeviceStats(this.#reader, topic, keys)
  }

  async #tell(audited: Audited): Promise<void> {
    this.#counts[verdictOf(audited)]++
    await say(this.#context.stdout, this.#options.json ? `${auditJson(audited)}\n` : auditText(audited))
  }

  async #conclude(): Promise<number> {
    const { equal, different, unreachable } = this.#counts
    const audited = equal + different + unreachable
    const { choice, json } = this.#options
    if (json) {
      const seed = choice.kind === 'random' ? { seed: choice.seed } : {}
      await say(this.#context.stdout, `${JSON.stringify({ audited, equal, different, unreachable, ...seed })}\n`)
    } else {
      const beyond = unreachable > 0 ? `, ${unreachable} that the log no longer holds` : ''
      await say(this.#context.stdout, `${equal} of ${audited} equal${beyond}\n`)
    }
    if (different > 0) return EXIT.failed
    return unreachable > 0 ? EXIT.refused : EXIT.done
  }
}
