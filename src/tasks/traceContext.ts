import type { FetchTimes, RecordBatch } from './recordBatch.ts'

/**
 * A span's context as W3C Trace Context writes it: `00-<trace id, 32 hex digits>-<span id, 16>-<flags, 2>`. Tasks know
 * contexts as such texts alone: they come in with records and go out with a capture, and decide nothing.
 */
export type Traceparent = string

/** The header that carries a context, and the one of a CloudEvent whose attributes are headers. */
export const TRACEPARENT_HEADER = 'traceparent'
const CLOUD_EVENT_HEADER = 'ce_traceparent'

/** A span links to this many contexts at most: each is read, kept and exported, and SDKs keep 128 unless told otherwise. */
export const MAX_LINKS = 64
/** A capture tells of so many fetches at most, those that came first: a span each. */
export const MAX_FETCHES = 16
/**
 * Records of a capture that are looked at one by one: where most carry the same context, or one that nobody sampled, all
 * would cost too much. Events that are only counted are not looked at before their kernel finds that they may be of a trace.
 */
export const MAX_LOOKS = 8_192

const FORMAT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const SAMPLED = 0x01
/** The last digit of the flags, of all versions. */
const FLAGS_AT = 54

export type TraceIds = { readonly traceId: string; readonly spanId: string; readonly sampled: boolean }

/** @returns null when the text is no context: then it is to be ignored, as the standard says */
export function parseTraceparent(text: string): TraceIds | null {
  const [, version, traceId, spanId, flags, rest] = FORMAT.exec(text) ?? []
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return null
  // Version 00 has no more fields; later ones may have, and ff is none.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 }
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceIds): Traceparent {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/** The context that the current record came with, when it is sampled: another leads nowhere. */
export function sampledContextOf(batch: RecordBatch): Traceparent | null {
  if (batch.headerCount === 0) return null
  return sampledContext(batch.header(TRACEPARENT_HEADER) ?? batch.header(CLOUD_EVENT_HEADER))
}

/** The text as we write it, when it is a sampled context. */
export function sampledContext(text: string | null): Traceparent | null {
  const ids = text === null ? null : parseTraceparent(text)
  return ids?.sampled ? formatTraceparent(ids) : null
}

/** Whether the byte is a hexadecimal digit, in small letters, of an even value. */
function isEvenDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39 && (byte & 1) === 0) || (byte >= 0x61 && byte <= 0x66 && (byte & 1) === 1)
}

/** What a capture was made from, as a trace tells it. */
export type CaptureTrace = {
  /** Sampled contexts of the records that led to it, each once, in the order in which they came; at most MAX_LINKS. */
  readonly links: readonly Traceparent[]
  /** Records processed since the capture before. */
  readonly records: number
  /** When the first of them was processed, epoch milliseconds; null where that is not known. */
  readonly sinceMs: number | null
  /** The fetches that brought them, at most MAX_FETCHES, with how many of the records each brought. */
  readonly fetches: readonly (FetchTimes & { readonly records: number })[]
}

/** Gathers what the next capture has to say of traces. Made only while tracing is on. */
export class TraceIntake {
  readonly #links = new Set<Traceparent>()
  #records = 0
  #looks = 0
  #sinceMs: number | null = null
  #fetches: { readonly times: FetchTimes; records: number }[] = []
  #lastFetch: FetchTimes | null = null
  /** The entry of the last fetch; null when it has none. */
  #counting: { readonly times: FetchTimes; records: number } | null = null
  /** Records of one producer's batch mostly carry the same text: it is read once. */
  #lastText: string | null = null

  /**
   * Takes note of the batch's current record.
   * @param inside the context that the record's value holds, where it holds one
   * @param now wall clock, epoch milliseconds
   */
  record(batch: RecordBatch, inside: string | null = null, now: number | null = null): void {
    this.count(batch, now)
    if (!this.isLooking) return
    this.#looks++
    if (batch.headerCount === 0 && inside === null) return
    // Of most contexts one byte is enough: a text and its parsing cost more than counting the event.
    if (isEvenDigit(batch.headerByte(TRACEPARENT_HEADER, FLAGS_AT))) return
    const text = batch.header(TRACEPARENT_HEADER) ?? batch.header(CLOUD_EVENT_HEADER) ?? inside
    if (text === null || text === this.#lastText) return
    this.#lastText = text
    this.link(sampledContext(text))
  }

  /** Whether more contexts are wanted until the next capture: else records need only be counted. */
  get isLooking(): boolean {
    return this.#links.size < MAX_LINKS && this.#looks < MAX_LOOKS
  }

  /** Takes note of records whose contexts are of no interest, or are linked on their own. */
  count({ fetch = null }: RecordBatch, now: number | null = null, records = 1): void {
    this.#records += records
    this.#sinceMs ??= now
    if (fetch !== this.#lastFetch) this.#fetched(fetch)
    if (this.#counting !== null) this.#counting.records += records
  }

  link(context: Traceparent | null): void {
    if (context !== null && this.#links.size < MAX_LINKS) this.#links.add(context)
  }

  linkAll(contexts: readonly Traceparent[]): void {
    for (const context of contexts) this.link(context)
  }

  take(): CaptureTrace {
    const fetches = this.#fetches.map(({ times, records }) => ({ ...times, records }))
    const taken = { links: [...this.#links], records: this.#records, sinceMs: this.#sinceMs, fetches }
    this.#links.clear()
    this.#fetches = []
    this.#lastFetch = null
    this.#counting = null
    this.#records = 0
    this.#looks = 0
    this.#sinceMs = null
    this.#lastText = null
    return taken
  }

  #fetched(times: FetchTimes | null): void {
    this.#lastFetch = times
    this.#counting = times === null || this.#fetches.length >= MAX_FETCHES ? null : { times, records: 0 }
    if (this.#counting !== null) this.#fetches.push(this.#counting)
  }
}

/**
 * A capture's `trace`; nothing, not even a field, while tracing is off. What tells nothing but progress, and leads back to
 * nothing, is no trace of its own: a system without events would make traces all the time.
 * @param tells whether it tells more than progress
 */
export function traceOf(intake: TraceIntake | null, tells: boolean): { readonly trace?: CaptureTrace } {
  const trace = intake?.take()
  return trace !== undefined && (tells || trace.links.length > 0) ? { trace } : {}
}

/** The contexts of a window's partials: a provisional result is linked to those that are new, a final one to all. */
export class WindowTraces {
  readonly #all = new Set<Traceparent>()
  readonly #fresh = new Set<Traceparent>()

  add(context: Traceparent): void {
    if (this.#fresh.size < MAX_LINKS) this.#fresh.add(context)
    if (this.#all.size < MAX_LINKS) this.#all.add(context)
  }

  /** @param all those that were taken before, too */
  take(all: boolean): readonly Traceparent[] {
    const taken = all ? [...this.#all] : [...this.#fresh]
    this.#fresh.clear()
    return taken
  }
}
