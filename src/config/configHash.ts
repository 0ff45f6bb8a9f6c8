import { createHash } from 'node:crypto'
import { EVENT_RULES } from '../events/codes.ts'
import type { Settings } from './settings.ts'

/**
 * The settings that decide which window an event falls into or how it merges. Under another set the committed state of
 * a partition would mean something else. Keys are in alphabetical order, so that their JSON is canonical.
 */
export function semanticSettings(settings: Settings): Readonly<Record<string, number | readonly (string | number)[]>> {
  return {
    allowedLatenessMs: settings.allowedLatenessMs,
    chunkSize: settings.chunkSize,
    eventRules: EVENT_RULES,
    generation: settings.generation,
    maxDimensionValues: settings.maxDimensionValues,
    maxEventBytes: settings.maxEventBytes,
    maxEventDepth: settings.maxEventDepth,
    maxFutureSkewMs: settings.maxFutureSkewMs,
    rollupsMs: settings.rollupsMs,
    sessionGapMs: settings.sessionGapMs,
    slidingWindows: settings.slidingWindows.map(({ sizeMs, hopMs }) => `${sizeMs}/${hopMs}`),
    userSampleSize: settings.userSampleSize,
    validationRequired: [...settings.validationRequired].sort(),
    windowSizeMs: settings.windowSizeMs,
  }
}

/** 12 hex digits that ride in every commit: a task refuses to go on from a commit with another hash. */
export function configHash(settings: Settings): string {
  return createHash('sha256')
    .update(JSON.stringify(semanticSettings(settings)))
    .digest('hex')
    .slice(0, 12)
}
