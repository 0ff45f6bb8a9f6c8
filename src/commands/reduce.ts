import { configHash } from '../config/configHash.ts'
import type { Settings } from '../config/settings.ts'
import { createHourReader } from '../events/hours.ts'
import { createTransactionalDelivery } from '../kafka/delivery.ts'
import { lanesOfTopics } from '../kafka/lanes.ts'
import { groupName, outputTopicNames, partialsTopic, transactionalId } from '../kafka/names.ts'
import { readTopicFacts } from '../kafka/topics.ts'
import type { ReduceTaskSettings } from '../tasks/reduceStart.ts'
import { createReduceTaskFactory, type ReduceTask } from '../tasks/reduceTask.ts'
import type { TaskFactory } from '../tasks/task.ts'
import { type Level, levelsOf } from '../windows/levels.ts'
import type { CommandFile } from './command.ts'
import { type RoleContext, type RoleParts, type RoleSpec, runRole } from './role.ts'

/** A lane is a partition of a level: level * PARTIALS_PARTITIONS + partition. */
const spec: RoleSpec<ReduceTask> = {
  stage: 'reduce',
  flushIntervalMs: settings => settings.emitIntervalMs,
  flushMaxEvents: settings => settings.emitEveryEvents,
  maxRecordsPerSecond: () => 0,
  lanes: settings => {
    const topics = levelsOf(settings).map(level => partialsTopic(settings, level))
    return lanesOfTopics(topics, settings.topics.partialsPartitions)
  },
  nameOf: settings => {
    const levels = levelsOf(settings)
    const { partialsPartitions } = settings.topics
    return lane => {
      const [level, partition] = [Math.floor(lane / partialsPartitions), lane % partialsPartitions]
      return level === 0 ? partition : `${levels[level]?.name}/${partition}`
    }
  },
  open,
  clockMs: task => task.survey().clockMs,
  gauges: task => {
    const { windows, ...reached } = task.survey()
    return { windows: task.windows, reduced: { ...reached, byStatus: windows } }
  },
  // Longer windows hold the same events once more, and every partition hears what all sources have counted. What is popular
  // is left to the results: thousands of windows may be held here, each with its users.
  survey: task => (task.isBase ? task.processed / task.partitions : 0),
}

async function open({ settings, kafka, limits, traced }: RoleContext): Promise<RoleParts<ReduceTask>> {
  const { deadLetters } = await readTopicFacts(kafka, settings, ['deadLetters'])
  const levels = levelsOf(settings)
  const lanes = spec.lanes(settings)
  const shared = {
    generation: settings.generation,
    configHash: configHash(settings),
    allowedLatenessMs: settings.allowedLatenessMs,
    correctionHorizonMs: settings.correctionHorizonMs,
    maxWindows: settings.maxWindows,
    limits,
    hourOf: createHourReader(settings.enriched.timeZone),
    partialsPartitions: settings.topics.partialsPartitions,
    deadLetterPartitions: deadLetters.partitions,
    idleTimeoutMs: settings.idleTimeoutMs,
    traced,
  }
  return {
    factory: factoryOf(settings, levels, shared),
    createDelivery: lane => {
      const { topic: sourceTopic, partition } = lanes.placeOf(lane)
      return createTransactionalDelivery({
        kafka,
        transactionalId: transactionalId(settings, 'reduce', lane),
        groupId: groupName(settings, 'reduce'),
        sourceTopic,
        partition,
        topicNames: outputTopicNames(settings),
        batchLimits: { deadLetters: deadLetters.maxMessageBytes },
        compression: settings.compression,
      })
    },
    close: async () => {},
  }
}

function factoryOf(
  settings: Settings,
  levels: readonly Level[],
  shared: Omit<ReduceTaskSettings, 'level' | 'above' | 'partialsTopic'>,
): TaskFactory<ReduceTask> {
  const { partialsPartitions } = settings.topics
  const factories = levels.map(level =>
    createReduceTaskFactory({
      ...shared,
      level,
      above: levels.filter(({ number }) => level.above.includes(number)),
      partialsTopic: partialsTopic(settings, level),
    }),
  )
  return {
    restore: (lane, commit, log, now) => {
      const factory = factories[Math.floor(lane / partialsPartitions)] as TaskFactory<ReduceTask>
      return factory.restore(lane % partialsPartitions, commit, log, now)
    },
  }
}

/** `tidemark reduce`: merges the partials of all source partitions into results, and results into those of longer windows. */
export const command: CommandFile = { run: context => runRole(context, spec) }
