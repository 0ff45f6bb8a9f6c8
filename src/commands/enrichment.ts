import type { Settings } from '../config/settings.ts'
import { createEnrichedText } from '../events/enrich.ts'
import { createPlaceReader, type GeoLookup, type Ipv4Lookup } from '../events/place.ts'
import { createEnrichedSplice, type EnrichedSplice } from '../events/splice.ts'
import { openGeo } from '../lookups/geo.ts'
import { readUserIdHash } from '../lookups/userIdHash.ts'
import type { EnrichText } from '../tasks/eventOutputs.ts'
import type { Log } from '../telemetry/log.ts'

export type Enrichment = {
  /** The place of an event's address. Windows count places also when no event is enriched. */
  readonly place: GeoLookup
  readonly ipv4Places: Ipv4Lookup
  /** Null when accepted events are only counted. */
  readonly enrich: EnrichText | null
  /** Null when every record is written as a text: also where fields are chosen or renamed. */
  readonly splice: EnrichedSplice | null
  readonly close: () => void
}

/**
 * Opens what counting and enrichment ask of the outside: the database of places and the key of user ids.
 * @throws TidemarkError `bad_setting` when one of them cannot be used
 */
export async function openEnrichment(
  { enabled, timeZone, fields, geoDatabase, userIdKey }: Settings['enriched'],
  log: Log,
): Promise<Enrichment> {
  const hashUserId = !enabled || userIdKey === null ? null : readUserIdHash(userIdKey)
  const { lookup, lookupIpv4, close } = await openGeo({
    file: geoDatabase,
    onEvent: (name, details) => log[name === 'geo_loaded' ? 'info' : 'error'](name, details),
  })
  const places = createPlaceReader(lookup)
  const enrich = enabled ? createEnrichedText({ timeZone, geo: lookup, hashUserId, fields }, places) : null
  const splice = enabled && fields === null ? createEnrichedSplice({ timeZone, hashUserId }) : null
  return { place: places.placeOf, ipv4Places: lookupIpv4, enrich, splice, close }
}
