import { setTimeout as sleep } from 'node:timers/promises'
import type { Settings } from '../../../src/config/settings.ts'
import { judgeOutputsOf } from '../../../src/dev/demo/outputVerdict.ts'
import { lastProgress, ResultFeed } from '../../../src/dev/demo/resultFeed.ts'
import type { RecountResult } from '../../../src/dev/recount.ts'
import { createResultRecount } from '../../../src/dev/recountResults.ts'
import { compareTotals, judge, type Verdict } from '../../../src/dev/verdict.ts'
import { createTopicReader, type TopicReader } from '../../../src/kafka/admin.ts'
import { createKafka } from '../../../src/kafka/client.ts'
import { topicName } from '../../../src/kafka/names.ts'
import { lastHeader } from '../../../src/kafka/readAll.ts'
import { type Geo, openGeo } from '../../../src/lookups/geo.ts'
import { faultsOfResultLog } from '../../kafka/scenarios/support/kafkaState.ts'

export type Totals = { readonly produced: number; readonly lag: number; readonly counted: number }

/** What is in the log, against what is in the results. */
export type Judgement = { readonly verdict: Verdict; readonly records: number; readonly differences: readonly string[] }

const SETTLE_LIMIT_MS = 90_000
const POLL_MS = 1_000

/** The topics as seen from beside the cluster. The log is recounted as it grows, each record once. */
export class Log {
  readonly settings: Settings
  readonly #reader: TopicReader
  readonly #feed: ResultFeed
  readonly #geo: Geo
  readonly #recount
  readonly #next = new Map<number, number>()

  private constructor(settings: Settings, geo: Geo) {
    this.settings = settings
    this.#reader = createTopicReader(createKafka(settings.kafka, () => {}))
    this.#feed = new ResultFeed(this.#reader, topicName(settings, 'results'), topicName(settings, 'deviceStats'))
    this.#geo = geo
    this.#recount = createResultRecount(settings, geo.lookup)
  }

  static async open(settings: Settings): Promise<Log> {
    return new Log(settings, await openGeo({ file: settings.enriched.geoDatabase }))
  }

  /** Whether `tidemark topics` has made all topics; the last of them is asked for. */
  async hasTopics(): Promise<boolean> {
    const counts = (['source', 'results', 'deviceStats'] as const).map(role =>
      this.#reader.partitionCount(topicName(this.settings, role)),
    )
    return (await Promise.all(counts)).every(count => count !== null)
  }

  async totals(): Promise<Totals> {
    const topic = topicName(this.settings, 'source')
    const group = `${this.settings.consumerGroup}-aggregate`
    const logs = await this.#reader.readLogRanges(topic)
    const commits = await Promise.all(logs.map((_, p) => this.#reader.readCommit(group, topic, p)))
    await this.#feed.poll()
    const lags = logs.map(({ start, end }, p) => end - (commits[p]?.offset ?? start))
    return {
      produced: sum(logs.map(({ start, end }) => end - start)),
      lag: sum(lags),
      counted: sum(
        [...this.#feed.table.byKey].filter(([key]) => this.#isBase(key)).map(([, { batch_size }]) => batch_size),
      ),
    }
  }

  /** The events in results at this moment, of all sizes. */
  async results(): Promise<number> {
    await this.#feed.poll()
    return this.#feed.table.byKey.size
  }

  /** Waits until every window is final and complete, not for ever, and says what is not as it must be. */
  async judge(): Promise<Judgement> {
    const source = topicName(this.settings, 'source')
    await this.#reader.readAll({
      topic: source,
      readCommitted: true,
      fromOffsets: this.#next,
      onMessage: message => {
        this.#next.set(message.partition, message.offset + 1)
        this.#recount.add(message)
      },
    })
    const wanted = this.#recount.result()
    await this.#settle(wanted)
    const verdict = judge(wanted, this.#feed.table)
    const open = verdict.windows - verdict.final
    const differences = [
      ...verdict.differences,
      ...(open > 0 ? [`${open} windows are not final`] : []),
      ...(await this.#totalsTold(wanted)),
      ...(await faultsOfResultLog(this.#reader, topicName(this.settings, 'results'))),
      ...(await this.#latePartials()),
    ]
    return { verdict, records: sum(Object.values(wanted.partitions).map(({ records }) => records)), differences }
  }

  /** Every record of the source topic against the enriched topic and the dead letters. */
  async judgeOutputs(): Promise<{ readonly text: string; readonly differences: readonly string[] }> {
    const { enriched, deadLetters, differences, differenceCount } = await judgeOutputsOf(this.#reader, this.settings)
    const more = differenceCount - differences.length
    return {
      text: `${enriched?.found ?? 0} enriched, ${deadLetters.found} dead letters`,
      differences: more > 0 ? [...differences, `${more} more differences of events`] : differences,
    }
  }

  async close(): Promise<void> {
    this.#geo.close()
    await this.#reader.close()
  }

  async #settle({ windows }: RecountResult): Promise<void> {
    const deadline = Date.now() + SETTLE_LIMIT_MS
    const isSettled = ([key, { count }]: readonly [string, { readonly count: number }]) => {
      const result = this.#feed.table.byKey.get(key)
      return result !== undefined && result.status !== 'provisional' && result.batch_size === count
    }
    for (;;) {
      await this.#feed.poll()
      if (Object.entries(windows).every(isSettled) || Date.now() > deadline) return
      await sleep(POLL_MS)
    }
  }

  /** Partitions tell of themselves a moment after their last event. */
  async #totalsTold(wanted: RecountResult): Promise<string[]> {
    const deadline = Date.now() + SETTLE_LIMIT_MS / 6
    for (;;) {
      const progress = await lastProgress(this.#reader, topicName(this.settings, 'partials'))
      const differences = compareTotals(wanted, progress)
      if (differences.length === 0 || Date.now() > deadline) return differences
      await sleep(POLL_MS)
    }
  }

  /** Partials that came when their windows were forgotten: what they claim is in no result. */
  async #latePartials(): Promise<string[]> {
    let count = 0
    await this.#reader.readAll({
      topic: topicName(this.settings, 'deadLetters'),
      readCommitted: true,
      onMessage: ({ headers }) => {
        if (lastHeader(headers, 'error.code') === 'partial_too_late') count++
      },
    })
    return count > 0 ? [`${count} partials came too late`] : []
  }

  #isBase(key: string): boolean {
    return key.startsWith(`${this.settings.windowSizeMs / 1000}s/`)
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
