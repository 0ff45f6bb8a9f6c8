import { type ByteWriter, Piece } from './byteWriter.ts'
import type { EnrichOptions } from './enrich.ts'
import { ADDED_FIELDS, UNKNOWN } from './fields.ts'
import { createHourReader, dayPartOf } from './hours.ts'
import { NO_IPV4, readIp } from './ip.ts'
import { createIsoText } from './isoText.ts'
import { localeKindOf } from './locale.ts'
import { type LoginEvent, MEMBER_NAMES, MEMBER_WIDTH } from './loginEvent.ts'
import type { Term } from './term.ts'

/** Writes enriched records from the bytes of events that were read in place. */
export type EnrichedSplice = {
  /** Whether the event can be spliced: it was read in place, and has no field of a name that enrichment gives. */
  readonly takes: (event: LoginEvent) => boolean
  /** Writes the record's key: the user id, hashed when user ids are. */
  readonly key: (event: LoginEvent, out: ByteWriter) => void
  /**
   * Writes the record's value: the event's own bytes, with other values where enrichment changes them and what it adds
   * behind them. As JSON it is what the text of the same event is, but for blanks and for values of fields that nobody
   * knows, which stay as they came.
   * @param processedMs the moment of enrichment, epoch milliseconds
   */
  readonly value: (event: LoginEvent, processedMs: number, out: ByteWriter) => void
}

const INCOMING_COUNT = MEMBER_NAMES.length - ADDED_FIELDS.length
const ALL_INCOMING = (1 << INCOMING_COUNT) - 1
const [USER_ID, TIMESTAMP, DEVICE_TYPE, DEVICE_ID, LOCALE, APP_VERSION] = [0, 1, 2, 3, 4, 5] as const
/** What of LoginEvent's `missing` and `invalid` tells that the member of that number is unknown. */
const UNKNOWN_BITS = [0, 0, 1, 2, 4, 8, 16] as const

const QUOTE = 0x22
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const END_OF_OBJECT = 0x7d

const MASKED = Piece.of('.0')
const UNKNOWN_TEXT = Piece.of(`"${UNKNOWN}"`)

/**
 * Compiles the splice. It writes all fields: records of chosen fields are made otherwise.
 * @throws RangeError when there is no such time zone
 */
export function createEnrichedSplice({
  timeZone,
  hashUserId,
}: Pick<EnrichOptions, 'timeZone' | 'hashUserId'>): EnrichedSplice {
  const pieces = createPieces(timeZone)
  // The key is written before the value: its hash is kept for that.
  let hashed = ''
  return {
    takes,
    key: (event, out) => {
      if (hashUserId === null) out.range(event.bytes, event.userStart, event.userEnd)
      else {
        hashed = hashUserId(event.userId)
        out.text(hashed)
      }
    },
    value: (event, processedMs, out) => {
      const absent = spliceMembers(event, hashUserId === null ? null : hashed, out)
      if (absent !== 0) writeAbsent(event, absent, out)
      pieces.processed(processedMs, out)
      pieces.when(event.timeMs, out)
      pieces.what(event.version, event.localeTerm, out)
      pieces.where(event.place as Term, out)
    },
  }
}

function takes({ memberCount, members, place, keepsFields }: LoginEvent): boolean {
  if (memberCount < 0 || place === null || !keepsFields) return false
  for (let i = 0; i < memberCount; i++) if ((members[i * MEMBER_WIDTH] as number) >= INCOMING_COUNT) return false
  return true
}

/**
 * Writes the event's members up to the end of the last, with the values that an enriched record has.
 * @returns the incoming fields that the event does not have, as bits by their numbers
 */
function spliceMembers(event: LoginEvent, hashed: string | null, out: ByteWriter): number {
  const { bytes, members, memberCount } = event
  const unknown = event.missing | event.invalid
  let from = event.start
  let absent = ALL_INCOMING
  for (let i = 0; i < memberCount; i++) {
    const at = i * MEMBER_WIDTH
    const member = members[at] as number
    const start = members[at + 2] as number
    const end = members[at + 3] as number
    absent &= ~(1 << member)
    if (staysAsItIs(event, member, start, end, hashed, unknown)) continue
    if (member > APP_VERSION && event.ipv4 !== NO_IPV4) {
      // All but the last number of the address stays, and the quote behind it.
      let dot = event.ipEnd - 1
      while (bytes[dot] !== DOT) dot--
      out.range(bytes, from, dot)
      out.piece(MASKED)
      from = event.ipEnd
      continue
    }
    out.range(bytes, from, start)
    const isQuotedSeconds = member === TIMESTAMP && bytes[start] === QUOTE && isSeconds(bytes, start + 1, end - 1)
    if (isQuotedSeconds) out.range(bytes, start + 1, end - 1)
    else writeValue(event, member, hashed, unknown, out)
    from = end
  }
  out.range(bytes, from, lastBracket(bytes, event.end))
  return absent
}

function staysAsItIs(
  event: LoginEvent,
  member: number,
  start: number,
  end: number,
  hashed: string | null,
  unknown: number,
): boolean {
  switch (member) {
    case USER_ID:
      return hashed === null && event.bytes[start] === QUOTE
    case TIMESTAMP:
      return isSeconds(event.bytes, start, end)
    case DEVICE_TYPE:
      return unknown % 2 === 0 && isQuoted(event.bytes, start, end, event.device.text)
    case DEVICE_ID:
    case LOCALE:
    case APP_VERSION:
      return (unknown & (UNKNOWN_BITS[member] as number)) === 0
    default:
      return false
  }
}

/** Ten digits are seconds, since milliseconds have twelve at least: in a record they look the same. */
function isSeconds(bytes: Uint8Array, start: number, end: number): boolean {
  // As a text they may begin with zeros, which no number does.
  if (end - start !== 10 || bytes[start] === ZERO) return false
  for (let i = start; i < end; i++) if ((bytes[i] as number) < ZERO || (bytes[i] as number) > NINE) return false
  return true
}

/** Whether the bytes are the ASCII text in quotes. */
function isQuoted(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length + 2) return false
  for (let i = 0; i < text.length; i++) if (bytes[start + 1 + i] !== text.charCodeAt(i)) return false
  return true
}

/** Writes a value of which nothing is left as it came. */
function writeValue(event: LoginEvent, member: number, hashed: string | null, unknown: number, out: ByteWriter): void {
  if (member === TIMESTAMP) {
    out.digits(Math.floor(event.timeMs / 1000))
    return
  }
  if (member === USER_ID) {
    out.ascii('"')
    if (hashed === null) out.range(event.bytes, event.userStart, event.userEnd)
    else out.text(hashed)
    out.ascii('"')
    return
  }
  if ((unknown & (UNKNOWN_BITS[member] as number)) !== 0) out.piece(UNKNOWN_TEXT)
  else if (member === DEVICE_TYPE) out.piece(deviceOf(event.device))
  else out.text(`"${readIp(event.ip)?.masked ?? UNKNOWN}"`)
}

/** Where the object's last bracket stands: blanks may be behind it. */
function lastBracket(bytes: Uint8Array, end: number): number {
  let at = end - 1
  while (bytes[at] !== END_OF_OBJECT) at--
  return at
}

/** Writes the incoming fields that the event did not have, in the order of the contract. */
function writeAbsent(event: LoginEvent, absent: number, out: ByteWriter): void {
  for (let member = 0; member < INCOMING_COUNT; member++) {
    if ((absent & (1 << member)) === 0) continue
    out.ascii(`,"${MEMBER_NAMES[member]}":`)
    if (member === TIMESTAMP) out.digits(Math.floor(event.timeMs / 1000))
    else out.piece(UNKNOWN_TEXT)
  }
}

/** What enrichment adds, each with a comma before it; the last with the end of the object. */
type PieceWriters = {
  readonly processed: (processedMs: number, out: ByteWriter) => void
  /** Readable timestamp, hour and part of the day. */
  readonly when: (timeMs: number, out: ByteWriter) => void
  /** Version category and kind of locale. */
  readonly what: (version: Term, locale: Term, out: ByteWriter) => void
  /** Country and region. */
  readonly where: (place: Term, out: ByteWriter) => void
}

function createPieces(timeZone: string): PieceWriters {
  const isoText = createIsoText()
  const secondOf = createSecondReader(timeZone)
  const kindOf = cachedByTerm(({ text }) => KINDS.indexOf(localeKindOf(text)))
  const whatOf = KINDS.map(kind =>
    cachedByTerm(({ derived }) => Piece.of(`,"version_category":${JSON.stringify(derived)},"locale_kind":"${kind}"`)),
  )
  const whereOf = cachedByTerm(({ text, derived }) =>
    Piece.of(`,"country":${JSON.stringify(text)},"region":${JSON.stringify(derived)}}`),
  )
  let lastMs = Number.NaN
  let lastProcessed = Piece.of('')
  return {
    processed: (processedMs, out) => {
      // The events of a batch are enriched at one moment.
      if (processedMs !== lastMs) {
        lastMs = processedMs
        lastProcessed = Piece.of(`,"processed_timestamp":"${isoText(processedMs)}"`)
      }
      out.piece(lastProcessed)
    },
    when: (timeMs, out) => {
      const start = out.length
      const second = Math.floor(timeMs / 1000)
      out.piece(secondOf(second))
      const ms = timeMs - second * 1000
      if (ms !== 0) writeMilliseconds(out.bytes, start + MILLISECONDS_AT, ms)
    },
    what: (version, locale, out) => {
      out.piece((whatOf[kindOf(locale)] as (version: Term) => Piece)(version))
    },
    where: (place, out) => out.piece(whereOf(place)),
  }
}

const KINDS = ['state', 'country', 'other', UNKNOWN] as const

const READABLE = ',"readable_timestamp":"'
const MILLISECONDS_AT = READABLE.length + '2023-09-12T00:12:30.'.length

function writeMilliseconds(bytes: Uint8Array, at: number, ms: number): void {
  bytes[at] = ZERO + Math.floor(ms / 100)
  bytes[at + 1] = ZERO + (Math.floor(ms / 10) % 10)
  bytes[at + 2] = ZERO + (ms % 10)
}

/** A power of two. */
const SECONDS_KEPT = 1024

/** What is told of all moments of a second, with the milliseconds of its first: a zone's offset changes between seconds only. */
function createSecondReader(timeZone: string): (second: number) => Piece {
  const hourOf = createHourReader(timeZone)
  const isoText = createIsoText()
  const seconds = new Float64Array(SECONDS_KEPT).fill(-1)
  const pieces: Piece[] = []
  return second => {
    // Of the lower 32 bits, which seconds pass in 2038.
    const place = second & (SECONDS_KEPT - 1)
    if (seconds[place] !== second) {
      const hour = hourOf(second * 1000)
      const text = `${READABLE}${isoText(second * 1000)}","hour_of_day":${hour},"day_part":"${dayPartOf(hour)}"`
      pieces[place] = Piece.of(text)
      seconds[place] = second
    }
    return pieces[place] as Piece
  }
}

/** Something made of terms of one dictionary, kept by their numbers, which are given to others after a while. */
function cachedByTerm<Made>(make: (term: Term) => Made): (term: Term) => Made {
  const owners: Term[] = []
  const made: Made[] = []
  return term => {
    const { id } = term
    if (owners[id] !== term) {
      owners[id] = term
      made[id] = make(term)
    }
    return made[id] as Made
  }
}

const deviceOf = cachedByTerm(({ text }) => Piece.of(`"${text}"`))
