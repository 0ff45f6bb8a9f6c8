import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Random } from '../../../src/dev/generator/random.ts'
import { groupName } from '../../../src/kafka/names.ts'
import { countAborted, probeTransactions } from './support/kafkaState.ts'
import { type Generating, type Pipeline, withPipeline } from './support/pipeline.ts'
import { chance, scenarioFile } from './support/scenarios.ts'
import { stopInTransaction } from './support/stopInTransaction.ts'
import type { SupervisedRole } from './support/supervisedRole.ts'

const file = scenarioFile('kill')
const TAKEOVER_LIMIT_MS = 2_000
const KILLS = 5

/** How many processes want each core, 1 to 2: on a machine that others keep busy all takes as many times as long. */
const crowding = () => Math.min(2, Math.max(1, (loadavg()[0] ?? 0) / availableParallelism()))

for (const delivery of ['at-least-once', 'exactly-once']) {
  const moments = delivery === 'exactly-once' ? 'inside a transaction' : 'at random moments of a flush'
  file.concurrent(`aggregators killed ${moments}, ${delivery}: totals equal`, async () => {
    const random = chance(`killed aggregators, ${delivery}`)
    const settings = { DELIVERY: delivery, FLUSH_INTERVAL: '100ms', SESSION_TIMEOUT: '2s' }
    await withPipeline(file.kafka, `kill-${delivery}`, { aggregators: 3, settings }, async pipeline => {
      // A letter in every flush: its partition tells whose transaction is open.
      const generating = pipeline.generate('--rate', '6000', '--seconds', '90', '--broken-json', '0.1')
      const letters = pipeline.topic('deadLetters')
      const probe = await probeTransactions(pipeline.settings.kafka, letters)
      const inTransaction = (role: SupervisedRole) =>
        stopInTransaction(role, () => probe.isOpen(role.partitions), random)
      const stop = delivery === 'exactly-once' ? inTransaction : async () => true
      const kills = await killRepeatedly(pipeline, 'aggregate', generating, random, stop)
      await probe.close()
      await generating.ledger
      expect(await pipeline.differences()).toEqual([])
      const aborted = await countAborted(pipeline.reader, letters)
      console.log(`${delivery}: ${kills} aggregators killed; ${aborted} letters of transactions that they left open`)
      expect(kills).toBe(KILLS)
      if (delivery === 'exactly-once') expect(aborted).toBeGreaterThanOrEqual(3)
    })
  })
}

file.scenario('the reducer killed inside its flush, repeatedly: totals equal, nothing of it is seen', async () => {
  const random = chance('killed reducers')
  const settings = { EMIT_INTERVAL: '20ms', FLUSH_INTERVAL: '50ms', SESSION_TIMEOUT: '2s' }
  await withPipeline(file.kafka, 'kill-reducer', { aggregators: 1, settings }, async pipeline => {
    const generating = pipeline.generate('--rate', '8000', '--seconds', '90')
    const kills = await killRepeatedly(pipeline, 'reduce', generating, random)
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
    const aborted = await countAborted(pipeline.reader, pipeline.topic('results'))
    console.log(`${kills} reducers killed; ${aborted} results of transactions that they left open`)
    expect(kills).toBe(KILLS)
    expect(aborted, 'no kill fell inside a flush').toBeGreaterThan(0)
  })
})

file.scenario('a takeover with a chunk to read again is live within 2 s of the assignment', async () => {
  const partitions = 4
  // All of a large chunk: windows of its first events are still open.
  const times = { WINDOW_SIZE: '1m', ALLOWED_LATENESS: '2m' }
  const settings = { SOURCE_PARTITIONS: String(partitions), CHUNK_SIZE: '65536', ...times }
  await withPipeline(file.kafka, 'takeover', { aggregators: 2, settings }, async pipeline => {
    const { ledger } = pipeline.generate('--rate', '0', '--events', '220000', '--jitter', '1s', '--late', '0')
    const { windows } = await ledger
    await untilCounted(pipeline, windows)
    await untilCommitted(pipeline, 220_000)
    const [victim, heir] = pipeline.running('aggregate') as [SupervisedRole, SupervisedRole]
    const before = heir.lines.length
    await victim.kill()
    await heir.line('live', before)
    await sleep(1_000)
    const limitMs = TAKEOVER_LIMIT_MS * crowding()
    const takenOver = heir.lines.slice(before)
    const replayed = takenOver.filter(line => line.event === 'restored')
    const live = takenOver.filter(line => line.event === 'live').map(line => Number(line.since_assigned_ms))
    const records = replayed.map(line => Number(line.committed) - Number(line.position))
    console.log(
      `takeover: live ${live.join(', ')} ms after the assignment, ${records.join(', ')} records read again (limit ${limitMs.toFixed(0)})`,
    )
    expect(live.length).toBe(partitions / 2)
    expect(Math.min(...records)).toBeGreaterThanOrEqual(50_000)
    expect(Math.max(...live)).toBeLessThan(limitMs)
    await untilCounted(pipeline, windows)
  })
})

/**
 * Kills one after the other, each at a random moment after it went live, and starts another in its place.
 * @param stop chooses the moment more narrowly; false when it has found none
 */
async function killRepeatedly(
  pipeline: Pipeline,
  stage: SupervisedRole['stage'],
  generating: Generating,
  random: Random,
  stop: (victim: SupervisedRole) => Promise<boolean> = async () => true,
): Promise<number> {
  let kills = 0
  while (generating.running && kills < KILLS) {
    const candidates = pipeline.running(stage).filter(role => role.linesOf('live').length > 0)
    const victim = candidates[random.below(candidates.length)]
    await sleep(100 + random.below(500))
    if (victim === undefined || !(await stop(victim))) continue
    await victim.kill()
    kills++
    pipeline.add(stage)
  }
  // Those that came last have something to do, too.
  await sleep(1_000)
  generating.end()
  return kills
}

/** Waits until the aggregators have committed so many records: a result may be there before its commit. */
async function untilCommitted({ reader, settings }: Pipeline, records: number): Promise<void> {
  const group = groupName(settings, 'aggregate')
  const { source, sourcePartitions } = settings.topics
  const committed = async () => {
    const partitions = Array.from({ length: sourcePartitions }, (_, partition) => partition)
    const commits = await Promise.all(partitions.map(partition => reader.readCommit(group, source, partition)))
    return commits.reduce((sum, commit) => sum + (commit?.offset ?? 0), 0)
  }
  await expect.poll(committed, { timeout: 60_000, interval: 200 }).toBe(records)
}

/** Waits until the results, final or not, hold every event. */
async function untilCounted(
  pipeline: Pipeline,
  windows: Readonly<Record<string, { readonly count: number }>>,
): Promise<void> {
  const counted = async () => {
    const { byKey } = await pipeline.results()
    return Object.keys(windows).map(key => byKey.get(key)?.batch_size ?? 0)
  }
  const wanted = Object.values(windows).map(({ count }) => count)
  await expect.poll(counted, { timeout: 60_000, interval: 200 }).toEqual(wanted)
}
