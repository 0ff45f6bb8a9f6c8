import { configHash } from '../config/configHash.ts'
import { createTransactionalDelivery } from '../kafka/delivery.ts'
import { groupName, outputTopicNames, topicName, transactionalId } from '../kafka/names.ts'
import { readTopicFacts } from '../kafka/topics.ts'
import { createReduceTaskFactory, type ReduceTask } from '../tasks/reduceTask.ts'
import type { CommandFile } from './command.ts'
import { type RoleSpec, runRole } from './role.ts'

const spec: RoleSpec<ReduceTask> = {
  stage: 'reduce',
  flushIntervalMs: settings => settings.emitIntervalMs,
  open: async ({ settings, kafka, limits }) => {
    const { deadLetters } = await readTopicFacts(kafka, settings, ['deadLetters'])
    return {
      factory: createReduceTaskFactory({
        generation: settings.generation,
        configHash: configHash(settings),
        windowSizeMs: settings.windowSizeMs,
        allowedLatenessMs: settings.allowedLatenessMs,
        correctionHorizonMs: settings.correctionHorizonMs,
        maxWindows: settings.maxWindows,
        limits,
        partialsTopic: topicName(settings, 'partials'),
        deadLetterPartitions: deadLetters.partitions,
      }),
      createDelivery: partition =>
        createTransactionalDelivery({
          kafka,
          transactionalId: transactionalId(settings, 'reduce', partition),
          groupId: groupName(settings, 'reduce'),
          sourceTopic: topicName(settings, 'partials'),
          partition,
          topicNames: outputTopicNames(settings),
          batchLimits: { deadLetters: deadLetters.maxMessageBytes },
          compression: settings.compression,
        }),
      close: async () => {},
    }
  },
  clockMs: () => null,
  survey: (task, into) => {
    for (const aggregate of task.held()) into.merge(aggregate)
    return task.processed
  },
}

/** `tidemark reduce`: merges the partials of all source partitions into results. */
export const command: CommandFile = { run: context => runRole(context, spec) }
