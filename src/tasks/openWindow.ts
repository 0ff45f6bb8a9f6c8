import { Aggregate, type AggregateLimits } from '../aggregate/aggregate.ts'
import type { LoginEvent } from '../events/parse.ts'
import type { GeoPlace } from '../events/place.ts'
import { versionCategory } from '../events/version.ts'

/** About what a partial comes to, and each user in it. */
const PARTIAL_BYTES = 1_024
const USER_BYTES = 24

/** A window of a partition's present chunk. */
export class OpenWindow {
  /** Offset of the first event counted in this chunk, and the partition's clock before it. */
  readonly firstOffset: number
  readonly clockBeforeFirst: number
  /** One past the last event counted. */
  last: number
  /** Holds events that no acknowledged partial has told. */
  dirty = false
  readonly aggregate: Aggregate

  constructor(firstOffset: number, clockBeforeFirst: number, limits: AggregateLimits) {
    this.firstOffset = firstOffset
    this.clockBeforeFirst = clockBeforeFirst
    this.last = firstOffset
    this.aggregate = new Aggregate(limits)
  }

  /**
   * Counts the event at `offset`.
   * @param told whether a partial has told it already
   * @returns by about how many bytes the partials grow that wait to be told
   */
  count(event: LoginEvent, place: GeoPlace, offset: number, told: boolean): number {
    const { users } = this.aggregate
    const before = this.dirty ? PARTIAL_BYTES + users.size * USER_BYTES : 0
    this.aggregate.add(event, versionCategory(event.appVersion), place.country, place.region)
    this.last = offset + 1
    if (told) return 0
    this.dirty = true
    return PARTIAL_BYTES + users.size * USER_BYTES - before
  }
}
