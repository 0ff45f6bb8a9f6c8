import type { Settings } from '../config/settings.ts'
import { createEnrichedText } from '../events/enrich.ts'
import { openGeo } from '../lookups/geo.ts'
import { readUserIdHash } from '../lookups/userIdHash.ts'
import type { EnrichText } from '../tasks/eventOutputs.ts'
import type { Log } from '../telemetry/log.ts'

/**
 * Opens what enrichment asks of the outside: the database of places and the key of user ids.
 * @throws TidemarkError `bad_setting` when one of them cannot be used
 */
export async function openEnrichment(
  { timeZone, fields, geoDatabase, userIdKey }: Settings['enriched'],
  log: Log,
): Promise<{ readonly enrich: EnrichText; readonly close: () => void }> {
  const hashUserId = userIdKey === null ? null : readUserIdHash(userIdKey)
  const { lookup, close } = await openGeo({
    file: geoDatabase,
    onEvent: (name, details) => log[name === 'geo_loaded' ? 'info' : 'error'](name, details),
  })
  return { enrich: createEnrichedText({ timeZone, geo: lookup, hashUserId, fields }), close }
}
