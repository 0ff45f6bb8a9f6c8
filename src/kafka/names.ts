import type { Settings } from '../config/settings.ts'
import { type Level, type LevelSettings, levelsOf } from '../windows/levels.ts'
import type { TopicNames } from './outgoing.ts'

type Named = Pick<Settings, 'consumerGroup' | 'generation' | 'topics'>

export const STAGES = ['aggregate', 'reduce', 'sink'] as const

/** A stage has a consumer group. */
export type Stage = (typeof STAGES)[number]

/** `partials` are those of the base level; longer windows have topics of their own, see partialsTopic. */
export type TopicRole = 'source' | 'enriched' | 'deadLetters' | 'partials' | 'results' | 'deviceStats'

/** Topics that a new generation writes anew, beside those of the running one. */
const PER_GENERATION: ReadonlySet<TopicRole> = new Set(['partials', 'results', 'deviceStats'])

const suffix = (generation: number) => (generation > 1 ? `-g${generation}` : '')

/** The consumer group of a stage, as `tidemark-aggregate`, or `tidemark-aggregate-g2` in the second generation. */
export function groupName(settings: Named, stage: Stage): string {
  return `${settings.consumerGroup}-${stage}${suffix(settings.generation)}`
}

/** The real name of a topic in this generation. */
export function topicName(settings: Named, role: TopicRole): string {
  return settings.topics[role] + (PER_GENERATION.has(role) ? suffix(settings.generation) : '')
}

/** The topic of the partials that a level merges: `login-partials` for the base, `login-partials-1m` for minutes. */
export function partialsTopic(settings: Named, { number, name }: Pick<Level, 'number' | 'name'>): string {
  return `${settings.topics.partials}${number === 0 ? '' : `-${name}`}${suffix(settings.generation)}`
}

/** The real names of the topics that tasks write to. */
export function outputTopicNames(settings: Named & LevelSettings): TopicNames {
  return {
    partials: levelsOf(settings).map(level => partialsTopic(settings, level)),
    results: topicName(settings, 'results'),
    deviceStats: topicName(settings, 'deviceStats'),
    enriched: topicName(settings, 'enriched'),
    deadLetters: topicName(settings, 'deadLetters'),
  }
}

/** The transactional id of one lane of a stage: whoever owns it next fences the owner before. */
export function transactionalId(settings: Named, stage: Stage, lane: number): string {
  return `${groupName(settings, stage)}-${lane}`
}
