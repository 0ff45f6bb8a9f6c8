import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { withPipeline } from './support/pipeline.ts'
import { scenarioFile } from './support/scenarios.ts'

const file = scenarioFile('broker')

file.scenario('the broker stopped for 8 s and started again under load: totals equal', async () => {
  const options = { aggregators: 2, supervised: true, settings: { DELIVERY: 'at-least-once' } }
  await withPipeline(file.kafka, 'broker-stop', options, async pipeline => {
    const generating = pipeline.generate('--rate', '6000', '--seconds', '15')
    await sleep(3_000)
    await file.kafka.stop({ keepData: true })
    await sleep(8_000)
    await file.kafka.restart()
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
    console.log(`broker stopped: ${pipeline.restarts} roles exited with 4 and were started anew`)
  })
})

file.scenario('the broker killed with SIGKILL and started again under load: totals equal', async () => {
  const options = { aggregators: 2, supervised: true, settings: { DELIVERY: 'exactly-once' } }
  await withPipeline(file.kafka, 'broker-kill', options, async pipeline => {
    const generating = pipeline.generate('--rate', '6000', '--seconds', '9')
    await sleep(3_000)
    await file.kafka.kill()
    await file.kafka.restart()
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
    console.log(`broker killed: ${pipeline.restarts} roles exited with 4 and were started anew`)
  })
})
