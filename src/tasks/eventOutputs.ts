import { ByteWriter, Piece } from '../events/byteWriter.ts'
import { CODE_MEANINGS, type DeadLetterCode } from '../events/codes.ts'
import type { LoginEvent } from '../events/parse.ts'
import type { EnrichedSplice } from '../events/splice.ts'
import { PackedRecords, packHeader } from './packedRecords.ts'
import type { CorruptRange, RecordBatch, RecordHeader } from './recordBatch.ts'
import type { Output, OutputRecord } from './task.ts'

/**
 * Writes an accepted event's enriched record as JSON.
 * @param processedMs the moment of enrichment, epoch milliseconds
 * @param maxBytes what the text may come to in UTF-8; fields of the event's own that would pass it are left out
 */
export type EnrichText = (
  event: LoginEvent,
  processedMs: number,
  maxBytes: number,
) => { readonly userId: string; readonly text: string }

/** What a task has to know of the topics that events go on to. Sizes are the topics' `max.message.bytes`. */
export type EventOutputSettings = {
  readonly sourceTopic: string
  readonly deadLetterPartitions: number
  readonly deadLetterMaxBytes: number
  /** Null when accepted events are only counted. */
  readonly enriched: {
    readonly enrich: EnrichText
    /** Does the same from the bytes of events that it takes; left out or null when every record is written as a text. */
    readonly splice?: EnrichedSplice | null
    readonly maxBytes: number
    /** The name of the key under which user ids are hashed; null when they are not. */
    readonly userIdKeyId: string | null
  } | null
}

/** Of a record batch of one record: its own header, and lengths and deltas of the record. */
const BATCH_OVERHEAD = 128
const HEADER_OVERHEAD = 12
const NO_TIMESTAMP = -1
const NO_HEADERS: readonly RecordHeader[] = []
const OFFSET = 'source.offset'
/** An HMAC-SHA-256 in hexadecimal digits. */
const HASHED_BYTES = 64

/** The enriched events and dead letters of one source partition that wait for the next capture. */
export class EventOutputs {
  readonly #settings: EventOutputSettings
  readonly #partition: number
  readonly #coordinates: readonly RecordHeader[]
  readonly #keyId: readonly RecordHeader[]
  /** What every enriched record has beside its key, its value and the event's own headers. */
  readonly #ownBytes: number
  /** The headers of an enriched record that has none of the event's, as a record holds them, up to the offset's digits. */
  readonly #headersHead: Piece
  readonly #headersTail: Piece
  #enriched: PackedRecords | null = null
  /** What the last capture's came to. */
  #expectedBytes = 0
  #letters: OutputRecord[] = []
  #letterBytes = 0

  constructor(settings: EventOutputSettings, partition: number) {
    this.#settings = settings
    this.#partition = partition
    this.#coordinates = [
      ['source.topic', settings.sourceTopic],
      ['source.partition', String(partition)],
    ]
    const keyId = settings.enriched?.userIdKeyId ?? null
    this.#keyId = keyId === null ? [] : [['user_id.key', keyId]]
    const longestOffset = String(Number.MAX_SAFE_INTEGER)
    this.#ownBytes = BATCH_OVERHEAD + bytesOf([...this.#coordinates, [OFFSET, longestOffset], ...this.#keyId])
    const out = new ByteWriter(this.#ownBytes)
    for (const header of this.#coordinates) packHeader(out, header)
    const offsetAt = out.open(1)
    out.ascii(OFFSET)
    out.close(offsetAt, 1)
    this.#headersHead = new Piece(out.bytes.subarray(0, out.length))
    out.cut(0)
    for (const header of this.#keyId) packHeader(out, header)
    this.#headersTail = new Piece(out.bytes.subarray(0, out.length))
  }

  /** About how many bytes wait. */
  get bytes(): number {
    return this.#letterBytes + (this.#enriched?.byteLength ?? 0)
  }

  /** @param now the moment of enrichment, epoch milliseconds */
  accepted(batch: RecordBatch, event: LoginEvent, now: number): void {
    const { enriched } = this.#settings
    if (enriched === null) return
    this.#enriched ??= new PackedRecords(this.#expectedBytes + (this.#expectedBytes >> 2))
    const packed = this.#enriched
    let overhead = this.#ownBytes + longestKey(event)
    let original: readonly RecordHeader[] = NO_HEADERS
    if (batch.headerCount > 0) {
      const headers = batch.headers()
      const bytes = bytesOf(headers)
      // Headers that leave no room for the event would stop the partition for good.
      if (overhead + bytes <= enriched.maxBytes / 2) {
        original = headers
        overhead += bytes
      }
    }
    const maxBytes = enriched.maxBytes - overhead
    const { splice = null } = enriched
    if (splice === null || !splice.takes(event) || !spliced(packed, splice, event, now, maxBytes)) {
      const { userId, text } = enriched.enrich(event, now, maxBytes)
      packed.beginKey()
      packed.out.text(userId)
      packed.endKey()
      packed.beginValue()
      packed.out.text(text)
      packed.endValue()
    }
    this.#packHeaders(packed.out, original, batch.offset)
    packed.endRecord()
  }

  /** @param now when it failed, epoch milliseconds */
  rejected(batch: RecordBatch, code: DeadLetterCode, now: number): void {
    const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = batch
    const key = keyStart < 0 ? null : copyOf(keyBytes.subarray(keyStart, keyEnd))
    const value = valueStart < 0 ? null : valueBytes.subarray(valueStart, valueEnd)
    this.#letter(key, value, copied(batch), this.#reasons(code, batch.offset, batch.timestamp, now))
  }

  /** @param now when it failed, epoch milliseconds */
  corrupt({ from, to, bytes }: CorruptRange, now: number): void {
    const reasons = this.#reasons('corrupt_batch', from, NO_TIMESTAMP, now)
    this.#letter(null, bytes, [], [...reasons, ['source.next_offset', String(to)]])
  }

  /** Everything that waits, enriched events first; it is the caller's to send from now on. */
  take(): Output[] {
    const taken: Output[] = []
    if (this.#enriched !== null) {
      this.#expectedBytes = this.#enriched.byteLength
      taken.push(this.#enriched)
    }
    for (const letter of this.#letters) taken.push(letter)
    this.#enriched = null
    this.#letters = []
    this.#letterBytes = 0
    return taken
  }

  #packHeaders(out: ByteWriter, original: readonly RecordHeader[], offset: number): void {
    out.varint(original.length + this.#coordinates.length + 1 + this.#keyId.length)
    for (const header of original) packHeader(out, header)
    out.piece(this.#headersHead)
    const digitsAt = out.open(1)
    out.digits(offset)
    out.close(digitsAt, 1)
    if (this.#headersTail.length > 0) out.piece(this.#headersTail)
  }

  #letter(
    originalKey: Uint8Array | null,
    originalValue: Uint8Array | null,
    originalHeaders: readonly RecordHeader[],
    reasons: readonly RecordHeader[],
  ): void {
    const { deadLetterMaxBytes, deadLetterPartitions } = this.#settings
    const ownBytes = BATCH_OVERHEAD + bytesOf(reasons) + HEADER_OVERHEAD + 24
    const around = (originalKey?.length ?? 0) + bytesOf(originalHeaders)
    // A letter that its topic refuses would stop the partition for good: what comes last in worth is left out first.
    const bare = ownBytes + around > deadLetterMaxBytes
    const room = deadLetterMaxBytes - ownBytes - (bare ? 0 : around)
    const whole = originalValue?.length ?? 0
    const value = originalValue === null ? null : copyOf(originalValue.subarray(0, Math.min(whole, room)))
    const headers: RecordHeader[] = [...(bare ? [] : originalHeaders), ...reasons]
    if (bare || whole > room) headers.push(['value.bytes', String(whole)])
    const key = bare ? null : originalKey
    this.#letterBytes += ownBytes + around + (value?.length ?? 0)
    const partition = this.#partition % deadLetterPartitions
    this.#letters.push({ topic: 'deadLetters', partition, key, value, headers })
  }

  #reasons(code: DeadLetterCode, offset: number, timestamp: number, now: number): RecordHeader[] {
    return [
      ['error.code', code],
      ['error.message', CODE_MEANINGS[code]],
      ...this.#coordinates,
      [OFFSET, String(offset)],
      ['source.timestamp', String(timestamp)],
      ['failed.at', new Date(now).toISOString()],
    ]
  }
}

/** A bound of what the key comes to, without making a text of it. */
function longestKey({ userStart, userEnd, userText }: LoginEvent): number {
  return Math.max(HASHED_BYTES, userStart < 0 ? 3 * (userText ?? '').length : userEnd - userStart)
}

/** Writes key and value from the event's bytes; false, and nothing is written, when the value is too long. */
function spliced(
  packed: PackedRecords,
  splice: EnrichedSplice,
  event: LoginEvent,
  now: number,
  maxBytes: number,
): boolean {
  packed.beginKey()
  splice.key(event, packed.out)
  packed.endKey()
  packed.beginValue()
  const start = packed.out.length
  splice.value(event, now, packed.out)
  if (packed.out.length - start > maxBytes) {
    packed.undoRecord()
    return false
  }
  packed.endValue()
  return true
}

function copied(batch: RecordBatch): RecordHeader[] {
  return batch.headers().map(([name, value]) => [name, value instanceof Uint8Array ? copyOf(value) : value])
}

/** What waits must not hold on to whole fetches, and a Buffer's own `slice` would share its memory. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/** At least what the headers come to in a record. */
function bytesOf(headers: readonly RecordHeader[]): number {
  let bytes = 0
  for (const [name, value] of headers) {
    bytes += HEADER_OVERHEAD + 3 * name.length
    bytes += typeof value === 'string' ? 3 * value.length : (value?.length ?? 0)
  }
  return bytes
}
