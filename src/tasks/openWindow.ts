import type { Aggregate, AggregateLimits } from '../aggregate/aggregate.ts'
import { EventCounts } from '../aggregate/eventCounts.ts'
import type { LoginEvent } from '../events/parse.ts'
import type { Ipv4Lookup } from '../events/place.ts'
import type { Term } from '../events/term.ts'
import type { WindowRun } from '../events/windowRun.ts'
import { windowEndMs } from '../windows/windows.ts'

/** About what a partial comes to, and each user in it. */
const PARTIAL_BYTES = 1_024
const USER_BYTES = 24

/** A window of a partition's present chunk. */
export class OpenWindow {
  readonly index: number
  /** It holds event times from `startMs` up to before `endMs`, epoch milliseconds. */
  readonly startMs: number
  readonly endMs: number
  /** Offset of the first event counted in this chunk, and the partition's clock before it. */
  readonly firstOffset: number
  readonly clockBeforeFirst: number
  /** One past the last event counted. */
  last: number
  /** Holds events that no acknowledged partial has told. */
  dirty = false
  readonly #counts: EventCounts

  constructor(index: number, sizeMs: number, firstOffset: number, clockBeforeFirst: number, limits: AggregateLimits) {
    this.index = index
    this.startMs = index * sizeMs
    this.endMs = windowEndMs(index, sizeMs)
    this.firstOffset = firstOffset
    this.clockBeforeFirst = clockBeforeFirst
    this.last = firstOffset
    this.#counts = new EventCounts(limits)
  }

  get aggregate(): Aggregate {
    return this.#counts.aggregate
  }

  /**
   * Counts the event at `offset`.
   * @param told whether a partial has told it already
   * @returns by about how many bytes the partials grow that wait to be told
   */
  count(event: LoginEvent, place: Term, offset: number, told: boolean): number {
    const before = this.#partialBytes
    this.#counts.add(event, place)
    return this.#counted(offset, told, before)
  }

  /**
   * Counts the events of the last run, up to that at `offset`, but for what `settle` takes later.
   * @param told whether a partial has told them all already; else none has
   * @returns as `count`
   */
  countRun(run: WindowRun, places: Ipv4Lookup, offset: number, told: boolean): number {
    const before = this.#partialBytes
    this.#counts.addRun(run, places)
    return this.#counted(offset, told, before)
  }

  /** Takes what runs have counted and `countRun` has left. */
  settle(run: WindowRun): void {
    this.#counts.settle(run)
  }

  /** It is closed, and told: nobody asks for what it has counted any more. */
  release(): void {
    this.#counts.release()
  }

  /** Users with a greater hash need not be looked at. */
  get ceiling(): number {
    return this.#counts.ceiling
  }

  /** About what the window's partial comes to that waits to be told. */
  get #partialBytes(): number {
    return this.dirty ? PARTIAL_BYTES + this.#counts.users * USER_BYTES : 0
  }

  #counted(offset: number, told: boolean, before: number): number {
    this.last = offset + 1
    if (told) return 0
    this.dirty = true
    return this.#partialBytes - before
  }
}
