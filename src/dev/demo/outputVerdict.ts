import { readFile } from 'node:fs/promises'
import type { Settings } from '../../config/settings.ts'
import type { TopicReader } from '../../kafka/admin.ts'
import { topicName } from '../../kafka/names.ts'
import { judgeOutputs, type OutputVerdict } from '../outputs.ts'
import type { EnrichedRules } from '../recountEnriched.ts'

/** Holds what a run by these settings wrote to the enriched and the dead-letter topic against its source topic. */
export async function judgeOutputsOf(reader: TopicReader, settings: Settings): Promise<OutputVerdict> {
  return await judgeOutputs({
    reader,
    topics: {
      source: topicName(settings, 'source'),
      enriched: topicName(settings, 'enriched'),
      deadLetters: topicName(settings, 'deadLetters'),
    },
    rules: settings,
    enriched: settings.enriched.enabled ? await enrichedRules(settings.enriched) : null,
    exactlyOnce: settings.delivery === 'exactly-once',
  })
}

async function enrichedRules({ fields, timeZone, userIdKey }: Settings['enriched']): Promise<EnrichedRules> {
  if (userIdKey === null) return { fields, timeZone, userIdKey }
  const bytes = await readFile(userIdKey.file)
  const end = bytes.toString('latin1').replace(/\r?\n$/, '').length
  return { fields, timeZone, userIdKey: { key: bytes.subarray(0, end), id: userIdKey.id } }
}
