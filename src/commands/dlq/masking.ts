import { createHash } from 'node:crypto'
import { isEnvelope } from '../../events/cloudEvent.ts'
import { MAX_LENGTHS } from '../../events/fields.ts'
import { readIp } from '../../events/ip.ts'
import { parseTimestamp } from '../../events/timestamp.ts'

/** What is shown of a key, a header or a value, in JSON's terms. */
export type Shown = string | number | boolean | null | { readonly [name: string]: Shown }

const IDS = new Set(['user_id', 'device_id'])
/** Fields that tell no person from another, and the longest text that is shown of them. */
const PLAIN: ReadonlyMap<string, number> = new Map([
  ['device_type', MAX_LENGTHS.device_type],
  ['locale', MAX_LENGTHS.locale],
  ['app_version', MAX_LENGTHS.app_version],
])
/** Two characters of an id shorter than this would be too much of it. */
const SHORT_ID = 8
const MAX_FIELDS = 50
const MAX_NAME = 64
const DIGEST_LENGTH = 16

/** An id's first two characters and its length in UTF-16 units, as `ab…(36)`; of a short one the length only. */
export function maskId(id: string): string {
  // Not half of a surrogate pair.
  const start = id.length < SHORT_ID ? '' : id.slice(0, 2).replace(/[\ud800-\udbff]$/, '')
  return `${start}…(${id.length})`
}

/** Masks a record's key, which may be a user id or an address. */
export function maskKey(key: Uint8Array | null): string | null {
  if (key === null) return null
  const text = utf8(key)
  return text === null ? describeBytes(key) : maskAddress(text)
}

/**
 * Masks a record's value: the fields of a JSON object one by one, those of a CloudEvent's data too; anything else is told
 * by its length and digest.
 * @param contentType the record's header of that name, null without one
 */
export function maskValue(value: Uint8Array | null, contentType: string | null): Shown {
  if (value === null) return null
  const fields = jsonObject(value)
  return fields === null ? describeBytes(value) : maskFields(fields, contentType, true)
}

/** `<1234 bytes, sha256 0123456789abcdef…>`: enough to see whether two are the same. */
export function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return '<0 bytes>'
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, DIGEST_LENGTH)
  return `<${bytes.length} bytes, sha256 ${digest}…>`
}

/** Bytes as they are: text when they are UTF-8, else base64. */
export function reveal(bytes: Uint8Array | string | null): Shown {
  if (bytes === null || typeof bytes === 'string') return bytes
  return utf8(bytes) ?? { base64: Buffer.from(bytes).toString('base64') }
}

function maskFields(fields: Readonly<Record<string, unknown>>, contentType: string | null, outermost: boolean): Shown {
  const envelope = outermost && isEnvelope(fields, () => contentType)
  const names = Object.keys(fields)
  const shown = names.slice(0, MAX_FIELDS).map((name): [string, Shown] => {
    const value = fields[name]
    const inner = envelope && name === 'data' && isObject(value)
    return [shorten(name), inner ? maskFields(value, null, false) : maskField(name, value)]
  })
  if (names.length > MAX_FIELDS) shown.push(['…', `<${names.length - MAX_FIELDS} more fields>`])
  return Object.fromEntries(shown)
}

function maskField(name: string, value: unknown): Shown {
  if (value === null) return null
  if (name === 'timestamp') return parseTimestamp(value) < 0 ? typeName(value) : (value as string | number)
  const text = typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null
  if (text === null) return typeName(value)
  if (IDS.has(name)) return maskId(text)
  if (name === 'ip') return maskAddress(text)
  return text.length <= (PLAIN.get(name) ?? -1) ? text : typeName(value)
}

const maskAddress = (text: string) => readIp(text)?.masked ?? maskId(text)

const typeName = (value: unknown) => `<${Array.isArray(value) ? 'array' : typeof value}>`

const shorten = (name: string) => (name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…(${name.length})` : name)

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function jsonObject(value: Uint8Array): Readonly<Record<string, unknown>> | null {
  const text = utf8(value)
  if (text === null) return null
  try {
    const parsed: unknown = JSON.parse(text)
    return isObject(parsed) ? parsed : null
  } catch {
    // No JSON, or nested deeper than can be read: its bytes are described instead.
    return null
  }
}

function utf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    // Not UTF-8.
    return null
  }
}
