import type { Aggregate } from '../aggregate/aggregate.ts'
import { invariant, TidemarkError } from '../errors.ts'
import type { RejectionCode } from '../events/codes.ts'
import { EventSlice } from '../events/eventSlice.ts'
import type { Totals } from '../results/result.ts'
import { addGap, type Gap } from '../windows/gaps.ts'
import { closedThrough, windowIndexOf } from '../windows/windows.ts'
import { type AggregateStart, type AggregateTaskSettings, chunkStart, startOf } from './aggregateStart.ts'
import { commitOf, type Prefix, partialRecord, progressOf } from './aggregateStatements.ts'
import { EventOutputs } from './eventOutputs.ts'
import { EventReader, NO_ROW } from './eventReader.ts'
import { copyTotals, type ProgressMessage, totalsSince } from './messages.ts'
import { OpenWindow } from './openWindow.ts'
import { OpenWindows } from './openWindows.ts'
import { ProgressTeller } from './progressTeller.ts'
import type { CorruptRange, RecordBatch } from './recordBatch.ts'
import type { Capture, CaptureInput, Commit, Notice, Output, OutputRecord, Tally, Task, TaskFactory } from './task.ts'
import { TraceIntake, traceOf } from './traceContext.ts'

/** What has to be told and committed by itself before anything that comes after it. */
type FirstWord = {
  readonly records: readonly Output[]
  readonly progress: ProgressMessage
  readonly commit: Commit
}

/** Rejections named in one capture's notices; the totals count them all. */
const NOTICES_PER_CAPTURE = 5

/**
 * One source partition: folds its records into windows and says, at each capture, what its prefix adds up to. A pure
 * function of the partition's records: lateness is decided by the clock of the prefix, so that every replay decides the
 * same.
 */
export class AggregateTask implements Task {
  readonly #settings: AggregateTaskSettings
  readonly #partition: number
  readonly #reader: EventReader

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
  readonly #windows: OpenWindows
  /** The last partials of windows of finished chunks, still to be told. */
  #sealed: OutputRecord[] = []
  #pendingPartialBytes = 0
  #pendingEvents = 0
  readonly #outputs: EventOutputs
  #processed = 0

  readonly #totals: Totals
  /** The totals as of the last capture. */
  #tallied: Tally
  #gaps: readonly Gap[]
  /**
   * A (sub-)chunk that no commit names is committed before its first partial: else a crash between the two would let the
   * next owner begin another sub-chunk that counts the same events once more. Its gap is told before, too: else a result
   * could count what came after the gap and not know of it.
   */
  readonly #first: FirstWord[] = []

  #chunks = 1
  readonly #teller: ProgressTeller
  #notices: Notice[] = []
  /** Null while tracing is off. */
  readonly #traces: TraceIntake | null

  /** @param slice for the events of all partitions, one batch at a time */
  constructor(settings: AggregateTaskSettings, partition: number, start: AggregateStart, slice: EventSlice) {
    this.#settings = settings
    this.#partition = partition
    this.#reader = new EventReader(settings, slice)
    this.#windows = new OpenWindows(settings.windowSizeMs, settings.allowedLatenessMs)
    this.#outputs = new EventOutputs(settings.outputs, partition)
    this.#teller = new ProgressTeller(settings, partition)
    this.#traces = settings.traced ? new TraceIntake() : null
    this.#position = start.position
    this.#committed = start.committed
    this.#committedClock = start.committedClock
    this.#clock = start.clock
    this.#from = start.from
    this.#clockAtFrom = start.clockAtFrom
    this.#chunkEnd = chunkStart(start.from, settings.chunkSize) + settings.chunkSize
    this.#totals = copyTotals(start.totals)
    this.#tallied = copyTotals(this.#totals)
    this.#gaps = start.gaps
    if (start.newGap !== null) this.#notices.push({ kind: 'gap', from: start.newGap.from, to: start.newGap.to })
    // Made now: at this moment nothing past the committed offset is counted.
    if (start.commitFirst) this.#tellFirst([])
    this.#arriveIfThere()
  }

  get position(): number {
    return this.#position
  }

  get live(): boolean {
    return this.#arrived
  }

  get pendingBytes(): number {
    return this.#pendingPartialBytes + this.#outputs.bytes
  }

  get pendingEvents(): number {
    return this.#pendingEvents
  }

  /** The event-time clock of the prefix, epoch milliseconds; 0 before the first event. */
  get clockMs(): number {
    return this.#clock
  }

  /** Windows of the present chunk that are open. */
  get windows(): number {
    return this.#windows.size
  }

  /** Chunks begun by this owner, that of its start and those of a replay included. */
  get chunks(): number {
    return this.#chunks
  }

  /** Records processed by this owner, replayed ones too. */
  get processed(): number {
    return this.#processed
  }

  /** What the windows of the present chunk add up to, for statistics. */
  *held(): Iterable<Aggregate> {
    for (const window of this.#windows.values()) yield window.aggregate
  }

  process(batch: RecordBatch, now: number): void {
    const { slice } = this.#reader
    try {
      for (;;) {
        if (batch.fill(slice)) this.#takeSlice(batch, slice, now)
        else if (batch.next()) this.#take(batch, NO_ROW, batch.offset, batch.timestamp, now)
        else break
      }
    } finally {
      // What runs have counted stands where those of the next partition count.
      this.#windows.settle()
    }
    // A fetch is not to be held on to until the next one comes.
    this.#reader.event.release()
    this.skipTo(batch.nextOffset)
  }

  skipTo(offset: number): void {
    if (offset > this.#position) this.#position = offset
    this.#arriveIfThere()
  }

  /**
   * The lost range ends the present (sub-)chunk as a log start that has moved does: what comes behind it is counted apart
   * from what came before, and results that it may belong to say so. While an earlier owner's part is being read again,
   * what that one has told holds, and only offsets that nobody has told of are lost.
   */
  skipCorrupt(range: CorruptRange, now: number): void {
    this.skipTo(range.from)
    const from = this.#position
    if (from >= this.#chunkEnd) this.#startChunk(from)
    const records = this.#arrived ? this.#takeRecords(from) : []
    const lost = { from: this.#arrived ? from : this.#committed, to: Math.max(range.to, this.#committed) }
    this.#windows.clear()
    this.#sealed = []
    if (!this.#arrived) this.#clock = this.#committedClock
    this.#arrived = true
    this.#position = lost.to
    this.#startChunkAt(lost.to)
    if (lost.to > lost.from) {
      const untilMs = now + this.#settings.maxFutureSkewMs + this.#settings.allowedLatenessMs
      this.#gaps = addGap(this.#gaps, { ...lost, clockBefore: this.#clock, untilMs })
      this.#notices.push({ kind: 'gap', ...lost })
      this.#outputs.corrupt(range, now)
      records.push(...this.#outputs.take())
    }
    this.#tellFirst(records)
  }

  takeSeek(): number | null {
    return null
  }

  capture(input: CaptureInput): Capture | null {
    invariant(this.#arrived, 'a capture before the committed offset is reached')
    const first = this.#first.shift()
    if (first !== undefined) {
      const told = this.#teller.toAllPartitions({ ...first.progress, of: input.sourcePartitions })
      return { stages: [first.records, told], commit: first.commit, ...this.#takeReport(first.records) }
    }
    if (this.#position >= this.#chunkEnd) this.#startChunk(this.#position)
    const closed = closedThrough(this.#clock, this.#settings.windowSizeMs, this.#settings.allowedLatenessMs)
    const records = this.#takeRecords(this.#position)
    this.#windows.closeThrough(closed)
    const due = this.#teller.isDue(input, closed)
    const progress = due ? this.#teller.toAllPartitions(this.#progress(input.sourcePartitions, input.idleAsOf)) : []
    if (records.length === 0 && progress.length === 0 && this.#position === this.#committed) return null
    this.#committed = this.#position
    return { stages: [records, progress], commit: this.#commit(), ...this.#takeReport(records) }
  }

  /** What waits to be sent, each dirty window's partial through `through`: partials first, then events and letters. */
  #takeRecords(through: number): Output[] {
    const records: Output[] = this.#sealed
    this.#sealed = []
    this.#pendingPartialBytes = 0
    this.#pendingEvents = 0
    for (const window of this.#windows.values()) {
      if (window.dirty) records.push(this.#partialRecord(window, through))
      window.dirty = false
    }
    for (const record of this.#outputs.take()) records.push(record)
    return records
  }

  /** Has the present position committed, and progress told, before anything else is. */
  #tellFirst(records: readonly Output[]): void {
    this.#committed = this.#position
    this.#first.push({ records, progress: this.#progress(0, null), commit: this.#commit() })
  }

  #takeSlice(batch: RecordBatch, slice: EventSlice, now: number): void {
    for (let row = 0; row < slice.size; ) {
      const offset = slice.offset(row)
      // Where events are asked for nothing but what they count, those of windows that are open are counted together.
      const isSingle = this.#reader.asksRecords || offset < batch.baseOffset
      const next = isSingle ? row : this.#countRun(batch, slice, row, offset, now)
      if (next === row) {
        if (offset >= batch.baseOffset) this.#take(batch, row, offset, slice.timestamp(row), now)
        row++
      } else row = next
    }
  }

  /** Counts the events from the row on that are simply more of windows that are open; returns the row behind them. */
  #countRun(batch: RecordBatch, slice: EventSlice, row: number, offset: number, now: number): number {
    if (offset < this.#position) return row
    this.#reach(offset)
    const told = offset < this.#committed
    const limit = told ? Math.min(this.#committed, this.#chunkEnd) : this.#chunkEnd
    const skewMs = this.#settings.maxFutureSkewMs
    const looksForTraces = !told && this.#traces?.isLooking === true
    const end = this.#windows.countRun(slice, row, { limit, skewMs, looksForTraces }, this.#clock)
    if (end === row) return row
    this.#clock = slice.runClock
    this.#pendingPartialBytes += this.#windows.addRun(slice, this.#reader.ipv4Places, told)
    if (!told) {
      this.#totals.accepted += end - row
      this.#pendingEvents += end - row
      this.#traces?.count(batch, now, end - row)
    }
    this.#processed += end - row
    this.#position = slice.offset(end - 1) + 1
    return end
  }

  /** @param row where the record stands in the slice; NO_ROW when the batch shows it already */
  #take(batch: RecordBatch, row: number, offset: number, timestamp: number, now: number): void {
    if (offset < this.#position) return
    this.#reach(offset)
    this.#record(batch, row, offset, timestamp, now)
    this.#position = offset + 1
    this.#processed++
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

  #record(batch: RecordBatch, row: number, offset: number, timestamp: number, now: number): void {
    const { event } = this.#reader
    const told = offset < this.#committed
    const code = this.#reader.read(batch, row)
    if (this.#traces !== null && !told) this.#traces.record(batch, code === null ? event.traceparent : null, now)
    if (code !== null) {
      if (!told) this.#refuse(batch, code, now)
      return
    }
    const { timeMs } = event
    const { maxFutureSkewMs, allowedLatenessMs } = this.#settings
    if (timeMs > timestamp + maxFutureSkewMs) {
      if (row !== NO_ROW) batch.show(row)
      if (!told) this.#refuse(batch, 'future_timestamp', now)
      return
    }
    let window = this.#windows.at(timeMs)
    if (window === null ? this.#windows.takes(timeMs, this.#clock) : window.endMs + allowedLatenessMs > this.#clock) {
      window ??= this.#open(timeMs, offset)
      const place = this.#reader.place()
      event.place = place
      this.#pendingPartialBytes += window.count(event, place, offset, told)
      if (!told) {
        this.#totals.accepted++
        this.#pendingEvents++
        this.#outputs.accepted(batch, event, now)
      }
    } else if (!told) {
      this.#totals.late++
      if (row !== NO_ROW) batch.show(row)
      this.#outputs.rejected(batch, 'late', now)
    }
    const advance = timeMs < timestamp ? timeMs : timestamp
    if (advance > this.#clock) this.#clock = advance
  }

  #open(timeMs: number, offset: number): OpenWindow {
    const { windowSizeMs, limits } = this.#settings
    const window = new OpenWindow(windowIndexOf(timeMs, windowSizeMs), windowSizeMs, offset, this.#clock, limits)
    this.#windows.open(window, this.#clock)
    return window
  }

  #refuse(batch: RecordBatch, code: RejectionCode, now: number): void {
    this.#reject(code, batch.offset)
    this.#outputs.rejected(batch, code, now)
  }

  #reject(code: RejectionCode, offset: number): void {
    this.#totals.rejected[code] = (this.#totals.rejected[code] ?? 0) + 1
    if (this.#notices.length < NOTICES_PER_CAPTURE) this.#notices.push({ kind: 'rejected', offset, code })
  }

  /** Ends the present chunk: its windows have their last word at its end, and the next chunk counts from nothing. */
  #startChunk(offset: number): void {
    for (const window of this.#windows.values()) {
      if (window.dirty) this.#sealed.push(this.#partialRecord(window, this.#chunkEnd))
    }
    this.#windows.clear()
    this.#startChunkAt(chunkStart(offset, this.#settings.chunkSize))
  }

  /** @param from a chunk's start, or the offset in a chunk at which a sub-chunk begins */
  #startChunkAt(from: number): void {
    this.#from = from
    this.#clockAtFrom = this.#clock
    this.#chunks++
    this.#chunkEnd = chunkStart(from, this.#settings.chunkSize) + this.#settings.chunkSize
  }

  #partialRecord(window: OpenWindow, through: number): OutputRecord {
    return partialRecord(this.#settings, this.#prefix, window, through)
  }

  #progress(of: number, idleAsOf: number | null): ProgressMessage {
    return progressOf(this.#settings, this.#prefix, of, idleAsOf)
  }

  #commit(): Commit {
    return commitOf(this.#settings, this.#prefix, this.#windows.values())
  }

  /** All that statements are made of, as it stands. */
  get #prefix(): Prefix {
    return {
      partition: this.#partition,
      position: this.#position,
      clock: this.#clock,
      from: this.#from,
      clockAtFrom: this.#clockAtFrom,
      totals: this.#totals,
      gaps: this.#gaps,
    }
  }

  #takeReport(told: readonly Output[]): Omit<Capture, 'stages' | 'commit'> {
    const notices = this.#notices
    this.#notices = []
    const tally = totalsSince(this.#totals, this.#tallied)
    this.#tallied = copyTotals(this.#totals)
    return { tally, notices, ...traceOf(this.#traces, told.length > 0) }
  }
}

/** Makes aggregate tasks for the partitions of one source topic. */
export function createAggregateTaskFactory(settings: AggregateTaskSettings): TaskFactory<AggregateTask> {
  const slice = new EventSlice(settings, settings.outputs.enriched !== null)
  return {
    restore(partition, commit, log, now) {
      return new AggregateTask(settings, partition, startOf(settings, partition, commit, log, now), slice)
    },
  }
}
