import type { Kafka } from 'kafkajs'
import { TidemarkError } from '../errors.ts'
import type { RecordHeader } from '../tasks/recordBatch.ts'
import type { LogRange } from '../tasks/task.ts'
import type { TopicReader } from './admin.ts'
import type { ReadMessage } from './readAll.ts'
import { withAdmin } from './topics.ts'

/** A record of the dead-letter topic. Its place there, `<partition>/<offset>`, is its name. */
export type DeadLetter = {
  readonly partition: number
  readonly offset: number
  /** When the letter itself was written, epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** The headers that the record came with, in their order. */
  readonly originalHeaders: readonly RecordHeader[]
  /** What ours say; null when the record was not written by Tidemark. */
  readonly failure: Failure | null
}

export type Failure = {
  readonly code: string
  readonly message: string
  readonly sourceTopic: string
  readonly sourcePartition: number
  readonly sourceOffset: number
  /** Epoch milliseconds; negative when it is not known. */
  readonly sourceTimestamp: number
  /** Epoch milliseconds. */
  readonly failedAt: number
  /** The whole length of a value that was cut to fit, bytes; null for a letter that holds all of its record. */
  readonly wholeBytes: number | null
}

/** Which letters are meant: those that pass everything that is not null. */
export type LetterFilter = {
  readonly codes: ReadonlySet<string> | null
  /** Epoch milliseconds of `failed.at`: from (inclusive) and to (exclusive). */
  readonly from: number | null
  readonly to: number | null
  /** Partitions of the dead-letter topic. */
  readonly partitions: ReadonlySet<number> | null
  /** Offsets by partition. */
  readonly letters: ReadonlyMap<number, ReadonlySet<number>> | null
}

/** Called for each letter in the order of partition and offset; false ends the reading. */
export type OnLetter = (letter: DeadLetter) => boolean | Promise<boolean>

/** Ours, which begin with the code and come last; `error.code` is in every letter and in it once. */
const FIRST_OF_OURS = 'error.code'
const OURS: ReadonlySet<string> = new Set([
  FIRST_OF_OURS,
  'error.message',
  'source.topic',
  'source.partition',
  'source.offset',
  'source.next_offset',
  'source.timestamp',
  'failed.at',
  'value.bytes',
])

/** A letter's own timestamp may lie this much before `failed.at`: clocks that are set, machines that differ. */
const CLOCK_ROOM_MS = 60_000
const WHOLE = /^\d{1,16}$/

/** `<partition>/<offset>`: how a letter is named to people and in `redrive.of`. */
export function letterId({ partition, offset }: { readonly partition: number; readonly offset: number }): string {
  return `${partition}/${offset}`
}

/** Tells a record of the dead-letter topic apart into the original record and why it failed. */
export function toDeadLetter(message: ReadMessage): DeadLetter {
  const { partition, offset, timestamp, key, value } = message
  const { headers } = message
  const start = headers.findLastIndex(([name]) => name === FIRST_OF_OURS)
  const ours = start < 0 ? [] : headers.slice(start)
  return {
    partition,
    offset,
    timestamp,
    key,
    value,
    // Whoever copied the letter (a mirror, a tracer) may have added headers behind ours.
    originalHeaders: start < 0 ? headers : [...headers.slice(0, start), ...ours.filter(([name]) => !OURS.has(name))],
    failure: readFailure(new Map(ours.map(([name, bytes]) => [name, textOf(bytes)])), timestamp),
  }
}

function readFailure(ours: ReadonlyMap<string, string>, timestamp: number): Failure | null {
  const sourcePartition = wholeNumber(ours.get('source.partition'))
  const sourceOffset = wholeNumber(ours.get('source.offset'))
  const code = ours.get(FIRST_OF_OURS)
  const sourceTopic = ours.get('source.topic')
  if (code === undefined || sourceTopic === undefined || sourcePartition === null || sourceOffset === null) return null
  const failedAt = Date.parse(ours.get('failed.at') ?? '')
  return {
    code,
    message: ours.get('error.message') ?? '',
    sourceTopic,
    sourcePartition,
    sourceOffset,
    sourceTimestamp: wholeNumber(ours.get('source.timestamp')) ?? -1,
    failedAt: Number.isNaN(failedAt) ? timestamp : failedAt,
    wholeBytes: ours.has('value.bytes') ? (wholeNumber(ours.get('value.bytes')) ?? 0) : null,
  }
}

/** A header's value as text; null reads as empty. */
function textOf(value: RecordHeader[1]): string {
  return typeof value === 'string' ? value : value === null ? '' : Buffer.from(value).toString()
}

function wholeNumber(text: string | undefined): number | null {
  const number = text !== undefined && WHOLE.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(number) ? number : null
}

/** When the record failed, epoch milliseconds. */
export function failedAtOf({ failure, timestamp }: DeadLetter): number {
  return failure?.failedAt ?? timestamp
}

/** Whether a letter is meant. */
export function isMeant(letter: DeadLetter, filter: LetterFilter): boolean {
  const { codes, from, to, partitions, letters } = filter
  const at = failedAtOf(letter)
  if (codes !== null && !codes.has(letter.failure?.code ?? '')) return false
  if ((from !== null && at < from) || (to !== null && at >= to)) return false
  if (partitions !== null && !partitions.has(letter.partition)) return false
  return letters === null || letters.get(letter.partition)?.has(letter.offset) === true
}

/**
 * Reads the letters that are meant, one after the other, holding none but the present one; up to the end that the topic
 * had at the call, so that letters that come meanwhile (of records redriven, above all) are not read.
 *
 * @throws TidemarkError `refused_topic` when there is no such topic, `usage` for a partition that it does not have
 */
export async function readLetters(
  kafka: Kafka,
  reader: TopicReader,
  topic: string,
  filter: LetterFilter,
  onLetter: OnLetter,
): Promise<void> {
  if ((await reader.partitionCount(topic)) === null) {
    throw new TidemarkError('refused_topic', `topic ${topic} does not exist; run 'tidemark topics' to create it`)
  }
  const logs = await reader.readLogRanges(topic)
  refuseUnknownPartitions(topic, logs.length, filter)
  const firsts = filter.from === null ? null : await offsetsAt(kafka, topic, filter.from - CLOCK_ROOM_MS)
  for (let partition = 0; partition < logs.length; partition++) {
    const log = logs[partition] as LogRange
    const range = rangeOf(partition, { start: Math.max(log.start, firsts?.get(partition) ?? 0), end: log.end }, filter)
    if (range.start >= range.end) continue
    if (!(await readPartition(reader, topic, partition, range, filter, onLetter))) return
  }
}

function refuseUnknownPartitions(topic: string, count: number, { partitions, letters }: LetterFilter): void {
  const check = (option: string, named: Iterable<number>) => {
    for (const partition of named) {
      if (partition < count) continue
      const has = `${topic} has ${count} partitions: 0 to ${count - 1} are allowed`
      throw new TidemarkError('usage', `${option}: there is no partition ${partition}; ${has}`)
    }
  }
  check('--partition', partitions ?? [])
  check('--letter', letters?.keys() ?? [])
}

/** A record that was written before that moment cannot have failed after it. */
async function offsetsAt(kafka: Kafka, topic: string, timestamp: number): Promise<Map<number, number>> {
  const at = Math.max(0, timestamp)
  const found = await withAdmin(kafka, admin => admin.fetchTopicOffsetsByTimestamp(topic, at))
  return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]))
}

/** The part of a partition's log that may hold letters that are meant. */
function rangeOf(partition: number, log: LogRange, { partitions, letters }: LetterFilter): LogRange {
  const nothing = { start: log.end, end: log.end }
  if (partitions !== null && !partitions.has(partition)) return nothing
  if (letters === null) return log
  const offsets = [...(letters.get(partition) ?? [])]
  if (offsets.length === 0) return nothing
  const least = offsets.reduce((a, b) => Math.min(a, b))
  const greatest = offsets.reduce((a, b) => Math.max(a, b))
  return { start: Math.max(log.start, least), end: Math.min(log.end, greatest + 1) }
}

/** Resolves to whether to go on with the next partition. */
async function readPartition(
  reader: TopicReader,
  topic: string,
  partition: number,
  { start, end }: LogRange,
  filter: LetterFilter,
  onLetter: OnLetter,
): Promise<boolean> {
  const enough = new Error('enough was read')
  let next = start
  try {
    await reader.readAll({
      topic,
      readCommitted: true,
      fromOffsets: new Map([[partition, start]]),
      toOffsets: new Map([[partition, end]]),
      onMessage: async message => {
        // A reader that has to ask again may hand out a record twice, and to redrive it twice would be for good.
        if (message.offset < next) return
        next = message.offset + 1
        const letter = toDeadLetter(message)
        if (isMeant(letter, filter) && !(await onLetter(letter))) throw enough
      },
    })
    return true
  } catch (error) {
    if (error === enough) return false
    throw error
  }
}
