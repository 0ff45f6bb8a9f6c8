import { setTimeout as sleep } from 'node:timers/promises'
import { lanesOfTopics } from '../../../src/kafka/lanes.ts'
import { createMembership } from '../../../src/kafka/membership.ts'
import { groupName, partialsTopic } from '../../../src/kafka/names.ts'
import { topicPlan } from '../../../src/kafka/topics.ts'
import { levelsOf } from '../../../src/windows/levels.ts'
import { batchesOnDisk, damageBatch } from '../../kafka/damage.ts'
import { replaceTopicConfig } from '../../kafka/support/topicConfig.ts'
import type { Labels, Scene } from '../support/scene.ts'
import type { Cause } from './cause.ts'

const MEMBER_PAUSE_MS = 100

/** What keeps numbers from going on. */
export const PROGRESS: readonly Cause[] = [
  {
    name: 'stalled',
    what: 'a transaction that nobody ends stands in one partition; then the only reducer is killed',
    alerts: ['TidemarkPartitionStalled', 'TidemarkWatermarkStalled', 'TidemarkNotConsuming'],
    run: async scene => {
      await Promise.all([scene.start('reduce'), scene.start('aggregate')])
      scene.stream(0, 1)
      await scene.sample('tidemark_source_clock_timestamp_seconds{JOB, source="1"} > 0')
      await scene.neverFired('TidemarkPartitionStalled', 'TidemarkWatermarkStalled', 'TidemarkNotConsuming')

      const end = await openTransaction(scene, 1)
      await scene.firing('TidemarkPartitionStalled', { role: 'aggregate', partition: '1' })
      await scene.firing('TidemarkWatermarkStalled', { source: '1' })
      await end()
      await scene.resolved('TidemarkPartitionStalled')
      await scene.resolved('TidemarkWatermarkStalled')

      const [reducer] = scene.pipeline.running('reduce')
      await reducer?.kill()
      await scene.firing('TidemarkNotConsuming', { role: 'reduce' })
      await scene.start('reduce')
      await scene.resolved('TidemarkNotConsuming')
    },
  },
  {
    name: 'flooded',
    what: 'more logins come than MAX_EVENTS_PER_SECOND lets in',
    alerts: ['TidemarkLagGrows'],
    settings: { MAX_EVENTS_PER_SECOND: '100' },
    run: async scene => {
      await scene.start('aggregate')
      const calm = scene.pipeline.generate('--rate', '50', '--seconds', '300')
      await scene.sample('sum(rate(tidemark_processed_offsets_total{JOB}[5s])) > 10')
      await scene.neverFired('TidemarkLagGrows')
      const flood = scene.pipeline.generate('--rate', '1000', '--seconds', '300', '--seed', '2')
      await scene.firing('TidemarkLagGrows', { role: 'aggregate' })
      for (const each of [flood, calm]) each.end()
      await scene.resolved('TidemarkLagGrows')
    },
  },
  {
    name: 'damaged',
    what: 'a record batch on the disk is damaged that a new owner reads again',
    alerts: ['TidemarkCorruptBatch', 'TidemarkPartitionNotLive'],
    // One that nothing closes: all that it holds is read again.
    settings: { WINDOW_SIZE: '1m' },
    run: async (scene, { kafka }) => {
      const aggregator = await scene.start('aggregate')
      for (let i = 0; i < 4; i++) await scene.login(0)
      await scene.committed(0, 4)
      await scene.sample('tidemark_partition_live{JOB, partition="0"} == 1')
      await scene.neverFired('TidemarkCorruptBatch', 'TidemarkPartitionNotLive')

      await aggregator.kill()
      const source = scene.pipeline.topic('source')
      const last = batchesOnDisk(kafka.dataDir, source, 0).length - 1
      const flip = () => damageBatch(kafka.dataDir, source, { partition: 0, batch: last }, flipLastByte)
      flip()
      const next = await scene.start('aggregate')
      await scene.firing('TidemarkCorruptBatch', { role: 'aggregate', partition: '0' })
      await scene.firing('TidemarkPartitionNotLive', { role: 'aggregate', partition: '0' })
      // Mended, as from a backup: whoever starts now reads it at once.
      flip()
      await next.kill()
      await scene.start('aggregate')
      await scene.resolved('TidemarkCorruptBatch')
      await scene.resolved('TidemarkPartitionNotLive')
    },
  },
  {
    name: 'refused',
    what: 'the results topic takes no record of the size of a result any more',
    alerts: ['TidemarkNoResults', 'TidemarkRestarts'],
    settings: { PARTIALS_PARTITIONS: '6' },
    run: async scene => {
      await Promise.all([scene.start('reduce'), scene.start('aggregate')])
      scene.stream(0, 1)
      await scene.sample('sum(rate(tidemark_results_total{JOB}[5s])) > 0')
      await scene.neverFired('TidemarkNoResults', 'TidemarkRestarts')
      await limitResults(scene, { 'max.message.bytes': '200' })
      await scene.firing('TidemarkNoResults')
      await scene.firing('TidemarkRestarts', { role: 'reduce', code: 'delivery_failed' })
      await limitResults(scene, {})
      await scene.resolved('TidemarkNoResults')
      await scene.resolved('TidemarkRestarts')
    },
  },
  {
    name: 'slow',
    what: 'each answer of the brokers takes more than a second to arrive',
    alerts: ['TidemarkSlowFlush'],
    // Long, so that what is slow is not taken for dead.
    settings: { DELIVERY: 'exactly-once', SOURCE_PARTITIONS: '4', SESSION_TIMEOUT: '30s' },
    divisor: 20,
    throughNetwork: true,
    run: async (scene, { network }) => {
      await scene.start('aggregate')
      scene.stream(0, 1, 2, 3)
      await scene.sample('sum(rate(tidemark_flush_duration_seconds_count{JOB}[5s])) > 1')
      await scene.neverFired('TidemarkSlowFlush')
      network.delay(1_200)
      try {
        await scene.firing('TidemarkSlowFlush', { role: 'aggregate' })
      } finally {
        network.delay(0)
      }
      await scene.resolved('TidemarkSlowFlush')
    },
  },
  {
    name: 'restless',
    what: 'another member of the group comes and goes',
    alerts: ['TidemarkRebalanceStorm'],
    settings: { SESSION_TIMEOUT: '2s', PARTIALS_PARTITIONS: '2' },
    divisor: 20,
    run: async scene => {
      await scene.start('reduce')
      await scene.sample('tidemark_assigned_partitions{JOB} == 2')
      await scene.neverFired('TidemarkRebalanceStorm')
      let calm = false
      const restless = comeAndGo(scene, () => calm)
      try {
        await scene.firing('TidemarkRebalanceStorm', { role: 'reduce' })
      } finally {
        calm = true
        await restless
      }
      await scene.resolved('TidemarkRebalanceStorm')
    },
  },
]

/** @returns aborts it */
async function openTransaction(scene: Scene, partition: number): Promise<() => Promise<void>> {
  const topic = scene.pipeline.topic('source')
  const producer = scene.kafka.producer({ transactionalId: `${topic}-forgotten`, maxInFlightRequests: 1 })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ value: '{}', partition }] })
  return async () => {
    await transaction.abort()
    await producer.disconnect()
  }
}

/** Gives the results topic the settings that it was created with and these, and no others. */
async function limitResults(scene: Scene, added: Labels): Promise<void> {
  const { settings } = scene.pipeline
  const name = scene.pipeline.topic('results')
  const planned = topicPlan(settings).find(topic => topic.name === name)?.config ?? {}
  await replaceTopicConfig(scene.kafka, name, { ...planned, ...added })
}

function flipLastByte(bytes: Buffer): void {
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) ^ 0xff
}

/** A reducer as one whose Pod is started and ended again and again: it joins the group, leaves it, and joins anew. */
async function comeAndGo(scene: Scene, isOver: () => boolean): Promise<void> {
  const { settings } = scene.pipeline
  const topics = levelsOf(settings).map(level => partialsTopic(settings, level))
  while (!isOver()) {
    const { promise: crashed, reject } = Promise.withResolvers<never>()
    const member = createMembership({
      kafka: scene.kafka,
      groupId: groupName(settings, 'reduce'),
      settings,
      lanes: lanesOfTopics(topics, settings.topics.partialsPartitions),
      onAssigned: () => {},
      onRevoked: () => {},
      onBatch: async () => {},
      onAdvance: () => {},
      onOutOfRange: () => {},
      onCorrupt: () => {},
      beforeRejoin: async () => {},
      onCrash: reject,
    })
    await Promise.race([member.start(), crashed])
    await sleep(MEMBER_PAUSE_MS)
    await member.stop()
    await sleep(MEMBER_PAUSE_MS)
  }
}
