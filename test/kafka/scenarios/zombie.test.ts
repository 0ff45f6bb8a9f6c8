import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { countAborted } from './support/resultLog.ts'
import { chance, scenarioFile } from './support/scenarios.ts'
import type { SupervisedRole } from './support/supervisedRole.ts'

const file = scenarioFile('zombie')
const SETTINGS = { SESSION_TIMEOUT: '2s' }
/** Stops during which the next owner is in place; the last one ends while events still come. */
const STOPS = 3

for (const delivery of ['at-least-once', 'exactly-once']) {
  file.scenario(`an aggregator stopped past its session comes back as a zombie, ${delivery}: totals equal`, async () => {
    const random = chance(`zombie aggregator, ${delivery}`)
    const settings = { ...SETTINGS, DELIVERY: delivery, FLUSH_INTERVAL: '50ms' }
    const options = { aggregators: 2, settings, supervised: true }
    await withPipeline(file.kafka, `zombie-${delivery}`, options, async pipeline => {
      const generating = pipeline.generate('--rate', '8000', '--seconds', '15')
      for (let stop = 0; stop < STOPS; stop++) {
        await sleep(500 + random.below(500))
        await makeZombie(pipeline, 'aggregate', random.below(2))
      }
      await generating.ledger
      expect(await pipeline.differences()).toEqual([])
      console.log(`${delivery}: ${STOPS} zombies; ${pipeline.restarts} of them exited with 4`)
    })
  })
}

file.scenario('a reducer stopped past its session is fenced and never changes a number', async () => {
  const random = chance('zombie reducer')
  const settings = { ...SETTINGS, PARTIALS_PARTITIONS: '1', EMIT_INTERVAL: '20ms', FLUSH_INTERVAL: '50ms' }
  const options = { aggregators: 1, reducers: 2, settings, supervised: true }
  await withPipeline(file.kafka, 'zombie-reducer', options, async pipeline => {
    const generating = pipeline.generate('--rate', '8000', '--seconds', '15')
    for (let stop = 0; stop < STOPS; stop++) {
      await sleep(500 + random.below(500))
      // With one partition, the one of the two that owns it.
      const owner = pipeline.running('reduce').findIndex(role => lastAssignment(role).length > 0)
      await makeZombie(pipeline, 'reduce', Math.max(0, owner))
    }
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
    const aborted = await countAborted(pipeline.reader, pipeline.topic('results'))
    console.log(`${STOPS} zombies, ${aborted} of their results aborted; ${pipeline.restarts} of them exited with 4`)
  })
})

/** Stops a role until another has taken over all that it owned and works; then lets it go on. */
async function makeZombie(pipeline: Pipeline, stage: SupervisedRole['stage'], index: number): Promise<void> {
  const roles = pipeline.running(stage)
  const zombie = roles[index % roles.length] as SupervisedRole
  const heir = roles.find(role => role !== zombie) as SupervisedRole
  const owned = lastAssignment(zombie).length
  const before = heir.lines.length
  zombie.pause()
  if (owned > 0) await heir.line('live', before)
  // The heir tells and commits on its own before the zombie wakes.
  await sleep(500)
  zombie.resume()
}

function lastAssignment(role: SupervisedRole): readonly number[] {
  return (role.linesOf('assigned').at(-1)?.partitions ?? []) as readonly number[]
}
