import { invariant } from '../errors.ts'
import { ADDED_FIELDS, UNKNOWN } from './fields.ts'
import { createHourReader, dayPartOf } from './hours.ts'
import { createIsoText } from './isoText.ts'
import { localeKindOf } from './locale.ts'
import { MEMBER_NAMES } from './loginEvent.ts'
import type { JsonObject, LoginEvent } from './parse.ts'
import { createPlaceReader, type GeoLookup, type PlaceReader } from './place.ts'
import { versionCategory } from './version.ts'

export type { GeoLookup, GeoPlace } from './place.ts'

export type EnrichOptions = {
  /** IANA name of the zone that hours of the day are told in. */
  readonly timeZone: string
  readonly geo: GeoLookup
  /** Replaces user ids in the record and its key; null leaves them as they are. */
  readonly hashUserId: ((userId: string) => string) | null
  /**
   * The fields to write, in this order, each under the name `as`, no name twice; one that an event lacks is left out. Null
   * writes all: first those that came, in their order, then the contract's others.
   */
  readonly fields: readonly { readonly field: string; readonly as: string }[] | null
}

export type EnrichedEvent = {
  /** The record's key: the user id, hashed when user ids are. */
  readonly userId: string
  /** The record's value, one JSON object. */
  readonly text: string
}

/**
 * Writes an event's enriched record as JSON. The event must come from a parser that keeps fields.
 * @param processedMs the moment of enrichment, epoch milliseconds
 * @param maxBytes above so many bytes of UTF-8 only the contract's fields are written, which come to 8 KiB at most
 */
export type EnrichedText = (event: LoginEvent, processedMs: number, maxBytes: number) => EnrichedEvent

/** The fields of every enriched record: the contract's. */
export const ENRICHED_FIELDS: readonly string[] = MEMBER_NAMES

/**
 * Fields of one event as JSON, each with its name and a comma behind it (`"locale":"NY",`), in the order of
 * ENRICHED_FIELDS. What comes again and again is kept as one text: the fewer the pieces, the faster the record.
 */
type Pieces = string[]

type PieceMaker = {
  /** Makes the pieces of the fields that events bring. */
  readonly incoming: (event: LoginEvent, userId: string, pieces: Pieces) => void
  /** Makes the pieces of the fields that enrichment adds. */
  readonly added: (event: LoginEvent, processedMs: number, pieces: Pieces) => void
  /** All fields that enrichment adds, in few pieces, and the end of the object. */
  readonly ending: (event: LoginEvent, processedMs: number) => string
}

/**
 * Compiles the enrichment of events.
 * @param places the reader of `options.geo` that is shared with whoever else asks for the places of the same events
 * @throws RangeError when there is no such time zone
 */
export function createEnrichedText(
  options: EnrichOptions,
  places: PlaceReader = createPlaceReader(options.geo),
): EnrichedText {
  const { hashUserId } = options
  const maker = createPieceMaker(options.timeZone, places)
  const pieces: Pieces = ENRICHED_FIELDS.map(() => '')
  const chosen = options.fields === null ? null : planOf(options.fields)
  const write = (event: LoginEvent, fields: JsonObject, processedMs: number, wide: boolean): string => {
    if (chosen === null) return textOfAll(event, fields, processedMs, wide, pieces, maker)
    maker.added(event, processedMs, pieces)
    return textOfChosen(chosen, fields, wide, pieces)
  }
  return (event, processedMs, maxBytes) => {
    const fields = event.fields
    invariant(fields !== null, 'the parser of events to enrich keeps their fields')
    const userId = hashUserId === null ? event.userId : hashUserId(event.userId)
    maker.incoming(event, userId, pieces)
    const text = write(event, fields, processedMs, true)
    return { userId, text: isLonger(text, maxBytes) ? write(event, fields, processedMs, false) : text }
  }
}

function createPieceMaker(timeZone: string, { addressOf, placeOf }: PlaceReader): PieceMaker {
  const secondOf = createSecondReader(timeZone)
  const isoText = createIsoText()
  const often = (name: string, end: ',' | '}', make = (text: string) => text) =>
    cached(text => flat('"', name, '":', JSON.stringify(make(text)), end))
  const [deviceType, locale, appVersion] = [often('device_type', ','), often('locale', ','), often('app_version', ',')]
  const [category, kind] = [often('version_category', ',', versionCategory), often('locale_kind', ',', localeKindOf)]
  const [country, region, lastRegion] = [often('country', ','), often('region', ','), often('region', '}')]
  let lastMs = Number.NaN
  let lastProcessed = ''
  const processed = (ms: number): string => {
    // The events of a batch are enriched at one moment.
    if (ms !== lastMs) {
      lastMs = ms
      lastProcessed = flat('"processed_timestamp":"', isoText(ms), '",')
    }
    return lastProcessed
  }
  return {
    incoming: (event, userId, pieces) => {
      const { deviceId } = event
      pieces[0] = NEEDS_ESCAPES.test(userId) ? `"user_id":${JSON.stringify(userId)},` : `"user_id":"${userId}",`
      pieces[1] = secondOf(event.timeMs).timestamp
      pieces[2] = deviceType(event.deviceType)
      pieces[3] = NEEDS_ESCAPES.test(deviceId)
        ? `"device_id":${JSON.stringify(deviceId)},`
        : `"device_id":"${deviceId}",`
      pieces[4] = locale(event.locale)
      pieces[5] = appVersion(event.appVersion)
      pieces[6] = `"ip":"${addressOf(event.ip)?.masked ?? UNKNOWN}",`
    },
    added: (event, processedMs, pieces) => {
      const place = placeOf(event.ip)
      const { hour, dayPart } = secondOf(event.timeMs)
      pieces[7] = processed(processedMs)
      pieces[8] = `"readable_timestamp":"${isoText(event.timeMs)}",`
      pieces[9] = hour
      pieces[10] = dayPart
      pieces[11] = category(event.appVersion)
      pieces[12] = kind(event.locale)
      pieces[13] = country(place.country)
      pieces[14] = region(place.region)
    },
    ending: (event, processedMs) => {
      const place = placeOf(event.ip)
      const { whole, hour, dayPart } = secondOf(event.timeMs)
      const when =
        event.timeMs % 1000 === 0 ? whole : `"readable_timestamp":"${isoText(event.timeMs)}",${hour}${dayPart}`
      const what = category(event.appVersion) + kind(event.locale)
      return processed(processedMs) + when + what + country(place.country) + lastRegion(place.region)
    },
  }
}

const INDEX: ReadonlyMap<string, number> = new Map(ENRICHED_FIELDS.map((name, i) => [name, i]))
const INCOMING_COUNT = ENRICHED_FIELDS.length - ADDED_FIELDS.length

/** All fields: those that came, in their order, then the others. */
function textOfAll(
  event: LoginEvent,
  fields: JsonObject,
  processedMs: number,
  wide: boolean,
  pieces: Pieces,
  maker: PieceMaker,
): string {
  let text = '{'
  let written = 0
  for (const name in fields) {
    const i = INDEX.get(name)
    if (i !== undefined) {
      // An event that was enriched before, or names a field of its own so: what comes last is not known beforehand.
      if (i >= INCOMING_COUNT && written >> INCOMING_COUNT === 0) maker.added(event, processedMs, pieces)
      text += pieces[i] as string
      written |= 1 << i
    } else if (wide) text += `${JSON.stringify(name)}:${JSON.stringify(fields[name])},`
  }
  const overlaps = written >> INCOMING_COUNT !== 0
  const count = overlaps ? ENRICHED_FIELDS.length : INCOMING_COUNT
  for (let i = 0; i < count; i++) if ((written & (1 << i)) === 0) text += pieces[i] as string
  return overlaps ? `${text.slice(0, -1)}}` : text + maker.ending(event, processedMs)
}

type Chosen = { readonly field: string; readonly index: number; readonly name: string; readonly ownLength: number }

function planOf(chosen: readonly { readonly field: string; readonly as: string }[]): readonly Chosen[] {
  invariant(new Set(chosen.map(({ as }) => as)).size === chosen.length, 'no name is written twice')
  return chosen.map(({ field, as }) => {
    return { field, index: INDEX.get(field) ?? -1, name: `${JSON.stringify(as)}:`, ownLength: `"${field}":`.length }
  })
}

function textOfChosen(plan: readonly Chosen[], fields: JsonObject, wide: boolean, pieces: Pieces): string {
  let text = '{'
  for (const { field, index, name, ownLength } of plan) {
    if (index >= 0) text += name + (pieces[index] as string).slice(ownLength)
    else if (wide && Object.hasOwn(fields, field)) text += `${name}${JSON.stringify(fields[field])},`
  }
  return text === '{' ? '{}' : `${text.slice(0, -1)}}`
}

/** What is told of all moments of one second: a zone's offset changes between seconds only. */
type Second = {
  readonly timestamp: string
  readonly hour: string
  readonly dayPart: string
  /** Hour and part of the day, and before them the readable timestamp of the second's first millisecond. */
  readonly whole: string
}

function createSecondReader(timeZone: string): (timeMs: number) => Second {
  const hourOf = createHourReader(timeZone)
  const isoText = createIsoText()
  const seconds = new Map<number, Second>()
  return timeMs => {
    const epochSeconds = Math.floor(timeMs / 1000)
    let second = seconds.get(epochSeconds)
    if (second === undefined) {
      const hourOfDay = hourOf(timeMs)
      const hour = `"hour_of_day":${hourOfDay},`
      const dayPart = `"day_part":"${dayPartOf(hourOfDay)}",`
      const whole = flat('"readable_timestamp":"', isoText(epochSeconds * 1000), '",', hour, dayPart)
      second = { timestamp: flat('"timestamp":', String(epochSeconds), ','), hour, dayPart, whole }
      if (seconds.size >= CACHE_LIMIT) seconds.clear()
      seconds.set(epochSeconds, second)
    }
    return second
  }
}

/** What JSON escapes in well-formed text, which all texts are that come here. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NEEDS_ESCAPES = /["\\\u0000-\u001f]/

/**
 * The parts as one text in one run of memory. V8 keeps what `+` puts together as a tree, which would be walked anew for
 * each record that it is a part of.
 */
function flat(...parts: readonly string[]): string {
  return parts.join('')
}

const CACHE_LIMIT = 4096

function cached(make: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>()
  return text => {
    let made = known.get(text)
    if (made === undefined) {
      made = make(text)
      if (known.size >= CACHE_LIMIT) known.clear()
      known.set(text, made)
    }
    return made
  }
}

/** Whether a text comes to more than `max` bytes of UTF-8; only one that is near to it is counted through. */
function isLonger(text: string, max: number): boolean {
  if (text.length * 3 <= max) return false
  let bytes = text.length
  for (let i = 0; i < text.length && bytes <= max; i++) {
    const unit = text.charCodeAt(i)
    // Half of a surrogate pair is two of its four bytes, and JSON has no half alone.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return bytes > max
}
