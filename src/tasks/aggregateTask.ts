import { Aggregate } from '../aggregate/aggregate.ts'
import { invariant, TidemarkError } from '../errors.ts'
import type { RejectionCode } from '../events/codes.ts'
import { createEventParser, type EventParser, emptyEvent } from '../events/parse.ts'
import type { Gap } from '../windows/gaps.ts'
import { closedThrough, windowEndMs, windowIndexOf } from '../windows/windows.ts'
import { encodeAggregateCommit } from './aggregateCommit.ts'
import { type AggregateStart, type AggregateTaskSettings, chunkStart, startOf } from './aggregateStart.ts'
import { encodeMessage, type ProgressMessage, type Totals } from './messages.ts'
import type { RecordBatch } from './recordBatch.ts'
import type { Capture, CaptureInput, Commit, Notice, OutputRecord, Task, TaskFactory } from './task.ts'

/** A window of the present chunk. */
type OpenWindow = {
  /** Offset of the first event counted in this chunk, and the partition's clock before it. */
  readonly firstOffset: number
  readonly clockBeforeFirst: number
  /** One past the last event counted. */
  last: number
  /** Holds events that no acknowledged partial has told. */
  dirty: boolean
  readonly aggregate: Aggregate
}

/** A window of a finished chunk whose last partial is still to be told. */
type SealedWindow = { readonly record: OutputRecord }

/** Rejections named in one capture's notices; the totals count them all. */
const NOTICES_PER_CAPTURE = 5
/** Windows held during a replay before those that are closed and told are let go. */
const PRUNE_ABOVE = 1024

/**
 * One source partition: folds its records into windows and says, at each capture, what its prefix adds up to. A pure
 * function of the partition's records: lateness is decided by the clock of the prefix, so that every replay decides the
 * same.
 */
export class AggregateTask implements Task {
  readonly #settings: AggregateTaskSettings
  readonly #partition: number
  readonly #parse: EventParser
  readonly #event = emptyEvent()

  #position: number
  /** X: everything below it is told and committed. Records below it are replayed with the outputs muted. */
  #committed: number
  readonly #committedClock: number
  #arrived = false
  #clock: number

  /** Start of the present chunk, or of the sub-chunk in it, and the clock there. */
  #from: number
  #clockAtFrom: number
  #chunkEnd: number
  readonly #windows = new Map<number, OpenWindow>()
  #sealed: SealedWindow[] = []
  #pending = 0
  #processed = 0
  #pruneAt = PRUNE_ABOVE

  readonly #totals: Totals
  readonly #gaps: readonly Gap[]
  /**
   * A (sub-)chunk that no commit names is committed before its first partial: else a crash between the two would let the
   * next owner begin another sub-chunk that counts the same events once more. Its gap is told before, too: else a result
   * could count what came after the gap and not know of it.
   */
  #first: { readonly commit: Commit; readonly progress: ProgressMessage } | null = null

  #lastTold: { closed: number; of: number; idle: boolean; at: number } | null = null
  #notices: Notice[] = []

  constructor(settings: AggregateTaskSettings, partition: number, start: AggregateStart) {
    this.#settings = settings
    this.#partition = partition
    this.#parse = createEventParser(settings)
    this.#position = start.position
    this.#committed = start.committed
    this.#committedClock = start.committedClock
    this.#clock = start.clock
    this.#from = start.from
    this.#clockAtFrom = start.clockAtFrom
    this.#chunkEnd = chunkStart(start.from, settings.chunkSize) + settings.chunkSize
    this.#totals = {
      accepted: start.totals.accepted,
      late: start.totals.late,
      rejected: { ...start.totals.rejected },
    }
    this.#gaps = start.gaps
    if (start.newGap !== null) this.#notices.push({ kind: 'gap', from: start.newGap.from, to: start.newGap.to })
    // Made now: at this moment nothing past the committed offset is counted.
    if (start.commitFirst) this.#first = { commit: this.#commit(), progress: this.#progress(0, null) }
    this.#arriveIfThere()
  }

  get position(): number {
    return this.#position
  }

  get live(): boolean {
    return this.#arrived
  }

  /** Partials waiting to be told: the runtime flushes early and holds back records when there are too many. */
  get pending(): number {
    return this.#pending
  }

  /** Records processed by this owner, replayed ones too. */
  get processed(): number {
    return this.#processed
  }

  /** What the windows of the present chunk add up to, for statistics. */
  *held(): Iterable<Aggregate> {
    for (const window of this.#windows.values()) yield window.aggregate
  }

  process(batch: RecordBatch): void {
    while (batch.next()) {
      const offset = batch.offset
      if (offset < this.#position) continue
      this.#reach(offset)
      this.#record(batch, offset)
      this.#position = offset + 1
      this.#processed++
    }
    this.skipTo(batch.nextOffset)
  }

  skipTo(offset: number): void {
    if (offset > this.#position) this.#position = offset
    this.#arriveIfThere()
  }

  takeSeek(): number | null {
    return null
  }

  capture(input: CaptureInput): Capture | null {
    invariant(this.#arrived, 'a capture before the committed offset is reached')
    if (this.#first !== null) {
      const { commit, progress } = this.#first
      this.#first = null
      const told = this.#toAllPartitions({ ...progress, of: input.sourcePartitions })
      return { stages: [told], commit, notices: this.#takeNotices() }
    }
    if (this.#position >= this.#chunkEnd) this.#startChunk(this.#position)
    const partials = this.#sealed.map(sealed => sealed.record)
    this.#sealed = []
    this.#pending = 0
    const closed = closedThrough(this.#clock, this.#settings.windowSizeMs, this.#settings.allowedLatenessMs)
    for (const [index, window] of this.#windows) {
      if (window.dirty) partials.push(this.#partialRecord(index, window, this.#position))
      window.dirty = false
      if (index <= closed) this.#windows.delete(index)
    }
    const progress = this.#progressIfDue(input, closed)
    if (partials.length === 0 && progress.length === 0 && this.#position === this.#committed) return null
    this.#committed = this.#position
    return {
      stages: [partials, progress],
      commit: this.#commit(),
      notices: this.#takeNotices(),
    }
  }

  /** What must hold before the record at `offset` is processed. */
  #reach(offset: number): void {
    if (!this.#arrived && offset >= this.#committed) this.#arrive()
    if (offset >= this.#chunkEnd) this.#startChunk(offset)
  }

  #arriveIfThere(): void {
    if (!this.#arrived && this.#position >= this.#committed) this.#arrive()
  }

  #arrive(): void {
    if (this.#clock !== this.#committedClock) {
      throw new TidemarkError(
        'refused_replay_lost',
        `partition ${this.#partition}: reading again up to the committed offset ${this.#committed} gives the clock ${this.#clock}, but ${this.#committedClock} was committed: ` +
          'the log below the committed offset is not the one that was counted (is the source topic compacted?). Begin a new generation with `tidemark topics rewind`',
      )
    }
    this.#arrived = true
  }

  #record(batch: RecordBatch, offset: number): void {
    const event = this.#event
    const told = offset < this.#committed
    const code = this.#parse(batch.valueBytes, batch.valueStart, batch.valueEnd, event, batch.header)
    if (code !== null) {
      if (!told) this.#reject(code, offset)
      return
    }
    const { windowSizeMs, allowedLatenessMs, maxFutureSkewMs } = this.#settings
    if (event.timeMs > batch.timestamp + maxFutureSkewMs) {
      if (!told) this.#reject('future_timestamp', offset)
      return
    }
    const index = windowIndexOf(event.timeMs, windowSizeMs)
    if (windowEndMs(index, windowSizeMs) + allowedLatenessMs > this.#clock) {
      const window = this.#windows.get(index) ?? this.#open(index, offset)
      window.aggregate.add(event.deviceType, event.locale, event.appVersion, event.missing, event.invalid)
      window.last = offset + 1
      if (!told) {
        this.#totals.accepted++
        if (!window.dirty) {
          window.dirty = true
          this.#pending++
        }
      }
    } else if (!told) this.#totals.late++
    const advance = event.timeMs < batch.timestamp ? event.timeMs : batch.timestamp
    if (advance > this.#clock) this.#clock = advance
  }

  #open(index: number, offset: number): OpenWindow {
    if (this.#windows.size >= this.#pruneAt) this.#prune()
    const window = {
      firstOffset: offset,
      clockBeforeFirst: this.#clock,
      last: offset,
      dirty: false,
      aggregate: new Aggregate(this.#settings.limits),
    }
    this.#windows.set(index, window)
    return window
  }

  /** Lets go of windows that take no more events and have nothing to tell. */
  #prune(): void {
    const closed = closedThrough(this.#clock, this.#settings.windowSizeMs, this.#settings.allowedLatenessMs)
    for (const [index, window] of this.#windows) {
      if (index <= closed && !window.dirty) this.#windows.delete(index)
    }
    // Doubled: windows that cannot go are not walked over again for each new one.
    this.#pruneAt = Math.max(PRUNE_ABOVE, 2 * this.#windows.size)
  }

  #reject(code: RejectionCode, offset: number): void {
    this.#totals.rejected[code] = (this.#totals.rejected[code] ?? 0) + 1
    if (this.#notices.length < NOTICES_PER_CAPTURE) this.#notices.push({ kind: 'rejected', offset, code })
  }

  /** Ends the present chunk: its windows have their last word at its end, and the next chunk counts from nothing. */
  #startChunk(offset: number): void {
    for (const [index, window] of this.#windows) {
      if (window.dirty) this.#sealed.push({ record: this.#partialRecord(index, window, this.#chunkEnd) })
    }
    this.#windows.clear()
    this.#from = chunkStart(offset, this.#settings.chunkSize)
    this.#clockAtFrom = this.#clock
    this.#chunkEnd = this.#from + this.#settings.chunkSize
  }

  #partialRecord(index: number, window: OpenWindow, through: number): OutputRecord {
    const partitions = this.#settings.partialsPartitions
    return {
      topic: 'partials',
      partition: ((index % partitions) + partitions) % partitions,
      key: `${index}/${this.#partition}/${this.#from}`,
      value: encodeMessage({
        kind: 'partial',
        generation: this.#settings.generation,
        w: index,
        p: this.#partition,
        from: this.#from,
        clockAtFrom: this.#clockAtFrom,
        through,
        last: window.last,
        aggregate: window.aggregate.toJSON(),
      }),
    }
  }

  #progressIfDue(input: CaptureInput, closed: number): OutputRecord[] {
    const last = this.#lastTold
    const idle = input.idleAsOf !== null
    const due =
      last === null ||
      closed !== last.closed ||
      input.sourcePartitions !== last.of ||
      idle !== last.idle ||
      input.now - last.at >= this.#settings.idleTimeoutMs
    if (!due) return []
    const of = input.sourcePartitions
    this.#lastTold = { closed, of, idle, at: input.now }
    return this.#toAllPartitions(this.#progress(of, input.idleAsOf))
  }

  #progress(of: number, idleAsOf: number | null): ProgressMessage {
    const { accepted, late, rejected } = this.#totals
    return {
      kind: 'progress',
      generation: this.#settings.generation,
      p: this.#partition,
      of,
      through: this.#position,
      clock: this.#clock,
      idleAsOf,
      totals: { accepted, late, rejected: { ...rejected } },
      gaps: this.#gaps,
    }
  }

  /** Every reducer waits for every source. */
  #toAllPartitions(progress: ProgressMessage): OutputRecord[] {
    const value = encodeMessage(progress)
    const key = `progress/${this.#partition}`
    return Array.from({ length: this.#settings.partialsPartitions }, (_, partition) => {
      return { topic: 'partials', partition, key, value }
    })
  }

  /** The statement about the prefix below the present position. */
  #commit(): Commit {
    let replayFrom = this.#position
    let clockAtReplayFrom = this.#clock
    for (const window of this.#windows.values()) {
      if (window.firstOffset >= replayFrom) continue
      replayFrom = window.firstOffset
      clockAtReplayFrom = window.clockBeforeFirst
    }
    return encodeAggregateCommit({
      offset: this.#position,
      replayFrom,
      clockAtReplayFrom,
      clock: this.#clock,
      from: this.#from,
      clockAtFrom: this.#clockAtFrom,
      totals: this.#totals,
      gaps: this.#gaps,
      configHash: this.#settings.configHash,
      partialsPartitions: this.#settings.partialsPartitions,
    })
  }

  #takeNotices(): readonly Notice[] {
    const notices = this.#notices
    this.#notices = []
    return notices
  }
}

/** Makes aggregate tasks for the partitions of one source topic. */
export function createAggregateTaskFactory(settings: AggregateTaskSettings): TaskFactory<AggregateTask> {
  return {
    restore(partition, commit, log, now) {
      return new AggregateTask(settings, partition, startOf(settings, partition, commit, log, now))
    },
  }
}
