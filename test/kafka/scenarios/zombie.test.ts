import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { countAborted, probeTransactions } from './support/kafkaState.ts'
import { type Pipeline, withPipeline } from './support/pipeline.ts'
import { chance, scenarioFile } from './support/scenarios.ts'
import { stopInTransaction } from './support/stopInTransaction.ts'
import type { SupervisedRole } from './support/supervisedRole.ts'

const file = scenarioFile('zombie')
const ZOMBIES = 2
/** Ended when the zombies have come back: how long that takes is the machine's affair. */
const NO_END = ['--seconds', '90']
const WAKE_LIMIT_MS = 30_000

for (const delivery of ['at-least-once', 'exactly-once']) {
  const name = `an aggregator stopped past its session comes back as a zombie, ${delivery}: totals equal`
  file.concurrent(name, async () => {
    const random = chance(`zombie aggregator, ${delivery}`)
    const settings = { SESSION_TIMEOUT: '2s', DELIVERY: delivery, FLUSH_INTERVAL: '10ms' }
    const options = { aggregators: 2, settings, supervised: true }
    await withPipeline(file.kafka, `zombie-${delivery}`, options, async pipeline => {
      // A letter in every flush: its partition tells whose transaction is open.
      const generating = pipeline.generate('--rate', '6000', ...NO_END, '--broken-json', '0.1')
      const letters = pipeline.topic('deadLetters')
      const probe = await probeTransactions(pipeline.settings.kafka, letters)
      for (let i = 0; i < ZOMBIES; i++) {
        await sleep(500 + random.below(500))
        const zombie = pipeline.running('aggregate')[random.below(2)] as SupervisedRole
        const wake = expectTakeover(pipeline, zombie)
        if (delivery === 'exactly-once') {
          const caught = await stopInTransaction(zombie, () => probe.isOpen(zombie.partitions), random)
          expect(caught, 'a stop fell into a transaction').toBe(true)
        } else zombie.pause()
        await wake()
      }
      await probe.close()
      expect(generating.running, 'the zombies wake under load').toBe(true)
      generating.end()
      await generating.ledger
      expect(await pipeline.differences()).toEqual([])
      const aborted = await countAborted(pipeline.reader, letters)
      console.log(
        `${delivery}: ${ZOMBIES} zombies, ${aborted} of their letters aborted; ${pipeline.restarts} exited with 4`,
      )
      if (delivery === 'exactly-once') expect(aborted).toBeGreaterThanOrEqual(ZOMBIES)
    })
  })
}

file.scenario('a reducer stopped inside a transaction past its session is fenced and changes no number', async () => {
  const random = chance('zombie reducer')
  // One partition of one level: an open transaction is then the owner's.
  const settings = {
    SESSION_TIMEOUT: '2s',
    PARTIALS_PARTITIONS: '1',
    ROLLUPS: 'none',
    EMIT_INTERVAL: '10ms',
    FLUSH_INTERVAL: '50ms',
  }
  const options = { aggregators: 1, reducers: 2, settings, supervised: true }
  await withPipeline(file.kafka, 'zombie-reducer', options, async pipeline => {
    const generating = pipeline.generate('--rate', '8000', ...NO_END)
    const probe = await probeTransactions(pipeline.settings.kafka, pipeline.topic('results'))
    await sleep(1_000)
    for (let i = 0; i < ZOMBIES; i++) {
      // With one partition only one of the two has something to do.
      const owner = pipeline.running('reduce').find(role => role.partitions.length > 0) as SupervisedRole
      const wake = expectTakeover(pipeline, owner)
      expect(await stopInTransaction(owner, () => probe.isOpen(), random), 'a stop fell into a transaction').toBe(true)
      await wake()
    }
    await probe.close()
    expect(generating.running, 'the zombies wake under load').toBe(true)
    generating.end()
    await generating.ledger
    expect(await pipeline.differences()).toEqual([])
    const aborted = await countAborted(pipeline.reader, pipeline.topic('results'))
    console.log(`${ZOMBIES} zombies, ${aborted} of their results aborted; ${pipeline.restarts} exited with 4`)
    expect(aborted).toBeGreaterThanOrEqual(ZOMBIES)
  })
})

/**
 * To be called before the role is stopped.
 * @returns waits until another role has taken over all that the stopped one owned, and works; then lets that one go on,
 * until it has found out and joined again, or has exited
 */
function expectTakeover(pipeline: Pipeline, zombie: SupervisedRole): () => Promise<void> {
  const heir = pipeline.running(zombie.stage).find(role => role !== zombie) as SupervisedRole
  const [heirLines, ownLines] = [heir.lines.length, zombie.lines.length]
  const owns = zombie.partitions.length > 0
  return async () => {
    if (owns) {
      const assigned = await heir.line('assigned', heirLines)
      await heir.line('live', heir.lines.indexOf(assigned))
    }
    // The heir tells and commits on its own before the zombie wakes.
    await sleep(500)
    zombie.resume()
    await Promise.race([zombie.line('assigned', ownLines), zombie.exit(WAKE_LIMIT_MS)])
  }
}
