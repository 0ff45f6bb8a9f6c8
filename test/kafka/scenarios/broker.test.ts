import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'

const file = scenarioFile('broker')
/** A number and not a time: however long the generator takes to find the broker again, most of them are still to come. */
const EVENTS = 60_000
const LOAD = ['--rate', '6000', '--events', String(EVENTS)]

file.scenario('the broker stopped for 8 s and started again under load: totals equal', async () => {
  const options = { aggregators: 2, supervised: true, settings: { DELIVERY: 'at-least-once' } }
  await withPipeline(file.kafka, 'broker-stop', options, async pipeline => {
    const generating = pipeline.generate(...LOAD)
    await sleep(3_000)
    await file.kafka.stop({ keepData: true })
    await sleep(8_000)
    const startedAt = Date.now()
    await file.kafka.restart()
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
    await expectEventsAround(pipeline, startedAt)
    console.log(`broker stopped: ${pipeline.restarts} roles exited with 4 and were started anew`)
  })
})

file.scenario('the broker killed with SIGKILL and started again under load: totals equal', async () => {
  const options = { aggregators: 2, supervised: true, settings: { DELIVERY: 'exactly-once' } }
  await withPipeline(file.kafka, 'broker-kill', options, async pipeline => {
    const generating = pipeline.generate(...LOAD)
    await sleep(3_000)
    const startedAt = Date.now()
    await file.kafka.kill()
    await file.kafka.restart()
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
    await expectEventsAround(pipeline, startedAt)
    console.log(`broker killed: ${pipeline.restarts} roles exited with 4 and were started anew`)
  })
})

/** Without events on both sides of the outage the verdict would say nothing about it. */
async function expectEventsAround(pipeline: Pipeline, startedAt: number): Promise<void> {
  const counts = { before: 0, after: 0 }
  await pipeline.reader.readAll({
    topic: pipeline.topic('source'),
    readCommitted: true,
    onMessage: ({ timestamp }) => void counts[timestamp < startedAt ? 'before' : 'after']++,
  })
  console.log(`${counts.before} events before the broker came back, ${counts.after} after`)
  expect(counts.before).toBeGreaterThan(1_000)
  expect(counts.after).toBeGreaterThan(EVENTS / 3)
}
