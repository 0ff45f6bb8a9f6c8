/** A JSON Schema, of the kind that OpenAPI 3.1 takes. */
export type Schema = Readonly<Record<string, unknown>>

/** A parameter of the API: the schema that it is validated by, and what a person is told when it does not fit. */
export type Parameter = { readonly schema: Schema; readonly doc: string; readonly allowed: string }

export const MAX_LIMIT = 1_000
const DEFAULT_LIMIT = 100
const MAX_TIME_MS = 8.64e15
const STATUS = '(provisional|final|corrected)'
const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const ISO =
  /^(\d{4}-\d{2}-\d{2})(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:[.,](\d{1,9}))?)?(?:Z|([ +-])([01]\d|2[0-3]):([0-5]\d))?)?$/

/** Every parameter of every path, by its name. */
export const PARAMETERS = {
  size: {
    schema: { type: 'string', pattern: '^[1-9][0-9]{0,8}(ms|s|m|h|d)$' },
    doc: 'The length of the windows; the shortest when left out.',
    allowed: 'a size of `/api/sizes`, as 10s or 1m',
  },
  from: {
    schema: { type: 'string', format: 'moment' },
    doc: 'Only windows that begin at this time or later.',
    allowed: 'an ISO 8601 time (without a zone: UTC), or epoch milliseconds',
  },
  to: {
    schema: { type: 'string', format: 'moment' },
    doc: 'Only windows that begin before this time, which is later than `from`.',
    allowed: 'an ISO 8601 time (without a zone: UTC), or epoch milliseconds',
  },
  limit: {
    schema: { type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT },
    doc: 'The most windows in an answer; very large windows end it earlier. `next` leads on.',
    allowed: `a whole number from 1 to ${MAX_LIMIT}`,
  },
  order: {
    schema: { type: 'string', enum: ['asc', 'desc'], default: 'desc' },
    doc: 'Whether the first windows come first, or the last.',
    allowed: 'asc or desc',
  },
  status: {
    schema: { type: 'string', pattern: `^${STATUS}(,${STATUS}){0,2}$` },
    doc: 'Only windows of these statuses; all when left out.',
    allowed: 'one or more of provisional, final, corrected, with commas between them',
  },
  cursor: {
    schema: { type: 'string', format: 'cursor' },
    doc: 'Where an earlier answer ended; as it stands in `next`.',
    allowed: 'the cursor of a `next` link, with the size and order that it was made for',
  },
  format: {
    schema: { type: 'string', enum: ['json', 'csv'] },
    doc: 'The form of the answer; when left out, what the header Accept prefers.',
    allowed: 'json or csv',
  },
  window: {
    schema: { type: 'string', format: 'window-choice', default: 'latest' },
    doc: 'The window that begins at this time, the `latest` one that is not provisional, or `all` of history.',
    allowed: 'latest, all, or the start of a window as an ISO 8601 time or epoch milliseconds',
  },
  start: {
    schema: { type: 'string', format: 'moment' },
    doc: 'When the window begins.',
    allowed: 'an ISO 8601 time (without a zone: UTC), or epoch milliseconds',
  },
  key: {
    schema: { type: 'string', format: 'window-key' },
    doc: 'The key of a result, its slash encoded: `1m%2F2023-09-12T00:12:00.000Z`.',
    allowed: '<size>/<start>, its slash encoded as %2F',
  },
} as const satisfies Readonly<Record<string, Parameter>>

export type ParameterName = keyof typeof PARAMETERS

/** The formats of those schemas, for ajv. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  moment: text => momentOf(text) !== null,
  cursor: text => cursorOf(text) !== null,
  'window-choice': text => text === 'latest' || text === 'all' || momentOf(text) !== null,
  'window-key': text => windowKeyOf(text) !== null,
}

/** The schema of an object of parameters: `names` and nothing else, none required unless all are. */
export function parametersSchema(names: readonly ParameterName[], required = false): Schema {
  return {
    type: 'object',
    properties: Object.fromEntries(names.map(name => [name, PARAMETERS[name].schema])),
    additionalProperties: false,
    required: required ? names : [],
  }
}

/** Epoch milliseconds of an ISO 8601 time or of epoch milliseconds in digits; null for any other text. */
export function momentOf(text: string): number | null {
  if (/^\d{1,16}$/.test(text)) return Number(text) <= MAX_TIME_MS ? Number(text) : null
  const match = ISO.exec(text)
  if (match === null) return null
  const [, day = '', hour = '00', minute = '00', second = '00', fraction = '', sign, zoneHour, zoneMinute] = match
  const midnightMs = Date.parse(`${day}T00:00:00.000Z`)
  // Date.parse makes the 2nd of March of the 30th of February.
  if (Number.isNaN(midnightMs) || new Date(midnightMs).toISOString().slice(0, 10) !== day) return null
  const dayMs = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1_000
  const fractionMs = Number(fraction.slice(0, 3).padEnd(3, '0'))
  const zoneMs = sign === undefined ? 0 : (Number(zoneHour) * 60 + Number(zoneMinute)) * 60_000
  // A plus sign that was not encoded has become a space.
  return midnightMs + dayMs + fractionMs - (sign === '-' ? -zoneMs : zoneMs)
}

/** Milliseconds of a size as `1m`; null for any other text. */
export function sizeMsOf(text: string): number | null {
  const [, digits, unit] = /^([1-9]\d{0,8})(ms|s|m|h|d)$/.exec(text) ?? []
  return digits === undefined || unit === undefined ? null : Number(digits) * (MS_PER_UNIT[unit] as number)
}

/** What a key `<size>/<start>` names; null for any other text. */
export function windowKeyOf(text: string): { readonly sizeMs: number; readonly startMs: number } | null {
  const [size = '', start = '', ...rest] = text.split('/')
  const [sizeMs, startMs] = [sizeMsOf(size), momentOf(start)]
  return sizeMs === null || startMs === null || rest.length > 0 ? null : { sizeMs, startMs }
}

/** Where a page ended: with the window that begins at `startMs`. */
export type Cursor = { readonly sizeMs: number; readonly order: 'asc' | 'desc'; readonly startMs: number }

export function cursorText({ sizeMs, order, startMs }: Cursor): string {
  return Buffer.from(`${sizeMs} ${order} ${startMs}`).toString('base64url')
}

/** @returns null for what no cursorText gave */
export function cursorOf(text: string): Cursor | null {
  const plain = Buffer.from(text, 'base64url').toString()
  const [, size, order, start] = /^(\d{1,15}) (asc|desc) (\d{1,16})$/.exec(plain) ?? []
  if (size === undefined || start === undefined) return null
  const cursor = { sizeMs: Number(size), order: order as 'asc' | 'desc', startMs: Number(start) }
  return cursorText(cursor) === text ? cursor : null
}
