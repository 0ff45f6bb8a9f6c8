import type { Aggregate } from '../aggregate/aggregate.ts'
import { invariant } from '../errors.ts'
import { addGap, type Gap, gapTouches } from '../windows/gaps.ts'
import { closedThrough, windowKey } from '../windows/windows.ts'
import { HeldWindow } from './heldWindow.ts'
import { decodeMessage, type PartialMessage, type ProgressMessage, type Totals } from './messages.ts'
import type { RecordBatch } from './recordBatch.ts'
import { encodeReduceCommit, type ReduceCommit } from './reduceCommit.ts'
import { leastMaxWindows, type ReduceTaskSettings, startOf } from './reduceStart.ts'
import { buildResult, type ResultStatus, sumTotals } from './result.ts'
import type { Capture, CaptureInput, Commit, Notice, OutputRecord, Task, TaskFactory } from './task.ts'

/** The latest word of a source partition on its own completeness. */
type Latest = {
  readonly progress: ProgressMessage
  /** Where it stands in the partials log. */
  readonly position: number
  /** The broker's time of the record, epoch milliseconds. */
  readonly appendedAt: number
}

/** All that is known of a source. */
type Source = Latest & {
  /** Every gap that any of its owners has told. */
  readonly gaps: readonly Gap[]
  /** Reading from this position tells all of it again. */
  readonly heldFrom: number
}

/** Windows from `fromWindow` on are skipped for lack of room; the first of their partials lies at `position`. */
type Parking = { fromWindow: number; position: number }

type LatePartial = { readonly partial: PartialMessage; readonly position: number; readonly appendedAt: number }

const NOTICES_PER_CAPTURE = 5
/** About what the letter of a late partial comes to. */
const LETTER_BYTES = 1024
const encoder = new TextEncoder()

/**
 * One partition of the partials topic: keeps, for each window, the greatest partial of every (p, from), and tells what
 * they add up to; windows turn final when the clocks of all sources have passed them.
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
  readonly #sources = new Map<number, Source>()
  /** The greatest number of source partitions that any source knew of. */
  #expected: number
  #parking: Parking | null = null
  #seekTo: number | null = null
  #late = new Map<string, LatePartial>()
  #notices: Notice[] = []

  constructor(settings: ReduceTaskSettings, partition: number, start: ReduceCommit) {
    // Then one of the windows held is always still provisional: only such a one may be parked.
    invariant(settings.maxWindows >= leastMaxWindows(settings), 'MAX_WINDOWS holds all windows that may be corrected')
    this.#settings = settings
    this.#partition = partition
    this.#position = start.replayFrom
    this.#committed = start.offset
    this.#finalThrough = start.finalThrough
    this.#droppedThrough = start.droppedThrough
    this.#expected = start.sourcePartitions
  }

  get position(): number {
    return this.#position
  }

  get live(): boolean {
    return this.#position >= this.#committed && this.#seekTo === null
  }

  get pendingBytes(): number {
    return this.#late.size * LETTER_BYTES
  }

  /** How many windows are held: at most MAX_WINDOWS. */
  get windows(): number {
    return this.#windows.size
  }

  /** Events accepted as far as the sources have told. */
  get processed(): number {
    return this.#totals().accepted
  }

  /** What the windows held add up to, for statistics. */
  *held(): Iterable<Aggregate> {
    for (const window of this.#windows.values()) yield window.total(this.#settings.limits).aggregate
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
    const totals = this.#totals()
    const progress = new Map([...this.#sources].map(([p, source]) => [p, { ...source.progress, gaps: source.gaps }]))
    for (const window of this.#windows.values()) {
      const turnsFinal = window.index > finalBefore && window.index <= this.#finalThrough
      if (window.dirty || turnsFinal) outputs.push(this.#result(window, progress, totals, input.now))
      window.dirty = false
    }
    for (const letter of this.#late.values()) outputs.push(this.#deadLetter(letter, input.now))
    this.#late = new Map()
    const dropped = this.#dropClosed()
    const moved = this.#position !== this.#committed || this.#finalThrough !== finalBefore || dropped
    if (outputs.length === 0 && !moved) return null
    this.#committed = this.#position
    const commit = this.#commit()
    this.#unparkIfRoom()
    const notices = this.#notices
    this.#notices = []
    return { stages: [outputs], commit, tally: null, notices }
  }

  #record(batch: RecordBatch, offset: number): void {
    const message = decodeMessage(batch.valueBytes, batch.valueStart, batch.valueEnd)
    if (message === null) this.#notice({ kind: 'foreign_record', offset })
    else if (message.generation !== this.#settings.generation) return
    else if (message.kind === 'partial') this.#partial(message, offset, batch.timestamp)
    else this.#progress(message, offset, batch.timestamp)
  }

  #partial(partial: PartialMessage, position: number, appendedAt: number): void {
    if (partial.w <= this.#droppedThrough) {
      if (position >= this.#committed) this.#tooLate(partial, position, appendedAt)
      return
    }
    if (this.#parking !== null && partial.w >= this.#parking.fromWindow) {
      this.#parking.position = Math.min(this.#parking.position, position)
      return
    }
    const window = this.#windows.get(partial.w) ?? this.#hold(partial.w, position)
    if (window?.offer(partial)) this.#changed(window, position)
  }

  #progress(progress: ProgressMessage, position: number, appendedAt: number): void {
    const known = this.#sources.get(progress.p)
    this.#expected = Math.max(this.#expected, progress.of)
    const told = known?.gaps ?? []
    const fresh = progress.gaps.filter(gap => !includes(told, gap))
    const latest = { progress, position, appendedAt }
    const further = known === undefined || reachesFurther(latest, known)
    // A gap counts whoever tells it: an owner that lost records may stand behind what an owner before it had told.
    const whole = told.every(gap => includes(progress.gaps, gap))
    this.#sources.set(progress.p, {
      ...(further ? latest : known),
      gaps: fresh.reduce<readonly Gap[]>(addGap, told),
      heldFrom: known !== undefined && !(further && whole) ? known.heldFrom : position,
    })
    if (fresh.length > 0) this.#admitGaps(fresh, position)
  }

  /** Results that were told before a gap was known did not say that they may miss events: they are told again. */
  #admitGaps(fresh: readonly Gap[], position: number): void {
    const { windowSizeMs, allowedLatenessMs } = this.#settings
    for (const window of this.#windows.values()) {
      if (!fresh.some(gap => gapTouches(gap, window.index, windowSizeMs, allowedLatenessMs))) continue
      this.#changed(window, position)
    }
  }

  /** The window has something new to tell. Below the committed position a final window has told all it holds. */
  #changed(window: HeldWindow, position: number): void {
    if (window.index > this.#finalThrough) window.dirty = true
    else if (position >= this.#committed) {
      window.dirty = true
      window.corrected = true
    }
  }

  /** A partial of a forgotten window: a repeat of what was counted, or a claim that came too late to be. */
  #tooLate(partial: PartialMessage, position: number, appendedAt: number): void {
    const told = this.#sources.get(partial.p)?.progress.through ?? 0
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
    const clock = this.#leastClock()
    const { windowSizeMs, allowedLatenessMs } = this.#settings
    const closed = closedThrough(clock, windowSizeMs, allowedLatenessMs)
    // A parked window has not been told: it cannot be final.
    const limit = this.#parking === null ? closed : Math.min(closed, this.#parking.fromWindow - 1)
    if (limit > this.#finalThrough) this.#finalThrough = limit
  }

  /** Forgets windows whose time for corrections is over; tells whether the mark moved. */
  #dropClosed(): boolean {
    const { windowSizeMs, allowedLatenessMs, correctionHorizonMs } = this.#settings
    const passed = closedThrough(this.#leastClock(), windowSizeMs, allowedLatenessMs + correctionHorizonMs)
    const limit = Math.min(passed, this.#finalThrough)
    if (limit <= this.#droppedThrough) return false
    this.#droppedThrough = limit
    for (const index of this.#windows.keys()) if (index <= limit) this.#windows.delete(index)
    return true
  }

  /** The clock that all sources have passed; for a source proven idle, silence counts as time passing. */
  #leastClock(): number {
    let least = Number.POSITIVE_INFINITY
    let heard = this.#expected > 0 && this.#windows.size > 0
    for (let p = 0; p < this.#expected; p++) {
      const source = this.#sources.get(p)
      if (source === undefined) return Number.NEGATIVE_INFINITY
      const { clock, idleAsOf } = source.progress
      if (clock > 0) heard = true
      const passed = idleAsOf === null ? clock : Math.max(clock, Math.min(idleAsOf, source.appendedAt))
      least = Math.min(least, passed)
    }
    // Before the first event of all there is nothing to close: history may be about to be loaded into empty topics.
    return heard ? least : Number.NEGATIVE_INFINITY
  }

  #result(
    window: HeldWindow,
    progress: ReadonlyMap<number, ProgressMessage>,
    totals: Totals,
    now: number,
  ): OutputRecord {
    const { generation, windowSizeMs: sizeMs, allowedLatenessMs: latenessMs, limits } = this.#settings
    const { index, revision } = window
    const { aggregate, sources: covered } = window.total(limits)
    const status = this.#statusOf(window)
    const result = buildResult({
      generation,
      index,
      sizeMs,
      latenessMs,
      status,
      revision,
      aggregate,
      covered,
      progress,
      totals,
      now,
    })
    const value = encoder.encode(JSON.stringify(result))
    return { topic: 'results', partition: null, key: windowKey(index, sizeMs), value }
  }

  #statusOf(window: HeldWindow): ResultStatus {
    if (window.index > this.#finalThrough) return 'provisional'
    return window.corrected ? 'corrected' : 'final'
  }

  #deadLetter({ partial, position, appendedAt }: LatePartial, now: number): OutputRecord {
    return {
      topic: 'deadLetters',
      partition: partial.p % this.#settings.deadLetterPartitions,
      key: `${partial.w}/${partial.p}/${partial.from}`,
      value: encoder.encode(JSON.stringify(partial)),
      headers: [
        ['error.code', 'partial_too_late'],
        [
          'error.message',
          `a partial of source partition ${partial.p} through offset ${partial.through} came after its window was forgotten: what it counts past the coverage of the window's last result is in no result`,
        ],
        ['source.topic', this.#settings.partialsTopic],
        ['source.partition', String(this.#partition)],
        ['source.offset', String(position)],
        ['source.timestamp', String(appendedAt)],
        ['failed.at', new Date(now).toISOString()],
      ],
    }
  }

  #commit(): Commit {
    let replayFrom = Math.min(this.#position, this.#parking?.position ?? this.#position)
    for (const window of this.#windows.values()) replayFrom = Math.min(replayFrom, window.firstPosition)
    for (const source of this.#sources.values()) replayFrom = Math.min(replayFrom, source.heldFrom)
    return encodeReduceCommit({
      offset: this.#position,
      replayFrom,
      finalThrough: this.#finalThrough,
      droppedThrough: this.#droppedThrough,
      sourcePartitions: this.#expected,
      configHash: this.#settings.configHash,
    })
  }

  #totals(): Totals {
    return sumTotals([...this.#sources.values()].map(source => source.progress))
  }

  #notice(notice: Notice): void {
    if (this.#notices.length < NOTICES_PER_CAPTURE) this.#notices.push(notice)
  }
}

/** Of two words that reach equally far the later one counts. */
function reachesFurther(a: Latest, b: Latest): boolean {
  const [through, other] = [a.progress.through, b.progress.through]
  return through > other || (through === other && a.position >= b.position)
}

function includes(gaps: readonly Gap[], { from, to }: Gap): boolean {
  return gaps.some(gap => gap.from === from && gap.to === to)
}

/** Makes reduce tasks for the partitions of the partials topic. */
export function createReduceTaskFactory(settings: ReduceTaskSettings): TaskFactory<ReduceTask> {
  return {
    restore(partition, commit, log) {
      return new ReduceTask(settings, partition, startOf(settings, partition, commit, log))
    },
  }
}
