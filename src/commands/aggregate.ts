import { configHash } from '../config/configHash.ts'
import type { Settings } from '../config/settings.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { createAtLeastOnceDelivery, createSharedProducer, createTransactionalDelivery } from '../kafka/delivery.ts'
import { lanesOfTopic } from '../kafka/lanes.ts'
import { refuseLostCommits } from '../kafka/lostCommits.ts'
import { groupName, outputTopicNames, topicName, transactionalId } from '../kafka/names.ts'
import type { BatchLimits } from '../kafka/outgoing.ts'
import { readTopicFacts } from '../kafka/topics.ts'
import { type AggregateTask, createAggregateTaskFactory } from '../tasks/aggregateTask.ts'
import type { EventOutputSettings } from '../tasks/eventOutputs.ts'
import type { CommandFile } from './command.ts'
import { type Enrichment, openEnrichment } from './enrichment.ts'
import { type RoleContext, type RoleParts, type RoleSpec, runRole } from './role.ts'

const spec: RoleSpec<AggregateTask> = {
  stage: 'aggregate',
  flushIntervalMs: settings => settings.flushIntervalMs,
  flushMaxEvents: settings => settings.flushMaxEvents,
  maxRecordsPerSecond: settings => settings.maxEventsPerSecond,
  lanes: settings => lanesOfTopic(topicName(settings, 'source')),
  open,
  onNoCommit: (reader, settings) =>
    refuseLostCommits(reader, {
      groupId: groupName(settings, 'aggregate'),
      sourceTopic: topicName(settings, 'source'),
      partialsTopic: topicName(settings, 'partials'),
      generation: settings.generation,
    }),
  clockMs: task => (task.clockMs === 0 ? null : task.clockMs),
  gauges: ({ windows, chunks }) => ({ windows, chunks }),
  survey: (task, into) => {
    // Only what the statistics tell of: there may be thousands of windows, each with its users.
    for (const { devices, locales, versions } of task.held()) {
      into.devices.merge(devices)
      into.locales.merge(locales)
      into.versions.merge(versions)
    }
    return task.processed
  },
}

async function open({ settings, kafka, limits, log, traced }: RoleContext): Promise<RoleParts<AggregateTask>> {
  const { place, ipv4Places, enrich, splice, close: closeEnrichment } = await openEnrichment(settings.enriched, log)
  const outputs = await openOutputs(settings, kafka, { enrich, splice })
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
    place,
    ipv4Places,
    outputs,
    traced,
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

/** What the task has to know of the topics that events go on to. */
async function openOutputs(
  settings: Settings,
  kafka: KafkaClient,
  { enrich, splice }: Pick<Enrichment, 'enrich' | 'splice'>,
): Promise<EventOutputSettings> {
  const { deadLetters } = await readTopicFacts(kafka, settings, ['deadLetters'])
  const letters = {
    sourceTopic: topicName(settings, 'source'),
    deadLetterPartitions: deadLetters.partitions,
    deadLetterMaxBytes: deadLetters.maxMessageBytes,
  }
  if (enrich === null) return { ...letters, enriched: null }
  const { enriched } = await readTopicFacts(kafka, settings, ['enriched'])
  const userIdKeyId = settings.enriched.userIdKey?.id ?? null
  return { ...letters, enriched: { enrich, splice, maxBytes: enriched.maxMessageBytes, userIdKeyId } }
}

/** `tidemark aggregate`: reads the source topic, tells what each partition's prefix adds up to. */
export const command: CommandFile = { run: context => runRole(context, spec) }
