import { CODE_MEANINGS, type DeadLetterCode } from '../events/codes.ts'
import type { LoginEvent } from '../events/parse.ts'
import type { CorruptRange, RecordBatch, RecordHeader } from './recordBatch.ts'
import type { OutputRecord } from './task.ts'

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
    readonly maxBytes: number
    /** The name of the key under which user ids are hashed; null when they are not. */
    readonly userIdKeyId: string | null
  } | null
}

/** Of a record batch of one record: its own header, and lengths and deltas of the record. */
const BATCH_OVERHEAD = 128
const HEADER_OVERHEAD = 12
const NO_TIMESTAMP = -1

/** The enriched events and dead letters of one source partition that wait for the next capture. */
export class EventOutputs {
  readonly #settings: EventOutputSettings
  readonly #partition: number
  readonly #coordinates: readonly RecordHeader[]
  readonly #keyId: readonly RecordHeader[]
  readonly #ownBytes: number
  #enriched: OutputRecord[] = []
  #letters: OutputRecord[] = []
  #bytes = 0

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
    this.#ownBytes = BATCH_OVERHEAD + bytesOf([...this.#coordinates, ['source.offset', longestOffset], ...this.#keyId])
  }

  /** About how many bytes wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** @param now the moment of enrichment, epoch milliseconds */
  accepted(batch: RecordBatch, event: LoginEvent, now: number): void {
    const { enriched } = this.#settings
    if (enriched === null) return
    const own: RecordHeader[] = [...this.#coordinates, ['source.offset', String(batch.offset)], ...this.#keyId]
    let headers = own
    let overhead = this.#ownBytes + 3 * event.userId.length
    if (batch.headerCount > 0) {
      const original = copied(batch)
      const originalBytes = bytesOf(original)
      // Headers that leave no room for the event would stop the partition for good.
      if (overhead + originalBytes <= enriched.maxBytes / 2) {
        headers = [...original, ...own]
        overhead += originalBytes
      }
    }
    const { userId, text } = enriched.enrich(event, now, enriched.maxBytes - overhead)
    this.#bytes += overhead + text.length
    this.#enriched.push({ topic: 'enriched', partition: null, key: userId, value: text, headers })
  }

  /** @param now when it failed, epoch milliseconds */
  rejected(batch: RecordBatch, code: DeadLetterCode, now: number): void {
    const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = batch
    // Copied: what waits must not hold on to whole fetches.
    const key = keyStart < 0 ? null : keyBytes.slice(keyStart, keyEnd)
    const value = valueStart < 0 ? null : valueBytes.subarray(valueStart, valueEnd)
    this.#letter(key, value, copied(batch), this.#reasons(code, batch.offset, batch.timestamp, now))
  }

  /** @param now when it failed, epoch milliseconds */
  corrupt({ from, to, bytes }: CorruptRange, now: number): void {
    const reasons = this.#reasons('corrupt_batch', from, NO_TIMESTAMP, now)
    this.#letter(null, bytes, [], [...reasons, ['source.next_offset', String(to)]])
  }

  /** Everything that waits, enriched events first; it is the caller's to send from now on. */
  take(): OutputRecord[] {
    const taken = this.#letters.length === 0 ? this.#enriched : [...this.#enriched, ...this.#letters]
    this.#enriched = []
    this.#letters = []
    this.#bytes = 0
    return taken
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
    const value = originalValue === null ? null : originalValue.slice(0, Math.min(whole, room))
    const headers: RecordHeader[] = [...(bare ? [] : originalHeaders), ...reasons]
    if (bare || whole > room) headers.push(['value.bytes', String(whole)])
    const key = bare ? null : originalKey
    this.#bytes += ownBytes + around + (value?.length ?? 0)
    const partition = this.#partition % deadLetterPartitions
    this.#letters.push({ topic: 'deadLetters', partition, key, value, headers })
  }

  #reasons(code: DeadLetterCode, offset: number, timestamp: number, now: number): RecordHeader[] {
    return [
      ['error.code', code],
      ['error.message', CODE_MEANINGS[code]],
      ...this.#coordinates,
      ['source.offset', String(offset)],
      ['source.timestamp', String(timestamp)],
      ['failed.at', new Date(now).toISOString()],
    ]
  }
}

function copied(batch: RecordBatch): RecordHeader[] {
  return batch.headers().map(([name, value]) => [name, value instanceof Uint8Array ? value.slice() : value])
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
