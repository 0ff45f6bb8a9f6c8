import { TidemarkError } from '../../src/errors.ts'
import { WireRecords } from '../../src/kafka/wire/records.ts'
import type { Commit, OutputRecord } from '../../src/tasks/task.ts'
import { blockOf } from '../unit/recordBlock.ts'
import { headerOf } from './eventJudge.ts'

export type LogRecord = {
  readonly offset: number
  readonly timestamp: number
  readonly appendedAt: number
  readonly value: Uint8Array | null
  readonly transaction: Transaction | null
}

/** Records become visible, together with offset and metadata, when `state` turns to committed. */
export type Transaction = {
  state: 'open' | 'committed' | 'aborted'
  readonly records: { readonly log: Log; readonly record: LogRecord; readonly output: OutputRecord }[]
}

/** One partition of one topic. Records that retention removed stay here for nobody to read. */
export class Log {
  readonly topic: string
  readonly number: number
  start: number
  /** The next offset (high watermark). */
  end: number
  readonly records: LogRecord[] = []
  readonly open = new Map<Transaction, number>()
  /** Offset ranges [from, to) that nobody can read any more, in order. */
  readonly damaged: { readonly from: number; readonly to: number }[] = []

  constructor(topic: string, number: number, start = 0) {
    this.topic = topic
    this.number = number
    this.start = start
    this.end = start
  }

  append(value: Uint8Array | null, timestamp: number, appendedAt: number, transaction: Transaction | null): LogRecord {
    const record = { offset: this.end++, timestamp, appendedAt, value, transaction }
    this.records.push(record)
    if (transaction !== null && !this.open.has(transaction)) this.open.set(transaction, record.offset)
    return record
  }

  /** Offsets that hold no record, as of control batches or compaction. */
  hole(size: number): void {
    this.end += size
  }

  /** Committed readers see nothing from here on (last stable offset). */
  get stableEnd(): number {
    let least = this.end
    for (const first of this.open.values()) least = Math.min(least, first)
    return least
  }

  /** The first damage that ends behind `offset`. */
  damageAfter(offset: number): { readonly from: number; readonly to: number } | undefined {
    return this.damaged.find(({ to }) => to > offset)
  }

  /** Up to `limit` records that a committed reader finds from `from` on. */
  read(from: number, limit: number): LogRecord[] {
    const found: LogRecord[] = []
    const end = Math.min(this.stableEnd, this.damageAfter(from)?.from ?? Number.POSITIVE_INFINITY)
    for (let i = this.indexOf(Math.max(from, this.start)); i < this.records.length && found.length < limit; i++) {
      const record = this.records[i] as LogRecord
      if (record.offset >= end) break
      if (record.transaction === null || record.transaction.state === 'committed') found.push(record)
    }
    return found
  }

  /** The index of the first record at or past `offset`. */
  indexOf(offset: number): number {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.records[middle] as LogRecord).offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What the broker tells the judge, at the moment when readers could see it. */
export type BrokerListener = {
  published(sender: Sender, log: Log, record: LogRecord, output: OutputRecord): void
  committed(sender: Sender, commit: Commit): void
}

/** Who sends and commits: a stage's partition, of one level where the stage has several. */
export type Sender = {
  /** As `aggregate/0`, `reduce/0`, `reduce.1/0`. */
  readonly name: string
  readonly stage: 'aggregate' | 'reduce'
  readonly level: number
  readonly partition: number
}

type Producer = { epoch: number; open: Transaction | null }

/** What one level of reducers reads and writes, a log for each of its partitions. */
export type LevelLogs = {
  readonly partials: Log[]
  readonly results: Log[]
  readonly deviceStats: Log[]
  readonly letters: Log[]
}

/** Logs, commits and transactions in memory; commits and producers are named as their senders. */
export class Broker {
  now: number
  readonly sources: Log[] = []
  readonly levels: LevelLogs[] = []
  /** Enriched events and dead letters of events, by source partition. */
  readonly events: Log[] = []
  readonly commits = new Map<string, Commit>()
  readonly #producers = new Map<string, Producer>()
  readonly #on: BrokerListener

  constructor(now: number, on: BrokerListener) {
    this.now = now
    this.#on = on
  }

  /** A new epoch for the slot's transactional id; the earlier owner's open transaction is aborted. */
  fence({ name }: Sender): number {
    const producer = this.#producer(name)
    this.#end(producer, 'aborted')
    return ++producer.epoch
  }

  begin(sender: Sender, epoch: number): void {
    const producer = this.#current(sender, epoch)
    if (producer.open !== null) throw new TidemarkError('delivery_failed', 'a transaction is open')
    producer.open = { state: 'open', records: [] }
  }

  sendInTransaction(sender: Sender, epoch: number, outputs: readonly OutputRecord[]): void {
    const { open } = this.#current(sender, epoch)
    if (open === null) throw new TidemarkError('delivery_failed', 'no transaction has begun')
    for (const output of outputs) {
      const log = this.#logOf(output, sender)
      const record = log.append(bytesOf(output), this.now, this.now, open)
      open.records.push({ log, record, output })
    }
  }

  commitTransaction(sender: Sender, epoch: number, commit: Commit): void {
    const producer = this.#current(sender, epoch)
    const { open } = producer
    if (open === null) throw new TidemarkError('delivery_failed', 'no transaction has begun')
    this.#end(producer, 'committed')
    this.commits.set(sender.name, commit)
    for (const { log, record, output } of open.records) this.#on.published(sender, log, record, output)
    this.#on.committed(sender, commit)
  }

  send(sender: Sender, outputs: readonly OutputRecord[]): void {
    for (const output of outputs) {
      const log = this.#logOf(output, sender)
      this.#on.published(sender, log, log.append(bytesOf(output), this.now, this.now, null), output)
    }
  }

  commit(sender: Sender, commit: Commit): void {
    this.commits.set(sender.name, commit)
    this.#on.committed(sender, commit)
  }

  /** Results and dead letters lie in one partition for each reducer: their keys never mix. */
  #logOf(output: OutputRecord, { level, partition }: Sender): Log {
    if (output.topic === 'partials') return this.#level(output.level ?? 0).partials[output.partition as number] as Log
    if (output.topic === 'enriched' || headerOf(output, 'source.topic') === 'source') {
      this.events[partition] ??= new Log('events', partition)
      return this.events[partition]
    }
    const logs = this.#level(level)
    return (output.topic === 'deadLetters' ? logs.letters : logs[output.topic])[partition] as Log
  }

  #level(level: number): LevelLogs {
    return this.levels[level] as LevelLogs
  }

  #producer(slot: string): Producer {
    let producer = this.#producers.get(slot)
    if (producer === undefined) {
      producer = { epoch: 0, open: null }
      this.#producers.set(slot, producer)
    }
    return producer
  }

  #current({ name }: Sender, epoch: number): Producer {
    const producer = this.#producer(name)
    if (producer.epoch !== epoch) throw new TidemarkError('fenced', `epoch ${epoch} of ${name} is over`)
    return producer
  }

  /** Ends the open transaction, if any; its marker takes an offset in each partition that it touched. */
  #end(producer: Producer, state: 'committed' | 'aborted'): void {
    const { open } = producer
    producer.open = null
    if (open === null) return
    open.state = state
    for (const log of new Set(open.records.map(({ log }) => log))) {
      log.open.delete(open)
      log.hole(1)
    }
  }
}

/** A cursor over records of a log: that of the real adapter. */
export class SimulatedBatch extends WireRecords {
  readonly records: readonly LogRecord[]

  constructor(baseOffset: number, nextOffset: number, records: readonly LogRecord[]) {
    super([blockOf(records)], records.length, baseOffset, nextOffset)
    this.records = records
  }

  /** The same records once more, from the beginning. */
  again(): SimulatedBatch {
    return new SimulatedBatch(this.baseOffset, this.nextOffset, this.records)
  }
}

function bytesOf({ value }: OutputRecord): Uint8Array | null {
  return typeof value === 'string' ? Buffer.from(value) : value
}
