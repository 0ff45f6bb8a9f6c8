import type { AggregateLimits } from '../../src/aggregate/aggregate.ts'
import { createEnrichedText } from '../../src/events/enrich.ts'
import { createEnrichedSplice } from '../../src/events/splice.ts'
import { createAggregateTaskFactory } from '../../src/tasks/aggregateTask.ts'
import { createReduceTaskFactory } from '../../src/tasks/reduceTask.ts'
import type { Task, TaskFactory } from '../../src/tasks/task.ts'
import type { Level } from '../../src/windows/levels.ts'
import {
  IDLE_MS,
  MAX_EVENT_BYTES,
  MAX_LETTER_BYTES,
  maxWindowsOf,
  type Plan,
  SESSION_GAP_MS,
  SKEW_MS,
  WINDOW_MS,
} from './plan.ts'
import { hourOf, placeOf } from './workload.ts'

export const CONFIG_HASH = 'simulation'

const ENRICHMENT = { timeZone: 'UTC', geo: placeOf, hashUserId: null }

export function aggregateFactory(plan: Plan, configHash: string): TaskFactory<Task> {
  return createAggregateTaskFactory({
    generation: 1,
    configHash,
    windowSizeMs: WINDOW_MS,
    allowedLatenessMs: plan.latenessMs,
    maxFutureSkewMs: SKEW_MS,
    chunkSize: plan.chunkSize,
    partialsPartitions: plan.reducers,
    idleTimeoutMs: IDLE_MS,
    maxEventBytes: MAX_EVENT_BYTES,
    validationRequired: plan.required,
    limits: limitsOf(plan),
    place: placeOf,
    outputs: {
      sourceTopic: 'source',
      deadLetterPartitions: plan.partitions,
      deadLetterMaxBytes: MAX_LETTER_BYTES,
      enriched: plan.enriches ? enrichedOutput() : null,
    },
  })
}

function enrichedOutput() {
  const enrich = createEnrichedText({ ...ENRICHMENT, fields: null })
  return { enrich, splice: createEnrichedSplice(ENRICHMENT), maxBytes: MAX_LETTER_BYTES, userIdKeyId: null }
}

export function reduceFactory(plan: Plan, configHash: string, level: Level): TaskFactory<Task> {
  return createReduceTaskFactory({
    generation: 1,
    configHash,
    level,
    above: level.above.map(number => plan.levels[number] as Level),
    allowedLatenessMs: plan.latenessMs,
    correctionHorizonMs: plan.horizonMs,
    maxWindows: maxWindowsOf(plan, level),
    limits: limitsOf(plan),
    hourOf,
    partialsTopic: 'partials',
    partialsPartitions: plan.reducers,
    deadLetterPartitions: plan.partitions,
    idleTimeoutMs: IDLE_MS,
  })
}

function limitsOf(plan: Plan): AggregateLimits {
  const { maxDimensionValues: dimensionValues, userSample } = plan
  return { dimensionValues, qualityFields: 5, userSample, sessionGapMs: SESSION_GAP_MS }
}
