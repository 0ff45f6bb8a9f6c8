import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { recountTopic } from '../../../src/dev/demo/resultFeed.ts'
import { createRecount, type Recount, type RecountResult } from '../../../src/dev/recount.ts'
import { groupName } from '../../../src/kafka/names.ts'
import { type AggregateCommit, decodeAggregateCommit } from '../../../src/tasks/aggregateCommit.ts'
import { windowSizeText } from '../../../src/windows/windows.ts'
import { deleteRecords, resetOffsetsToEarliest } from './support/kafkaTools.ts'
import { recountOf } from './support/ledgers.ts'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'

const file = scenarioFile('log')

type Range = readonly [from: number, to: number]

file.scenario(
  'offsets reset by an operator: refused; rewound into generation 2: totals equal in its topic',
  async () => {
    const { brokers } = file.kafka
    await withPipeline(file.kafka, 'reset', { aggregators: 1 }, async first => {
      await first.generate('--rate', '0', '--events', '60000').ledger
      expect(await first.differences()).toEqual([])
      const [group, source] = [groupName(first.settings, 'aggregate'), first.topic('source')]
      const told = await first.reader.readLogRanges(first.topic('partials'))

      await resetOffsetsToEarliest(brokers, group, source)
      const refused = await first.run(['aggregate'])
      expect(refused.output).toContain('tidemark topics rewind')
      expect(refused.code).toBe(3)
      expect(await first.reader.readLogRanges(first.topic('partials')), 'nothing is told').toEqual(told)
      expect(await first.reader.readCommit(group, source, 0)).toEqual({ offset: 0, metadata: '' })

      const rewound = await first.run(['topics', 'rewind', '--to', 'earliest'])
      expect(rewound.output).toContain('STREAM_GENERATION=2')
      expect(rewound.code).toBe(0)
      const settings = { STREAM_GENERATION: '2' }
      await withPipeline(file.kafka, 'reset', { aggregators: 2, settings }, async second => {
        expect(second.topic('results')).toBe(`${first.topic('results')}-g2`)
        const recount = await recountTopic(second.reader, source, second.settings)
        expect(await second.differences(recount)).toEqual([])
      })
    })
  },
)

file.scenario('the log start moved past what would be read again, not past the commit: totals equal', async () => {
  // At least once, a kill between a partial and its commit would leave a range that the next owner counts again when it
  // cannot read back; the result then says so (exact: false).
  const settings = { DELIVERY: 'exactly-once' }
  await withPipeline(file.kafka, 'trimmed', { aggregators: 2, settings }, async pipeline => {
    const generating = pipeline.generate('--rate', '6000', '--seconds', '11')
    await sleep(4_000)
    await Promise.all(pipeline.running('aggregate').map(role => role.kill()))
    const commits = await commitsOf(pipeline)
    // Halfway into what the next owner would read again, or all of it.
    const starts = commits.map(({ replayFrom, offset }, p) =>
      p % 2 === 0 ? Math.ceil((replayFrom + offset) / 2) : offset,
    )
    for (const [p, { replayFrom }] of commits.entries()) expect(replayFrom).toBeLessThan(starts[p] as number)
    await deleteRecords(file.kafka.brokers, pipeline.topic('source'), new Map(starts.entries()))
    for (const _ of [1, 2]) pipeline.add('aggregate')
    expect(await pipeline.differences(recountOf(await generating.ledger))).toEqual([])
  })
})

file.scenario('the log start moved past the commit: what is lost is named, all else equal', async () => {
  // Without room for clocks ahead, the loss is known to touch few windows.
  const settings = { MAX_FUTURE_SKEW: '1s' }
  await withPipeline(file.kafka, 'lost', { aggregators: 2, settings }, async pipeline => {
    const source = pipeline.topic('source')
    // Nothing is late, so that an event counts for the same window whichever came before it.
    const flags = ['--rate', '5000', '--seconds', '27', '--late', '0', '--jitter', '1s']
    const generating = pipeline.generate(...flags)
    await sleep(7_000)
    await Promise.all(pipeline.running('aggregate').map(role => role.leave()))
    await sleep(1_000)
    const commits = await commitsOf(pipeline)
    const ends = await pipeline.reader.readLogRanges(source)
    // Partitions 3 to 5 lose nothing.
    const lost = new Map(
      commits.slice(0, 3).map(({ offset }, p) => [p, [offset, Math.ceil((offset + (ends[p]?.end ?? 0)) / 2)] as const]),
    )
    for (const [from, to] of lost.values()) expect(to).toBeGreaterThan(from)
    const counter = new LossCounter(pipeline, lost)
    await counter.read()
    await deleteRecords(file.kafka.brokers, source, new Map([...lost].map(([p, [, to]]) => [p, to])))
    for (const _ of [1, 2]) pipeline.add('aggregate')
    await generating.ledger
    await counter.read()

    const marks = (await pipeline.differences(counter.kept.result())).filter(line => !line.startsWith('logs: '))
    const inexact = 'the result says that it is not exact'
    expect(marks.filter(line => !line.endsWith(inexact))).toEqual([])
    await checkGaps(pipeline, lost, counter.lost.result())
  })
})

/** Counts a source topic while it is there: the records in the given ranges apart from the others. */
class LossCounter {
  readonly kept: Recount
  readonly lost: Recount
  readonly #pipeline: Pipeline
  readonly #ranges: ReadonlyMap<number, Range>
  readonly #next = new Map<number, number>()

  constructor(pipeline: Pipeline, ranges: ReadonlyMap<number, Range>) {
    this.#pipeline = pipeline
    this.#ranges = ranges
    this.kept = createRecount(pipeline.settings)
    this.lost = createRecount(pipeline.settings)
  }

  /** Reads on to the present end. */
  async read(): Promise<void> {
    await this.#pipeline.reader.readAll({
      topic: this.#pipeline.topic('source'),
      readCommitted: true,
      fromOffsets: this.#next,
      onMessage: message => {
        const { partition, offset } = message
        this.#next.set(partition, offset + 1)
        const [from, to] = this.#ranges.get(partition) ?? [0, 0]
        const recount = offset >= from && offset < to ? this.lost : this.kept
        recount.add(message)
      },
    })
  }
}

/** Every window that lost events says so and where; before and after the loss there are windows that vouch for all. */
async function checkGaps(pipeline: Pipeline, lost: ReadonlyMap<number, Range>, recount: RecountResult): Promise<void> {
  const { byKey } = await pipeline.results()
  for (const key of Object.keys(recount.windows)) {
    const result = byKey.get(key)
    // A window all of whose events are lost has no result.
    if (result === undefined) continue
    expect(result.exact, `${key} has lost events`).toBe(false)
  }
  const base = [...byKey].filter(([, { window }]) => window.size === windowSizeText(pipeline.settings.windowSizeMs))
  const exact: boolean[] = []
  for (const [key, result] of base.sort(([a], [b]) => (a < b ? -1 : 1))) {
    exact.push(result.exact)
    const covered = Object.entries(result.coverage).filter(([, coverage]) => coverage.gaps !== undefined)
    expect(covered.length > 0, `${key}: exact and gaps agree`).toBe(!result.exact)
    for (const [p, { gaps }] of covered) expect(gaps, `${key}, partition ${p}`).toEqual([lost.get(Number(p))])
  }
  const marks = exact.map(each => (each ? '=' : 'x')).join('')
  console.log(`windows in order, x where events may be lost: ${marks}`)
  expect(marks).toMatch(/^=+x+=+$/)
}

/** The aggregators' last statement about each partition. */
async function commitsOf({ reader, settings }: Pipeline): Promise<readonly AggregateCommit[]> {
  const group = groupName(settings, 'aggregate')
  const partitions = Array.from({ length: settings.topics.sourcePartitions }, (_, partition) => partition)
  return await Promise.all(
    partitions.map(async partition => {
      const commit = await reader.readCommit(group, settings.topics.source, partition)
      if (commit === null) throw new Error(`partition ${partition} has no commit`)
      return decodeAggregateCommit(commit)
    }),
  )
}
