import type { Kafka, Producer, Transaction } from 'kafkajs'
import type { Settings } from '../config/settings.ts'
import type { TopicReader } from './admin.ts'
import { javaPartitioner } from './client.ts'
import { type DeadLetter, letterId } from './deadLetters.ts'
import { deliveryError } from './kafkaErrors.ts'
import { topicName } from './names.ts'
import { type RecordMessage, sendRequest } from './outgoing.ts'
import { redrivesTopic, type TopicFacts } from './topics.ts'

/** Why a letter cannot go back into the source topic. */
export type Refusal =
  | 'not_a_letter'
  | 'not_an_event'
  | 'cut'
  | 'other_topic'
  | 'no_such_partition'
  | 'too_large'
  | 'already_redriven'
  | 'repeated'

/** Where a letter's record stands now. */
export type Redriven = { readonly letter: DeadLetter; readonly partition: number; readonly offset: number }

/** The one writer of redriven records: the one that was opened last. */
export type Redriver = {
  /**
   * Writes the records of these letters and the marks that they are redriven, all of it or nothing.
   * @param at epoch milliseconds, for the marks
   * @throws TidemarkError `fenced` when another redriver has been opened since, else `delivery_failed`
   */
  redrive(letters: readonly DeadLetter[], at: number): Promise<readonly Redriven[]>
  close(): Promise<void>
}

/** The value of a mark, whose key is the letter's name. Written with the record, in one transaction. */
type Mark = {
  readonly at: string
  /** The partition of the source topic that the record was written to. */
  readonly to: number
  readonly source: {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    /** Epoch milliseconds; negative when it is not known. */
    readonly timestamp: number
  }
}

/** The header that says of a record which letter it comes from. */
export const REDRIVE_OF = 'redrive.of'

const TRANSACTION_TIMEOUT_MS = 15_000
/** About 12 s of retries: past the transaction's time they could not succeed. */
const TRANSACTION_RETRIES = 8
const MARKS_PARTITION = 0
const RECORD_OVERHEAD_BYTES = 128
const HEADER_OVERHEAD_BYTES = 12
/** Codes of letters whose value is no login event as it came. */
const NOT_EVENTS = new Set(['partial_too_late', 'corrupt_batch'])

/**
 * Opens the writer. It ends any other, with what that one has not committed, so marks that are read from now on are all
 * that there are. Without the shared id, or with marks outside of the transaction, test/kafka/dlqRedrive.test.ts turns red
 * where it kills a redrive and where two run at once.
 */
export async function openRedriver(kafka: Kafka, settings: Settings): Promise<Redriver> {
  const transactionalId = `${settings.consumerGroup}-redrive`
  const source = topicName(settings, 'source')
  const marks = redrivesTopic(settings)
  const producer = kafka.producer({
    transactionalId,
    transactionTimeout: TRANSACTION_TIMEOUT_MS,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: javaPartitioner,
    retry: { retries: TRANSACTION_RETRIES },
  })
  let unused: Transaction | null = await fence(producer, transactionalId)
  return {
    async redrive(letters, at) {
      try {
        const transaction = unused ?? (await producer.transaction())
        unused = null
        const answers = await sendRequest(transaction.sendBatch, [
          { topic: source, messages: letters.map(toRecord) },
          { topic: marks, messages: letters.map(letter => toMark(letter, at)) },
        ])
        await transaction.commit()
        const next = new Map<number, number>()
        for (const { topicName: topic, partition, baseOffset } of answers) {
          if (topic === source) next.set(partition, Number(baseOffset))
        }
        return letters.map(letter => {
          const partition = sourcePartitionOf(letter)
          const offset = next.get(partition) ?? -1
          next.set(partition, offset + 1)
          return { letter, partition, offset }
        })
      } catch (cause) {
        throw deliveryError(`redrive (${transactionalId})`, cause)
      }
    },
    close: () => producer.disconnect(),
  }
}

/** The first transaction asks for the next epoch of the id, which ends the writer before. */
async function fence(producer: Producer, transactionalId: string): Promise<Transaction> {
  try {
    await producer.connect()
    return await producer.transaction()
  } catch (cause) {
    await producer.disconnect().catch(() => {})
    throw deliveryError(`fence of ${transactionalId}`, cause)
  }
}

const sourcePartitionOf = ({ failure }: DeadLetter) => failure?.sourcePartition ?? 0

/** The record as it came, and whose it is. Its time is now: a partition's clock takes the earlier of that and the event's. */
function toRecord(letter: DeadLetter): RecordMessage {
  return {
    key: letter.key,
    value: letter.value,
    partition: sourcePartitionOf(letter),
    headers: [...letter.originalHeaders, [REDRIVE_OF, letterId(letter)]],
  }
}

function toMark(letter: DeadLetter, at: number): RecordMessage {
  const { sourceTopic = '', sourcePartition = 0, sourceOffset = 0, sourceTimestamp = 0 } = letter.failure ?? {}
  const source = { topic: sourceTopic, partition: sourcePartition, offset: sourceOffset, timestamp: sourceTimestamp }
  const mark: Mark = { at: new Date(at).toISOString(), to: sourcePartition, source }
  return { key: letterId(letter), value: JSON.stringify(mark), partition: MARKS_PARTITION }
}

/**
 * Which records have been redriven, and when. They are told by their place in the source topic and their time, not by
 * their letters: a record may have several (a delivery that repeats, a generation that reads it again), and a topic that
 * was deleted and made again gives the same places to others. It takes about 120 bytes for each record.
 */
export class RedriveMarks {
  readonly #byPartition = new Map<number, Map<number, { readonly timestamp: number; readonly at: number }>>()

  /** When the letter's record was redriven last, epoch milliseconds; null when it never was. */
  redrivenAt({ failure }: DeadLetter): number | null {
    if (failure === null) return null
    const known = this.#byPartition.get(failure.sourcePartition)?.get(failure.sourceOffset)
    return known?.timestamp === failure.sourceTimestamp ? known.at : null
  }

  /** @param at epoch milliseconds */
  add(source: Pick<Mark['source'], 'partition' | 'offset' | 'timestamp'>, at: number): void {
    const offsets = this.#byPartition.get(source.partition) ?? new Map()
    this.#byPartition.set(source.partition, offsets.set(source.offset, { timestamp: source.timestamp, at }))
  }
}

/** Reads all marks of records of the source topic. */
export async function readMarks(reader: TopicReader, settings: Settings): Promise<RedriveMarks> {
  const marks = new RedriveMarks()
  const sourceTopic = topicName(settings, 'source')
  await reader.readAll({
    topic: redrivesTopic(settings),
    readCommitted: true,
    onMessage: ({ value, timestamp }) => {
      const source = value === null ? null : readSource(String(value))
      if (source?.topic === sourceTopic) marks.add(source, timestamp)
    },
  })
  return marks
}

/** Null when nobody but a stranger can have written the mark. */
function readSource(value: string): Mark['source'] | null {
  try {
    return (JSON.parse(value) as Partial<Mark> | null)?.source ?? null
  } catch {
    // No JSON.
    return null
  }
}

/** About how many bytes the letter's record takes in the source topic; rather too many. */
export function recordBytes({ key, value, originalHeaders }: DeadLetter): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, text] of originalHeaders) bytes += HEADER_OVERHEAD_BYTES + 3 * name.length + (text?.length ?? 0)
  return bytes
}

/** Why the letter's record cannot be written into the source topic; null when it can be, once. */
export function refusalOf(letter: DeadLetter, sourceTopic: string, source: TopicFacts): Refusal | null {
  const { failure } = letter
  if (failure === null) return 'not_a_letter'
  if (NOT_EVENTS.has(failure.code)) return 'not_an_event'
  if (failure.wholeBytes !== null) return 'cut'
  if (failure.sourceTopic !== sourceTopic) return 'other_topic'
  if (failure.sourcePartition >= source.partitions) return 'no_such_partition'
  // One record that its topic does not take would fail the transaction, and with it all the others.
  return recordBytes(letter) > source.maxMessageBytes ? 'too_large' : null
}
