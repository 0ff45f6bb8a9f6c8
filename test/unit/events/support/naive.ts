import { isUtf8 } from 'node:buffer'
import { expect } from 'vitest'
import { createRecount, type RecountHeaders, type RecountRules } from '../../../../src/dev/recount.ts'
import { createEventParser, type EventRules, emptyEvent, type LoginEvent } from '../../../../src/events/parse.ts'
import { SliceParser } from './sliceParser.ts'
import { toldBy } from './toldBy.ts'

export const RULES: EventRules = { maxEventBytes: 64 << 20, validationRequired: ['user_id', 'timestamp'] }

export type Outcome = { readonly code: string; readonly event: LoginEvent }

/** What the parser makes of a value, and a slice before it as well; `code` is `accepted` for an event. */
export function parsed(value: Uint8Array | null, rules: Partial<EventRules> = {}, headers?: RecountHeaders): Outcome {
  const given = { ...RULES, ...rules }
  const event = emptyEvent()
  // In the middle of a longer buffer, as values lie in a fetched batch.
  const bytes = Buffer.concat([Buffer.from('{"'), value ?? Buffer.alloc(0), Buffer.from('"}')])
  const start = value === null ? -1 : 2
  const end = value === null ? -1 : 2 + value.length
  const lookup = headers && ((name: string) => (headers[name] === undefined ? null : String(headers[name])))
  const code = createEventParser(given, true)(bytes, start, end, event, lookup)
  const sliced = new SliceParser(given, true)
  const slicedEvent = emptyEvent()
  expect(sliced.parse(bytes, start, end, slicedEvent, lookup)).toBe(code)
  if (sliced.hasRead) expect(toldBy(slicedEvent)).toEqual(toldBy(event))
  return { code: code ?? 'accepted', event }
}

/** What the naive recount makes of the same value, and of an accepted event the millisecond and what was counted. */
export function recounted(value: Uint8Array | null, rules: Partial<EventRules> = {}, headers?: RecountHeaders) {
  const recountRules: RecountRules = {
    ...RULES,
    ...rules,
    windowSizeMs: 1,
    allowedLatenessMs: 0,
    maxFutureSkewMs: 0,
  }
  const recount = createRecount(recountRules)
  const timestamp = Date.parse('9999-12-31T23:59:59.999Z')
  const code = recount.add({ partition: 0, offset: 0, timestamp, value, ...(headers === undefined ? {} : { headers }) })
  const [key, counts] = Object.entries(recount.result().windows)[0] ?? []
  return { code, timeMs: key === undefined ? 0 : Date.parse(key.slice('1ms/'.length)), counts }
}

/** Strict UTF-8 and JSON.parse: the object in the value; null when there is none. */
export function strictObject(value: Uint8Array | null): Record<string, unknown> | null {
  if (value === null || !isUtf8(value)) return null
  try {
    const json: unknown = JSON.parse(Buffer.from(value).toString())
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : null
  } catch {
    return null
  }
}

export const FIELDS = ['device_type', 'device_id', 'locale', 'app_version', 'ip'] as const

/** The parser's event in the words of the recount. */
export function countsOf(event: LoginEvent) {
  const names = (bits: number) => Object.fromEntries(FIELDS.filter((_, i) => (bits >> i) & 1).map(name => [name, 1]))
  return {
    count: 1,
    device_stats: one(event.deviceType),
    location_stats: one(event.locale),
    app_version_stats: one(event.appVersion),
    quality: { missing: names(event.missing), invalid: names(event.invalid) },
  }
}

// fromEntries, so that `__proto__` is a key.
const one = (value: string) => Object.fromEntries([[value, 1]])
