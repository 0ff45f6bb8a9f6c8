import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, vi } from 'vitest'
import { groupName } from '../../../src/kafka/names.ts'
import type { Commit } from '../../../src/tasks/task.ts'
import { restoreCommits } from './support/kafkaState.ts'
import { listGroups, makeTopicAnew } from './support/kafkaTools.ts'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'

const file = scenarioFile('bad input')
const NO_ROLES = { aggregators: 0, reducers: 0 }
/** The answer is given up after 5 s; the rest is the start of a process on a busy machine. */
const UNREACHABLE_LIMIT_S = 10

file.scenario('an unreachable broker: exit 3 within 10 s, naming it', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const silentBroker = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  try {
    await withPipeline(file.kafka, 'unreachable', NO_ROLES, async pipeline => {
      for (const brokers of ['127.0.0.1:1', silentBroker]) {
        const roles = ['aggregate', 'reduce', 'generate'].map(role => pipeline.run([role], { KAFKA_BROKERS: brokers }))
        for (const { code, output, seconds } of await Promise.all(roles)) {
          expect(output).toContain(`no Kafka broker can be reached at ${brokers} (KAFKA_BROKERS)`)
          expect(code).toBe(3)
          expect(seconds).toBeLessThan(UNREACHABLE_LIMIT_S)
        }
      }
    })
  } finally {
    silent.close()
  }
})

const REFUSED: readonly [what: string, setting: Readonly<Record<string, string>>, code: number, says: RegExp][] = [
  ['an unknown source topic', { SOURCE_TOPIC: 'nowhere' }, 3, /topic nowhere does not exist; run 'tidemark topics'/],
  ['an unknown partials topic', { PARTIALS_TOPIC: 'nowhere' }, 3, /topic nowhere does not exist/],
  ['another partials count', { PARTIALS_PARTITIONS: '3' }, 3, /has 2 partitions, planned are 3.*topics rewind/],
  ['a window that divides no minute', { WINDOW_SIZE: '7s' }, 2, /WINDOW_SIZE.*7s/],
  ['an unknown delivery', { DELIVERY: 'perhaps' }, 2, /DELIVERY.*perhaps.*exactly-once.*at-least-once/],
]

file.scenario(
  'topics and settings that cannot be: exit 3 or 2, the cause, nothing written, no group joined',
  async () => {
    await withPipeline(file.kafka, 'refused', NO_ROLES, async pipeline => {
      for (const [what, setting, code, says] of REFUSED) {
        const ended = await Promise.all(['aggregate', 'reduce'].map(role => pipeline.run([role], setting)))
        for (const { code: is, output } of ended) {
          expect(output, what).toMatch(says)
          expect(is, what).toBe(code)
        }
      }
      expect(await endsOf(pipeline)).toEqual([0, 0, 0, 0])
      const groups = await listGroups(file.kafka.brokers)
      expect(groups).not.toContain(groupName(pipeline.settings, 'aggregate'))
      expect(groups).not.toContain(groupName(pipeline.settings, 'reduce'))
    })
  },
)

file.scenario('a changed WINDOW_SIZE, or a source topic made anew: exit 3, the way on, nothing written', async () => {
  await withPipeline(file.kafka, 'changed', { aggregators: 1 }, async pipeline => {
    await pipeline.generate('--rate', '0', '--events', '20000').ledger
    expect(await pipeline.differences()).toEqual([])
    const before = await endsOf(pipeline)

    const roles = ['aggregate', 'reduce'].map(role => pipeline.run([role], { WINDOW_SIZE: '1s' }))
    for (const { code, output } of await Promise.all(roles)) {
      expect(output).toMatch(/committed by settings with the hash.*Put the setting back.*tidemark topics rewind/)
      expect(code).toBe(3)
    }
    expect(await endsOf(pipeline)).toEqual(before)

    const [group, source] = [groupName(pipeline.settings, 'aggregate'), pipeline.topic('source')]
    const partitions = Array.from({ length: 6 }, (_, partition) => partition)
    const commits = await Promise.all(partitions.map(partition => pipeline.reader.readCommit(group, source, partition)))
    await makeTopicAnew(file.kafka.brokers, source, 6)
    // Kafka forgets the commits together with the topic; a log that was only cut keeps them.
    const forgotten = await pipeline.run(['aggregate'])
    expect(forgotten.output).toMatch(/has no commit for any partition.*tidemark topics rewind/)
    expect(forgotten.code).toBe(3)
    const restore = () => restoreCommits(pipeline.settings.kafka, group, source, commits as Commit[])
    // Refused while the group still counts the process that has just ended.
    await vi.waitFor(restore, { timeout: 30_000, interval: 500 })
    const { code, output } = await pipeline.run(['aggregate'])
    expect(output).toMatch(/the committed offset \d+ lies beyond the log's end 0.*tidemark topics rewind --to earliest/)
    expect(code).toBe(3)
    expect((await endsOf(pipeline)).slice(1)).toEqual(before.slice(1))
  })
})

file.scenario(
  'undecodable events in bulk: each counted by its code, none stops a partition, none is logged',
  async () => {
    await withPipeline(file.kafka, 'undecodable', { aggregators: 2 }, async pipeline => {
      const startedAt = Date.now()
      const flags = ['--rate', '15000', '--events', '80000', '--broken-json', '0.2', '--not-utf8', '0.05']
      const { partitions } = await pipeline.generate(...flags).ledger
      const secretKeys = await keysOf(pipeline, 2_000)
      expect(await pipeline.differences()).toEqual([])

      const rejected = (code: string) =>
        Object.values(partitions).reduce((sum, partition) => sum + (partition.rejected[code] ?? 0), 0)
      expect(rejected('not_json') + rejected('not_an_object')).toBeGreaterThan(12_000)
      expect(rejected('not_utf8')).toBeGreaterThan(3_000)
      const seconds = (Date.now() - startedAt) / 1000
      const aggregators = pipeline.roles.filter(role => role.stage === 'aggregate')
      for (const role of aggregators) {
        const lines = role.linesOf('rejected')
        expect(lines.length).toBeGreaterThan(0)
        expect(lines.length, 'one line a second at most').toBeLessThan(seconds + 2)
        for (const line of lines) expect(Object.keys(line).filter(key => !LOGGED.has(key))).toEqual([])
        const text = JSON.stringify(role.lines)
        expect(secretKeys.filter(key => text.includes(key))).toEqual([])
        expect(text).not.toMatch(/"(user_id|device_id|app_version|locale)"/)
      }
      console.log(`${rejected('not_json')} not_json, ${rejected('not_utf8')} not_utf8 in ${seconds.toFixed(0)} s`)
    })
  },
)

/** All that a line about a rejected event may hold: no field for a part of its value. */
const LOGGED = new Set(['level', 'time', 'role', 'event', 'at_partition', 'offset', 'code', 'suppressed'])

/** How many records source, dead letters, partials and results hold. */
async function endsOf(pipeline: Pipeline): Promise<number[]> {
  const roles = ['source', 'deadLetters', 'partials', 'results'] as const
  const ranges = await Promise.all(roles.map(role => pipeline.reader.readLogRanges(pipeline.topic(role))))
  return ranges.map(each => each.reduce((sum, { end }) => sum + end, 0))
}

/** User ids of the first records of the source topic. */
async function keysOf(pipeline: Pipeline, count: number): Promise<string[]> {
  const keys = new Set<string>()
  const onMessage = ({ key }: { readonly key: Buffer | null }) => {
    if (key !== null && keys.size < count) keys.add(String(key))
  }
  await pipeline.reader.readAll({ topic: pipeline.topic('source'), readCommitted: true, onMessage })
  return [...keys]
}
