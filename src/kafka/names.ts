import type { Settings } from '../config/settings.ts'
import type { OutputTopic } from '../tasks/task.ts'

type Named = Pick<Settings, 'consumerGroup' | 'generation' | 'topics'>

export type Stage = 'aggregate' | 'reduce'

export type TopicRole = 'source' | 'enriched' | 'deadLetters' | 'partials' | 'results'

/** Topics that a new generation writes anew, beside those of the running one. */
const PER_GENERATION: ReadonlySet<TopicRole> = new Set(['partials', 'results'])

const suffix = (generation: number) => (generation > 1 ? `-g${generation}` : '')

/** The consumer group of a stage, as `tidemark-aggregate`, or `tidemark-aggregate-g2` in the second generation. */
export function groupName(settings: Named, stage: Stage): string {
  return `${settings.consumerGroup}-${stage}${suffix(settings.generation)}`
}

/** The real name of a topic in this generation. */
export function topicName(settings: Named, role: TopicRole): string {
  return settings.topics[role] + (PER_GENERATION.has(role) ? suffix(settings.generation) : '')
}

/** The real names of the topics that tasks write to. */
export function outputTopicNames(settings: Named): Readonly<Record<OutputTopic, string>> {
  return {
    partials: topicName(settings, 'partials'),
    results: topicName(settings, 'results'),
    enriched: topicName(settings, 'enriched'),
    deadLetters: topicName(settings, 'deadLetters'),
  }
}

/** The transactional id of one partition of a stage: whoever owns the partition next fences the owner before. */
export function transactionalId(settings: Named, stage: Stage, partition: number): string {
  return `${groupName(settings, stage)}-${partition}`
}
