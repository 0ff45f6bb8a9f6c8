import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { recountTopic } from '../../../src/dev/demo/resultFeed.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { addPartitions } from './support/kafkaTools.ts'
import { withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'
import type { SupervisedRole } from './support/supervisedRole.ts'

const file = scenarioFile('scale')

file.scenario('1 -> 6 -> 1 aggregators under load: totals equal, those that leave exit with 0', async () => {
  await withPipeline(file.kafka, 'scale', { aggregators: 1 }, async pipeline => {
    const generating = pipeline.generate('--rate', '10000', '--seconds', '13')
    await sleep(2_000)
    const added = Array.from({ length: 5 }, () => pipeline.add('aggregate'))
    // With six partitions and six aggregators each gets one.
    await Promise.all(added.map(role => role.line('live')))
    expect(generating.running, 'all six work while events come').toBe(true)
    const [first, ...others] = pipeline.running('aggregate') as [SupervisedRole, ...SupervisedRole[]]
    for (const role of [first, ...others.slice(0, 2)]) expect(await role.leave()).toBe(0)
    expect(await Promise.all(others.slice(2, 4).map(role => role.leave()))).toEqual([0, 0])
    expect(pipeline.running('aggregate').length).toBe(1)
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
  })
})

file.scenario('a rate cap holds an aggregator back, a probe waits its turn, and nothing is lost', async () => {
  await withPipeline(file.kafka, 'paced', { aggregators: 0 }, async pipeline => {
    const [port] = (await freePorts(1, '127.0.0.1')) as [number]
    const aggregator = pipeline.add('aggregate', { MAX_EVENTS_PER_SECOND: '600', HTTP_PORT: String(port) })
    await aggregator.line('live')
    await pipeline.generate('--rate', '3000', '--events', '9000', '--late', '0').ledger
    const [before, startedAt] = [await eventsCounted(port), performance.now()]
    await sleep(3_000)
    const rate = ((await eventsCounted(port)) - before) / ((performance.now() - startedAt) / 1_000)
    expect(rate).toBeGreaterThan(0)
    // Small batches, since a batch is taken as a whole; and a flush more or less is in the three seconds.
    expect(rate).toBeLessThan(800)
    const probed = await pipeline.run(['probe', '--timeout', '40s'])
    expect(probed).toMatchObject({ code: 0, output: expect.stringContaining('is counted in 2s/') })
    const wanted = await recountTopic(pipeline.reader, pipeline.topic('source'), pipeline.settings)
    expect(await pipeline.differences(wanted)).toEqual([])
  })
})

/** What the aggregator on a port says that it has counted, of all outcomes. */
async function eventsCounted(port: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const values = [...metrics.matchAll(/^tidemark_events_total\{.*\} (\d+)$/gm)]
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
}

file.scenario('a probe that nobody counts says so', async () => {
  await withPipeline(file.kafka, 'unprobed', { aggregators: 0 }, async pipeline => {
    expect(await pipeline.run(['probe', '--timeout', '2s'])).toMatchObject({
      code: 1,
      output: expect.stringContaining('do aggregate and reduce run and keep up?'),
    })
  })
})

file.scenario(
  'source partitions added, one aggregator comes and one goes: totals equal, coverage names all',
  async () => {
    const settings = { SOURCE_PARTITIONS: '3', DELIVERY: 'at-least-once' }
    await withPipeline(file.kafka, 'grow', { aggregators: 2, settings }, async pipeline => {
      // Late events would make each ledger's clock matter, and there are two.
      const first = pipeline.generate('--rate', '5000', '--seconds', '10', '--late', '0', '--jitter', '1s')
      await sleep(1_500)
      await addPartitions(file.kafka.brokers, pipeline.topic('source'), 6)
      const second = pipeline.generate(
        ...['--rate', '5000', '--seconds', '6', '--late', '0', '--jitter', '1s'],
        ...['--partitions', '6', '--seed', '4'],
      )
      const [leaving] = pipeline.running('aggregate') as [SupervisedRole, ...SupervisedRole[]]
      await pipeline.add('aggregate').line('live')
      expect(await leaving.leave()).toBe(0)
      await Promise.all([first.ledger, second.ledger])
      expect(await pipeline.differences()).toEqual([])
      const covered = [...(await pipeline.results()).byKey.values()].map(({ coverage }) => coverage)
      for (const partition of [3, 4, 5]) {
        const counting = covered.filter(coverage => {
          const range = coverage[partition]
          return range !== undefined && range.through > range.from
        })
        expect(counting.length, `windows with events of the new partition ${partition}`).toBeGreaterThan(0)
      }
    })
  },
)
