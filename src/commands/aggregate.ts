import { configHash } from '../config/configHash.ts'
import type { Settings } from '../config/settings.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { createAtLeastOnceDelivery, createSharedProducer, createTransactionalDelivery } from '../kafka/delivery.ts'
import { refuseLostCommits } from '../kafka/lostCommits.ts'
import { groupName, outputTopicNames, topicName, transactionalId } from '../kafka/names.ts'
import type { BatchLimits } from '../kafka/outgoing.ts'
import { readTopicFacts } from '../kafka/topics.ts'
import { type AggregateTask, createAggregateTaskFactory } from '../tasks/aggregateTask.ts'
import type { EventOutputSettings } from '../tasks/eventOutputs.ts'
import type { Log } from '../telemetry/log.ts'
import type { CommandFile } from './command.ts'
import { openEnrichment } from './enrichment.ts'
import { type RoleContext, type RoleParts, type RoleSpec, runRole } from './role.ts'

const spec: RoleSpec<AggregateTask> = {
  stage: 'aggregate',
  flushIntervalMs: settings => settings.flushIntervalMs,
  open,
  onNoCommit: (reader, settings) =>
    refuseLostCommits(reader, {
      groupId: groupName(settings, 'aggregate'),
      sourceTopic: topicName(settings, 'source'),
      partialsTopic: topicName(settings, 'partials'),
      generation: settings.generation,
    }),
  clockMs: task => (task.clockMs === 0 ? null : task.clockMs),
  survey: (task, into) => {
    for (const aggregate of task.held()) into.merge(aggregate)
    return task.processed
  },
}

async function open({ settings, kafka, limits, log }: RoleContext): Promise<RoleParts<AggregateTask>> {
  const { outputs, close: closeEnrichment } = await openOutputs(settings, kafka, log)
  const { compression } = settings
  const batchLimits: BatchLimits = {
    deadLetters: outputs.deadLetterMaxBytes,
    ...(outputs.enriched === null ? {} : { enriched: outputs.enriched.maxBytes }),
  }
  const factory = createAggregateTaskFactory({
    generation: settings.generation,
    configHash: configHash(settings),
    windowSizeMs: settings.windowSizeMs,
    allowedLatenessMs: settings.allowedLatenessMs,
    maxFutureSkewMs: settings.maxFutureSkewMs,
    maxEventBytes: settings.maxEventBytes,
    maxEventDepth: settings.maxEventDepth,
    validationRequired: settings.validationRequired,
    chunkSize: settings.chunkSize,
    partialsPartitions: settings.topics.partialsPartitions,
    idleTimeoutMs: settings.idleTimeoutMs,
    limits,
    outputs,
  })
  const topicNames = outputTopicNames(settings)
  if (settings.delivery === 'exactly-once') {
    return {
      factory,
      createDelivery: partition =>
        createTransactionalDelivery({
          kafka,
          transactionalId: transactionalId(settings, 'aggregate', partition),
          groupId: groupName(settings, 'aggregate'),
          sourceTopic: topicName(settings, 'source'),
          partition,
          topicNames,
          batchLimits,
          compression,
        }),
      close: async () => closeEnrichment(),
    }
  }
  const producer = createSharedProducer(kafka)
  await producer.connect()
  return {
    factory,
    createDelivery: (_partition, commit) =>
      createAtLeastOnceDelivery({ producer, topicNames, batchLimits, compression, commit }),
    close: async () => {
      closeEnrichment()
      await producer.disconnect()
    },
  }
}

async function openOutputs(
  settings: Settings,
  kafka: KafkaClient,
  log: Log,
): Promise<{ readonly outputs: EventOutputSettings; readonly close: () => void }> {
  const { deadLetters } = await readTopicFacts(kafka, settings, ['deadLetters'])
  const letters = {
    sourceTopic: topicName(settings, 'source'),
    deadLetterPartitions: deadLetters.partitions,
    deadLetterMaxBytes: deadLetters.maxMessageBytes,
  }
  if (!settings.enriched.enabled) return { outputs: { ...letters, enriched: null }, close: () => {} }
  const { enriched } = await readTopicFacts(kafka, settings, ['enriched'])
  const { enrich, close } = await openEnrichment(settings.enriched, log)
  const userIdKeyId = settings.enriched.userIdKey?.id ?? null
  return { outputs: { ...letters, enriched: { enrich, maxBytes: enriched.maxMessageBytes, userIdKeyId } }, close }
}

/** `tidemark aggregate`: reads the source topic, tells what each partition's prefix adds up to. */
export const command: CommandFile = { run: context => runRole(context, spec) }
