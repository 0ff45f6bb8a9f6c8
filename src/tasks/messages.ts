import { type AggregateJson, isAggregateJson } from '../aggregate/aggregate.ts'
import type { Totals } from '../results/result.ts'
import type { Gap } from '../windows/gaps.ts'
import type { Tally } from './task.ts'

export function copyTotals({ accepted, late, rejected }: Tally): Totals {
  return { accepted, late, rejected: { ...rejected } }
}

/** What has come to `now` since `before`; lists no zeros. */
export function totalsSince(now: Totals, before: Tally): Tally {
  const rejected = Object.entries(now.rejected).map(([code, count]) => [code, count - (before.rejected[code] ?? 0)])
  return {
    accepted: now.accepted - before.accepted,
    late: now.late - before.late,
    rejected: Object.fromEntries(rejected.filter(([, count]) => count !== 0)),
  }
}

/** Totals of sources that each speak for themselves, added up; codes in text order. */
export function sumTotals(progress: Iterable<{ readonly totals: Totals }>): Totals {
  const sum: Totals = { accepted: 0, late: 0, rejected: {} }
  const rejected = new Map<string, number>()
  for (const { totals } of progress) {
    sum.accepted += totals.accepted
    sum.late += totals.late
    for (const [code, count] of Object.entries(totals.rejected)) rejected.set(code, (rejected.get(code) ?? 0) + count)
  }
  for (const code of [...rejected.keys()].sort()) sum.rejected[code] = rejected.get(code) as number
  return sum
}

/**
 * A true statement about a prefix: of the records of source partition `p` with offsets in [from, through), those accepted
 * into window `w` add up to exactly `aggregate`. One level up the same is said of windows: `p` is the index of a shorter
 * window that lies in `w`, `from` is 0, and `through` the revision of its result, so that a corrected result replaces itself.
 */
export type PartialMessage = {
  readonly kind: 'partial'
  readonly generation: number
  /** Window index. */
  readonly w: number
  readonly p: number
  /** Start of the chunk (or sub-chunk) that the aggregate counts. */
  readonly from: number
  /** The partition's clock at `from`, epoch milliseconds. */
  readonly clockAtFrom: number
  readonly through: number
  /** One past the offset of the last event counted. */
  readonly last: number
  readonly aggregate: AggregateJson
  /** What the shorter window covers; null of a partial that counts events. */
  readonly coverage: readonly Covered[] | null
}

/** Every event of a window that source partition `p` holds in offsets [from, through) is counted, and none lies below. */
export type Covered = {
  readonly p: number
  readonly from: number
  /** The partition's clock at `from`, epoch milliseconds. */
  readonly clockAtFrom: number
  readonly through: number
  /** Ranges of offsets whose events are perhaps counted twice. */
  readonly twice: readonly (readonly [number, number])[]
}

/**
 * Everything that partition `p` has to say below `through` has been said before this record. The sources of a level are the
 * partitions of the level below it.
 */
export type ProgressMessage = {
  readonly kind: 'progress'
  readonly generation: number
  readonly p: number
  /** Number of source partitions known to the sender. */
  readonly of: number
  readonly through: number
  /** Greatest min(event time, record timestamp) below `through`, epoch milliseconds; 0 before the first event. */
  readonly clock: number
  /** When the partition was last proven to have nothing past `through`, epoch milliseconds; null when it is not idle. */
  readonly idleAsOf: number | null
  readonly totals: Totals
  readonly gaps: readonly SourceGap[]
}

/** A gap in the log of source partition `p`. */
export type SourceGap = Gap & { readonly p: number }

export type Message = PartialMessage | ProgressMessage

/** Version of the two records' JSON; a reader leaves others alone. */
const MESSAGE_VERSION = 2

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** A user sample that is still to be put in. Nothing else reads like this: other members of that name hold counts. */
const EMPTY_SAMPLE = '"u":""'

export function encodeMessage(message: Message): Uint8Array {
  const { kind, generation, ...rest } = message
  const stated = { v: MESSAGE_VERSION, kind, g: generation, ...rest }
  if (kind === 'partial' && message.aggregate.u !== undefined) return encodeWithSample(stated, message.aggregate)
  return encoder.encode(JSON.stringify(stated))
}

/**
 * The same bytes as of any message. A user sample is nearly all of a partial, and its base64 is the same in JSON: it is put
 * in its place at the end, instead of being looked through for what JSON escapes and copied again and again.
 */
function encodeWithSample(stated: object, { u = '', ...counted }: AggregateJson): Uint8Array {
  const text = JSON.stringify({ ...stated, aggregate: { ...counted, u: '' } })
  const at = text.lastIndexOf(EMPTY_SAMPLE) + EMPTY_SAMPLE.length - 1
  const before = encoder.encode(text.slice(0, at))
  const after = encoder.encode(text.slice(at))
  const bytes = new Uint8Array(before.length + u.length + after.length)
  bytes.set(before)
  encoder.encodeInto(u, bytes.subarray(before.length))
  bytes.set(after, before.length + u.length)
  return bytes
}

/** @returns null when the bytes are no message of this version: somebody else's record, to be left alone and reported */
export function decodeMessage(bytes: Uint8Array, start: number, end: number): Message | null {
  if (start < 0) return null
  let json: unknown
  try {
    json = JSON.parse(decoder.decode(bytes.subarray(start, end)))
  } catch {
    return null
  }
  if (typeof json !== 'object' || json === null) return null
  const { v, kind, g: generation } = json as Record<string, unknown>
  if (v !== MESSAGE_VERSION || typeof generation !== 'number') return null
  if (kind === 'partial' && isPartial(json as Fields)) {
    // Field by field: a reducer may have thousands of these to read in a second.
    const { w, p, from, clockAtFrom, through, last, aggregate, coverage } = json as PartialMessage
    return { kind, generation, w, p, from, clockAtFrom, through, last, aggregate, coverage }
  }
  if (kind === 'progress' && isProgress(json as Fields)) {
    const { p, of, through, clock, idleAsOf, totals, gaps } = json as ProgressMessage
    return { kind, generation, p, of, through, clock, idleAsOf, totals, gaps }
  }
  return null
}

const PARTIAL_NUMBERS = ['w', 'p', 'from', 'clockAtFrom', 'through', 'last']

type Fields = Readonly<Record<string, unknown>>

/** A record of the right name and the wrong shape is somebody else's, too: it must not end the reducer that reads it. */
function isPartial(rest: Fields): boolean {
  const { aggregate, coverage } = rest
  if (!areNumbers(rest, PARTIAL_NUMBERS)) return false
  return isAggregateJson(aggregate) && (coverage === null || (Array.isArray(coverage) && coverage.every(isCovered)))
}

function isProgress(rest: Fields): boolean {
  const { totals, gaps, idleAsOf } = rest
  if (!areNumbers(rest, ['p', 'of', 'through', 'clock']) || !isObject(totals) || !Array.isArray(gaps)) return false
  if (idleAsOf !== null && !Number.isFinite(idleAsOf)) return false
  return (
    areNumbers(totals, ['accepted', 'late']) &&
    isObject(totals.rejected) &&
    isNumbers(Object.values(totals.rejected)) &&
    gaps.every(gap => isObject(gap) && areNumbers(gap, ['p', 'from', 'to', 'clockBefore', 'untilMs']))
  )
}

function isCovered(value: unknown): boolean {
  if (!isObject(value) || !areNumbers(value, ['p', 'from', 'clockAtFrom', 'through'])) return false
  return Array.isArray(value.twice) && value.twice.every(range => isNumbers(range) && (range as unknown[]).length === 2)
}

function isNumbers(value: unknown): boolean {
  return Array.isArray(value) && value.every(each => Number.isFinite(each))
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function areNumbers(json: Fields, names: readonly string[]): boolean {
  for (const name of names) if (!Number.isFinite(json[name])) return false
  return true
}
