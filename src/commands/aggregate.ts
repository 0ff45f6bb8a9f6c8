import { configHash } from '../config/configHash.ts'
import { createAtLeastOnceDelivery, createSharedProducer, createTransactionalDelivery } from '../kafka/delivery.ts'
import { refuseLostCommits } from '../kafka/lostCommits.ts'
import { groupName, outputTopicNames, topicName, transactionalId } from '../kafka/names.ts'
import { type AggregateTask, createAggregateTaskFactory } from '../tasks/aggregateTask.ts'
import type { CommandFile } from './command.ts'
import { type RoleSpec, runRole } from './role.ts'

const spec: RoleSpec<AggregateTask> = {
  stage: 'aggregate',
  flushIntervalMs: settings => settings.flushIntervalMs,
  factory: (settings, limits) =>
    createAggregateTaskFactory({
      generation: settings.generation,
      configHash: configHash(settings),
      windowSizeMs: settings.windowSizeMs,
      allowedLatenessMs: settings.allowedLatenessMs,
      maxFutureSkewMs: settings.maxFutureSkewMs,
      maxEventBytes: settings.maxEventBytes,
      validationRequired: settings.validationRequired,
      chunkSize: settings.chunkSize,
      partialsPartitions: settings.topics.partialsPartitions,
      idleTimeoutMs: settings.idleTimeoutMs,
      limits,
    }),
  deliveries: async (settings, kafka) => {
    const topicNames = outputTopicNames(settings)
    if (settings.delivery === 'exactly-once') {
      return {
        create: partition =>
          createTransactionalDelivery({
            kafka,
            transactionalId: transactionalId(settings, 'aggregate', partition),
            groupId: groupName(settings, 'aggregate'),
            sourceTopic: topicName(settings, 'source'),
            partition,
            topicNames,
          }),
        close: async () => {},
      }
    }
    const producer = createSharedProducer(kafka)
    await producer.connect()
    return {
      create: (_partition, commit) => createAtLeastOnceDelivery({ producer, topicNames, commit }),
      close: () => producer.disconnect(),
    }
  },
  onNoCommit: (reader, settings) =>
    refuseLostCommits(reader, {
      groupId: groupName(settings, 'aggregate'),
      sourceTopic: topicName(settings, 'source'),
      partialsTopic: topicName(settings, 'partials'),
      generation: settings.generation,
    }),
  survey: (task, into) => {
    for (const aggregate of task.held()) into.merge(aggregate)
    return task.processed
  },
}

/** `tidemark aggregate`: reads the source topic, tells what each partition's prefix adds up to. */
export const command: CommandFile = { run: context => runRole(context, spec) }
