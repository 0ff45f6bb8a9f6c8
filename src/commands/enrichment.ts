import type { Settings } from '../config/settings.ts'
import { createEnricher } from '../events/enrich.ts'
import type { EnrichText } from '../tasks/eventOutputs.ts'
import type { Log } from '../telemetry/log.ts'

/** Opens what enrichment asks of the outside: the database of places and the key of user ids. */
export async function openEnrichment(
  settings: Settings['enriched'],
  _log: Log,
): Promise<{ readonly enrich: EnrichText; readonly close: () => void }> {
  const enricher = createEnricher({
    timeZone: settings.timeZone,
    geo: () => ({ country: 'unknown', region: 'unknown' }),
    hashUserId: null,
    fields: null,
  })
  return {
    enrich: (event, now) => {
      const { userId, record } = enricher(event, now)
      return { userId, text: JSON.stringify(record) }
    },
    close: () => {},
  }
}
