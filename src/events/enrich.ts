import type { DeviceType } from './deviceType.ts'
import { ADDED_FIELDS, UNKNOWN } from './fields.ts'
import { createHourReader, dayPartOf } from './hours.ts'
import { readIp } from './ip.ts'
import { createIsoText } from './isoText.ts'
import type { LoginEvent } from './parse.ts'
import { versionCategory } from './version.ts'

/** Where an address is: an ISO 3166 alpha-2 code and a region's name, or `unknown`. */
export type GeoPlace = { readonly country: string; readonly region: string }

/** Looks up an address (IPv4 in dotted decimal, or IPv6). It answers for every address and never throws. */
export type GeoLookup = (ip: string) => GeoPlace

export type EnrichOptions = {
  /** IANA name of the zone that hours of the day are told in. */
  readonly timeZone: string
  readonly geo: GeoLookup
  /** Replaces user ids in the record and its key; null leaves them as they are. */
  readonly hashUserId: ((userId: string) => string) | null
  /** The fields to write, in this order; null writes all: first those that came, as they came, then the new ones. */
  readonly fields: readonly string[] | null
}

export type EnrichedEvent = {
  /** The record's key: the user id, hashed when user ids are. */
  readonly userId: string
  /** All of it, or the fields chosen. */
  readonly record: Partial<EnrichedRecord>
}

/** The enriched record's fields, to be written as JSON. Beside these it has all that the event had. */
export type EnrichedRecord = {
  user_id: string
  /** Epoch seconds, whole. */
  timestamp: number
  device_type: DeviceType
  device_id: string
  locale: string
  app_version: string
  /** Masked. */
  ip: string
  processed_timestamp: string
  readable_timestamp: string
  hour_of_day: number
  day_part: string
  version_category: string
  country: string
  region: string
}

/**
 * Makes an event's enriched record. The event must come from a parser that keeps fields.
 * @param processedMs the moment of enrichment, epoch milliseconds
 */
export type Enricher = (event: LoginEvent, processedMs: number) => EnrichedEvent

const NOWHERE: GeoPlace = { country: UNKNOWN, region: UNKNOWN }

/** @throws RangeError when there is no such time zone */
export function createEnricher(options: EnrichOptions): Enricher {
  const hourOf = createHourReader(options.timeZone)
  const isoText = createIsoText()
  const { geo, hashUserId } = options
  const chosen = options.fields === null ? null : [...new Set(options.fields)]
  return (event, processedMs) => {
    const userId = hashUserId === null ? event.userId : hashUserId(event.userId)
    const address = event.ip === UNKNOWN ? null : readIp(event.ip)
    const place = address === null ? NOWHERE : geo(address.text)
    const hour = hourOf(event.timeMs)
    // A spread makes `__proto__` a field like others, and what is set again keeps the place where it came.
    const record = { ...event.fields } as EnrichedRecord
    record.user_id = userId
    record.timestamp = Math.floor(event.timeMs / 1000)
    record.device_type = event.deviceType
    record.device_id = event.deviceId
    record.locale = event.locale
    record.app_version = event.appVersion
    record.ip = address === null ? UNKNOWN : address.masked
    record.processed_timestamp = isoText(processedMs)
    record.readable_timestamp = isoText(event.timeMs)
    record.hour_of_day = hour
    record.day_part = dayPartOf(hour)
    record.version_category = versionCategory(event.appVersion)
    record.country = place.country
    record.region = place.region
    return { userId, record: chosen === null ? record : pick(record, chosen) }
  }
}

/** Names that a choice of fields can count on: those of every enriched record. */
export const ENRICHED_FIELDS: readonly string[] = [
  'user_id',
  'timestamp',
  'device_type',
  'device_id',
  'locale',
  'app_version',
  'ip',
  ...ADDED_FIELDS,
]

function pick(record: EnrichedRecord, names: readonly string[]): Partial<EnrichedRecord> {
  const all = record as Record<string, unknown>
  // fromEntries makes own fields of all names, `__proto__` too.
  return Object.fromEntries(names.filter(name => Object.hasOwn(all, name)).map(name => [name, all[name]]))
}
