import type { Aggregate } from '../aggregate/aggregate.ts'
import { invariant } from '../errors.ts'
import type { Totals } from '../results/result.ts'
import { gapTouches } from '../windows/gaps.ts'
import { closedIn, endMsOf, keyOf, startMsOf } from '../windows/levels.ts'
import { handUps, levelsDue } from './handUp.ts'
import { HeldWindow } from './heldWindow.ts'
import { type LatePartial, lateLetter } from './latePartial.ts'
import { type Covered, decodeMessage, type PartialMessage, type ProgressMessage, type SourceGap } from './messages.ts'
import { ProgressTeller } from './progressTeller.ts'
import type { RecordBatch } from './recordBatch.ts'
import { encodeReduceCommit, type ReduceCommit } from './reduceCommit.ts'
import { leastMaxWindows, type ReduceTaskSettings, startOf } from './reduceStart.ts'
import { type ReduceSurvey, surveyOf } from './reduceSurvey.ts'
import { buildDeviceStats, buildResult, windowCounts } from './result.ts'
import { Sources } from './sources.ts'
import type { Capture, CaptureInput, Commit, Notice, OutputRecord, Task, TaskFactory } from './task.ts'
import { sampledContextOf, TraceIntake, traceOf } from './traceContext.ts'

/** Windows from `fromWindow` on are skipped for lack of room; the first of their partials lies at `position`. */
type Parking = { fromWindow: number; position: number }

/** What results tell beside their window's own counts. */
type Told = {
  readonly totals: Totals
  readonly gaps: readonly SourceGap[]
  /** The latest of every source. */
  readonly progress: readonly ProgressMessage[]
  readonly now: number
}

const NOTICES_PER_CAPTURE = 5
/** About what the letter of a late partial comes to. */
const LETTER_BYTES = 1024
/** About what a result and its hand-ups come to; to build one takes about a millisecond, during which nothing else happens. */
const RESULT_BYTES = 1024

/**
 * One partition of one level's partials: keeps, for each window, the greatest partial of every (p, from), tells what they
 * add up to, and hands results up to the levels of longer windows; windows turn final when the clocks of all sources have
 * passed them.
 */
export class ReduceTask implements Task {
  readonly #settings: ReduceTaskSettings
  readonly #partition: number
  #position: number
  /** Y: results of everything below it are told and committed. */
  #committed: number
  #finalThrough: number
  #droppedThrough: number
  readonly #windows = new Map<number, HeldWindow>()
  readonly #sources: Sources
  #parking: Parking | null = null
  #seekTo: number | null = null
  #late = new Map<string, LatePartial>()
  /** Windows that wait for the next capture. */
  #dirty = 0
  #pendingEvents = 0
  readonly #teller: ProgressTeller
  #notices: Notice[] = []
  readonly #traces: TraceIntake | null

  constructor(settings: ReduceTaskSettings, partition: number, start: ReduceCommit) {
    // Then one of the windows held is always still provisional: only such a one may be parked.
    invariant(settings.maxWindows >= leastMaxWindows(settings), 'MAX_WINDOWS holds all windows that may be corrected')
    this.#settings = settings
    this.#partition = partition
    this.#position = start.replayFrom
    this.#committed = start.offset
    this.#finalThrough = start.finalThrough
    this.#droppedThrough = start.droppedThrough
    this.#sources = new Sources(start.sourcePartitions)
    this.#teller = new ProgressTeller(settings, partition)
    this.#traces = settings.traced ? new TraceIntake() : null
  }

  get position(): number {
    return this.#position
  }

  get live(): boolean {
    return this.#position >= this.#committed && this.#seekTo === null
  }

  get pendingBytes(): number {
    return this.#late.size * LETTER_BYTES + this.#dirty * RESULT_BYTES
  }

  /** By how many events the window that grew most has grown since its last result. */
  get pendingEvents(): number {
    return this.#pendingEvents
  }

  /** Whether events are counted here, and not the windows of another level. */
  get isBase(): boolean {
    return this.#settings.level.below === null
  }

  /** How many partitions the level has. */
  get partitions(): number {
    return this.#settings.partialsPartitions
  }

  /** How many windows are held: at most MAX_WINDOWS. */
  get windows(): number {
    return this.#windows.size
  }

  /** What it holds and how far it has come. Looks at each window: not for every record. */
  survey(): ReduceSurvey {
    const reached = { finalThrough: this.#finalThrough, clockMs: this.#leastClock() }
    return surveyOf(this.#settings.level, this.#windows.values(), this.#sources, reached)
  }

  /** Events accepted as far as the sources have told. */
  get processed(): number {
    return this.#totals().accepted
  }

  process(batch: RecordBatch): void {
    while (batch.next()) {
      const offset = batch.offset
      if (offset < this.#position) continue
      this.#record(batch, offset)
      this.#position = offset + 1
    }
    this.skipTo(batch.nextOffset)
  }

  skipTo(offset: number): void {
    if (offset > this.#position) this.#position = offset
  }

  takeSeek(): number | null {
    const seekTo = this.#seekTo
    this.#seekTo = null
    return seekTo
  }

  capture(input: CaptureInput): Capture | null {
    invariant(this.live, 'a capture before the committed offset is reached')
    const finalBefore = this.#finalThrough
    this.#advanceFinality()
    const outputs: OutputRecord[] = []
    const results = { size: this.#settings.level.name, provisional: 0, final: 0, corrected: 0 }
    const { now } = input
    const told = { totals: this.#totals(), gaps: this.#sources.gaps(), progress: this.#sources.progress(), now }
    for (const window of this.#windows.values()) {
      const turnsFinal = window.index > finalBefore && window.index <= this.#finalThrough
      const tells = window.dirty || turnsFinal
      const above = levelsDue(this.#settings.above, window, window.index <= this.#finalThrough, now)
      if (!tells && above.length === 0) continue
      // A window that turns final tells again what it told; adding up thousands of users twice would be most of the work.
      const isCounted = window.counted?.revision === window.revision
      const total = isCounted && above.length === 0 ? null : this.#totalOf(window)
      const coverage = this.#withSilent(window.coverage(), told)
      if (tells) {
        outputs.push(...this.#results(window, coverage, told))
        results[window.statusAt(this.#finalThrough)]++
      }
      if (total !== null) {
        outputs.push(...handUps(this.#settings, window, above, { total, coverage, position: this.#position, now }))
        total.users.release()
      }
      this.#traces?.linkAll(window.takeTraces(window.index <= this.#finalThrough))
      window.dirty = false
      window.toldCount = window.count
    }
    for (const letter of this.#late.values()) outputs.push(lateLetter(this.#settings, this.#partition, letter, now))
    this.#late = new Map()
    const dropped = this.#dropClosed()
    const progress = this.#progressUp(input, told)
    const moved = this.#position !== this.#committed || this.#finalThrough !== finalBefore || dropped
    this.#dirty = 0
    this.#pendingEvents = 0
    if (outputs.length === 0 && progress.length === 0 && !moved) return null
    this.#committed = this.#position
    const commit = this.#commit()
    this.#unparkIfRoom()
    const [notices, trace] = [this.#notices, traceOf(this.#traces, outputs.length > 0)]
    this.#notices = []
    return { stages: [outputs, progress], commit, tally: null, told: results, notices, ...trace }
  }

  #record(batch: RecordBatch, offset: number): void {
    const message = decodeMessage(batch.valueBytes, batch.valueStart, batch.valueEnd)
    if (offset >= this.#committed) this.#traces?.count(batch)
    if (message === null) this.#notice({ kind: 'foreign_record', offset })
    else if (message.generation !== this.#settings.generation) return
    else if (message.kind === 'partial') this.#partial(message, offset, batch)
    else this.#progress(message, offset, batch.timestamp)
  }

  #partial(partial: PartialMessage, position: number, batch: RecordBatch): void {
    if (partial.w <= this.#droppedThrough) {
      if (position >= this.#committed) this.#tooLate(partial, position, batch.timestamp)
      return
    }
    if (this.#parking !== null && partial.w >= this.#parking.fromWindow) {
      this.#parking.position = Math.min(this.#parking.position, position)
      return
    }
    const window = this.#windows.get(partial.w) ?? this.#hold(partial.w, position)
    if (window?.offer(partial, this.#traces === null ? null : sampledContextOf(batch))) this.#changed(window, position)
  }

  #progress(progress: ProgressMessage, position: number, appendedAt: number): void {
    const fresh = this.#sources.take(progress, position, appendedAt)
    if (fresh.length > 0) this.#admitGaps(fresh, position)
  }

  /** Results that were told before a gap was known did not say that they may miss events: they are told again. */
  #admitGaps(fresh: readonly SourceGap[], position: number): void {
    const { level, allowedLatenessMs } = this.#settings
    for (const window of this.#windows.values()) {
      const [start, end] = [startMsOf(level, window.index), endMsOf(level, window.index)]
      if (fresh.some(gap => gapTouches(gap, start, end, allowedLatenessMs))) this.#changed(window, position)
    }
  }

  /** The window has something new to tell. Below the committed position a final window has told all it holds. */
  #changed(window: HeldWindow, position: number): void {
    const wasDirty = window.dirty
    if (window.index > this.#finalThrough) window.dirty = true
    else if (position >= this.#committed) {
      window.dirty = true
      window.corrected = true
    }
    if (window.dirty && !wasDirty) this.#dirty++
    if (window.dirty) this.#pendingEvents = Math.max(this.#pendingEvents, window.count - window.toldCount)
  }

  /** A partial of a forgotten window: a repeat of what was counted, or a claim that came too late to be. */
  #tooLate(partial: PartialMessage, position: number, appendedAt: number): void {
    const { level, partialsPartitions } = this.#settings
    // A shorter window was told of by the partition that holds it.
    const source = level.below === null ? partial.p : partial.p % partialsPartitions
    const told = this.#sources.throughOf(source)
    if (partial.last <= told) return
    const key = `${partial.w}/${partial.p}/${partial.from}`
    const known = this.#late.get(key)
    if (known !== undefined && known.partial.through >= partial.through) return
    this.#late.set(key, { partial, position, appendedAt })
    this.#notice({ kind: 'partial_too_late', window: partial.w, partition: partial.p, from: partial.from })
  }

  /** Makes room for a window; null when it is itself the one furthest ahead, and parked. */
  #hold(index: number, position: number): HeldWindow | null {
    if (this.#windows.size >= this.#settings.maxWindows) {
      let furthest = -1
      for (const held of this.#windows.keys()) if (held > furthest) furthest = held
      if (index > furthest) {
        this.#park(index, position)
        return null
      }
      const evicted = this.#windows.get(furthest) as HeldWindow
      this.#windows.delete(furthest)
      this.#park(furthest, evicted.firstPosition)
    }
    const window = new HeldWindow(index, position)
    this.#windows.set(index, window)
    return window
  }

  #park(index: number, position: number): void {
    if (this.#parking === null) this.#notice({ kind: 'parked', fromWindow: index })
    this.#parking = {
      fromWindow: Math.min(index, this.#parking?.fromWindow ?? index),
      position: Math.min(position, this.#parking?.position ?? position),
    }
  }

  /** Reads the parked windows again once half of the room is free. Only after a capture: nothing is waiting then. */
  #unparkIfRoom(): void {
    if (this.#parking === null || this.#windows.size > this.#settings.maxWindows / 2) return
    this.#seekTo = this.#parking.position
    this.#position = this.#parking.position
    this.#parking = null
  }

  #advanceFinality(): void {
    const { level, allowedLatenessMs } = this.#settings
    const closed = closedIn(level, this.#leastClock(), allowedLatenessMs)
    // A parked window has not been told: it cannot be final.
    const limit = this.#parking === null ? closed : Math.min(closed, this.#parking.fromWindow - 1)
    if (limit > this.#finalThrough) this.#finalThrough = limit
  }

  /** Forgets windows whose time for corrections is over; tells whether the mark moved. */
  #dropClosed(): boolean {
    const { level, allowedLatenessMs, correctionHorizonMs } = this.#settings
    const passed = closedIn(level, this.#leastClock(), allowedLatenessMs + correctionHorizonMs)
    const limit = Math.min(passed, this.#finalThrough)
    if (limit <= this.#droppedThrough) return false
    this.#droppedThrough = limit
    for (const index of this.#windows.keys()) if (index <= limit) this.#windows.delete(index)
    return true
  }

  #leastClock(): number {
    return this.#sources.leastClock(this.#windows.size > 0)
  }

  #totalOf(window: HeldWindow): Aggregate {
    const { level, limits, hourOf } = this.#settings
    const total = window.total(limits)
    // All events of a base window fall into one hour.
    if (level.below === null) total.hours[hourOf(startMsOf(level, window.index))] = total.count
    const { revision } = window
    window.counted = { revision, counts: windowCounts(total, endMsOf(level, window.index)) }
    return total
  }

  /**
   * A source that told nothing of the window is covered too: its progress says that all it had to say below `through` is
   * said. The range [through, through) then states that no event of the window lies below.
   */
  #withSilent(coverage: ReadonlyMap<number, Covered>, told: Told): readonly Covered[] {
    const covered = [...coverage.values()]
    // What a longer window covers was handed up with this.
    if (this.#settings.level.below !== null) return covered
    const all = covered.map(({ p, from, clockAtFrom, through, twice }) => {
      return { p, from, clockAtFrom, through: Math.max(through, this.#sources.throughOf(p)), twice }
    })
    for (const { p, through, clock } of told.progress) {
      if (!coverage.has(p)) all.push({ p, from: through, clockAtFrom: clock, through, twice: [] })
    }
    return all
  }

  #results(window: HeldWindow, coverage: readonly Covered[], told: Told): OutputRecord[] {
    const { generation, level, allowedLatenessMs: latenessMs } = this.#settings
    const { index, revision, counted } = window
    invariant(counted !== null, 'a result is told of a window that was added up')
    const status = window.statusAt(this.#finalThrough)
    const { counts } = counted
    const result = buildResult({
      ...{ generation, level, index, latenessMs, status, revision, counts, coverage },
      ...{ gaps: told.gaps, totals: told.totals, now: told.now },
    })
    const key = keyOf(level, index)
    return [
      { topic: 'results', partition: null, key, value: JSON.stringify(result) },
      { topic: 'deviceStats', partition: null, key, value: JSON.stringify(buildDeviceStats(result)) },
    ]
  }

  /** What the levels above wait for: up to which clock all windows here are final and handed up. */
  #progressUp(input: CaptureInput, { totals, gaps }: Told): OutputRecord[] {
    const { generation, level, above, allowedLatenessMs, partialsPartitions } = this.#settings
    if (above.length === 0) return []
    const clock = this.#toldClock()
    const idleAsOf = null
    const due = this.#teller.isDue(
      { ...input, sourcePartitions: partialsPartitions, idleAsOf },
      closedIn(level, clock, allowedLatenessMs),
    )
    if (!due) return []
    const [p, through, of] = [this.#partition, this.#position, partialsPartitions]
    const progress = { kind: 'progress', generation, p, of, through, clock, idleAsOf, totals, gaps } as const
    return above.flatMap(({ number }) => this.#teller.toAllPartitions(progress, number))
  }

  /** The clock that all sources have passed, as far as every window that it closes is final here; 0 before the first event. */
  #toldClock(): number {
    const { level, allowedLatenessMs } = this.#settings
    const parked = this.#parking === null ? null : endMsOf(level, this.#parking.fromWindow) + allowedLatenessMs - 1
    return Math.max(0, Math.min(this.#leastClock(), parked ?? Number.POSITIVE_INFINITY))
  }

  #commit(): Commit {
    let replayFrom = Math.min(this.#position, this.#parking?.position ?? this.#position)
    for (const window of this.#windows.values()) replayFrom = Math.min(replayFrom, window.firstPosition)
    replayFrom = Math.min(replayFrom, this.#sources.heldFrom ?? replayFrom)
    return encodeReduceCommit({
      offset: this.#position,
      replayFrom,
      finalThrough: this.#finalThrough,
      droppedThrough: this.#droppedThrough,
      sourcePartitions: this.#sources.expected,
      configHash: this.#settings.configHash,
    })
  }

  #totals(): Totals {
    return this.#settings.level.below === null ? this.#sources.sum() : this.#sources.farthest()
  }

  #notice(notice: Notice): void {
    if (this.#notices.length < NOTICES_PER_CAPTURE) this.#notices.push(notice)
  }
}

/** Makes reduce tasks for the partitions of the partials topic. */
export function createReduceTaskFactory(settings: ReduceTaskSettings): TaskFactory<ReduceTask> {
  return {
    restore(partition, commit, log) {
      return new ReduceTask(settings, partition, startOf(settings, partition, commit, log))
    },
  }
}
