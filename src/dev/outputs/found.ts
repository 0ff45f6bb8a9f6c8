import { listHeaders, type RecountHeader } from '../../audit/event.ts'
import { NO_ADDRESS } from '../recountEnriched.ts'
import { headersText, type Parts, utf8Text } from './parts.ts'
import { type EnrichedNames, letterParts, type TopicRecord } from './wanted.ts'

/** What a record of an output topic says. */
export type FoundRecord = {
  readonly partition: number
  readonly offset: number
  readonly source: Source | null
  readonly parts: Parts
  /** What repeats of a record must have in common beside the parts. */
  readonly place: string
  /** The length of the original value where the record says that it holds only a part; null mostly. */
  readonly wholeBytes: number | null
  /** The length of its own value. */
  readonly valueBytes: number
}

/** What a dead letter says beside its parts. */
export type FoundLetter = FoundRecord & { readonly code: string; readonly message: string }

/** Where a record says that it comes from. */
export type Source = { readonly topic: string; readonly partition: number; readonly offset: number }

const COORDINATES = ['source.topic', 'source.partition', 'source.offset']
const LETTER_HEADERS = ['error.code', 'error.message', ...COORDINATES, 'source.timestamp', 'failed.at']
const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/

/** @param hashed whether user ids are, which a header then tells */
export function readEnriched(record: TopicRecord, names: EnrichedNames, hashed: boolean): FoundRecord {
  const headers = listHeaders(record.headers)
  const { texts, original } = splitOwn(headers, hashed ? [...COORDINATES, 'user_id.key'] : COORDINATES)
  const fields = objectIn(record.value)
  const placeKnown = names.ip !== null && fields?.[names.ip] === NO_ADDRESS
  const isOpen = (field: string | undefined, value: unknown) =>
    field !== undefined && (field === 'processed_timestamp' || !placeKnown) && hasShape(field, value)
  return {
    ...lengths(record),
    source: sourceOf(texts),
    parts: sink => {
      sink.text('partition', String(record.partition))
      sink.bytes('key', record.key)
      sink.text('headers', headersText(original))
      if (hashed) sink.text('user_id.key', texts?.[3] ?? '')
      if (fields === null) return sink.bytes('value', record.value)
      for (const name of Object.keys(fields)) {
        const value = fields[name]
        sink.field(name, isOpen(names.open.get(name), value) ? undefined : value)
      }
    },
    place: placeOf(fields, names),
    wholeBytes: null,
  }
}

export function readLetter(record: TopicRecord): FoundLetter {
  const headers = listHeaders(record.headers)
  const cut = headers.at(-1)?.[0] === 'value.bytes'
  const { texts, original } = splitOwn(headers, cut ? [...LETTER_HEADERS, 'value.bytes'] : LETTER_HEADERS)
  const [code = '', message = '', topic = '', partition = '', offset = '', timestamp = '', failedAt = ''] = texts ?? []
  const { key, value } = record
  const content = letterParts({ partition: record.partition, key, value, headers: original, code, timestamp })
  return {
    ...lengths(record),
    source: sourceOf(texts === null ? null : [topic, partition, offset]),
    code,
    message,
    parts: sink => {
      content(sink)
      if (!ISO.test(failedAt)) sink.text('failed.at', failedAt)
    },
    place: '',
    wholeBytes: cut && texts !== null ? Number(texts[7]) : null,
  }
}

const lengths = ({ partition, offset, value }: TopicRecord) => ({ partition, offset, valueBytes: value?.length ?? 0 })

/** Our own headers come last, so that they win over incoming ones of the same names. Null when they are not there. */
function splitOwn(headers: readonly RecountHeader[], names: readonly string[]) {
  const at = headers.length - names.length
  const isOwn = at >= 0 && names.every((name, index) => headers[at + index]?.[0] === name)
  if (!isOwn) return { texts: null, original: headers }
  const texts = headers.slice(at).map(([, value]) => (value === null ? '' : utf8Text(value)))
  return { texts, original: headers.slice(0, at) }
}

function sourceOf(texts: readonly string[] | null): Source | null {
  if (texts === null) return null
  const [topic = '', partition = '', offset = ''] = texts
  if (!/^\d+$/.test(partition) || !/^\d+$/.test(offset)) return null
  return { topic, partition: Number(partition), offset: Number(offset) }
}

/** Where the address was found to be, as far as it is written. */
function placeOf(fields: Readonly<Record<string, unknown>> | null, { open }: EnrichedNames): string {
  let place = ''
  for (const [name, field] of open) if (field !== 'processed_timestamp') place += `${fields?.[name]}/`
  return place
}

function objectIn(value: Uint8Array | null): Readonly<Record<string, unknown>> | null {
  try {
    const json: unknown = JSON.parse(utf8Text(value ?? ''))
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function hasShape(field: string, value: unknown): boolean {
  if (typeof value !== 'string') return false
  if (field === 'processed_timestamp') return ISO.test(value)
  return field === 'country' ? value === NO_ADDRESS || /^[A-Z]{2}$/.test(value) : value !== ''
}
