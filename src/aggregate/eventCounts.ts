import type { EventSlice } from '../events/eventSlice.ts'
import { UNKNOWN } from '../events/fields.ts'
import type { LoginEvent } from '../events/loginEvent.ts'
import type { Term } from '../events/term.ts'
import { Aggregate, type AggregateLimits } from './aggregate.ts'
import { hashAscii, hashText } from './hash.ts'
import { TermCounts } from './termCounts.ts'

/** The places of the events in rows [first, end) of a slice, each a country and, derived, a region; good until the next call. */
export type PlacesOfRows = (first: number, end: number) => readonly Term[]

/**
 * Counts login events into an aggregate, without an object or a text of their own: the same as adding one after the other
 * to the aggregate itself.
 */
export class EventCounts {
  readonly #aggregate: Aggregate
  readonly #devices: TermCounts
  readonly #locales: TermCounts
  readonly #versions: TermCounts
  readonly #places: TermCounts

  constructor(limits: AggregateLimits) {
    const aggregate = new Aggregate(limits)
    this.#aggregate = aggregate
    this.#devices = new TermCounts(aggregate.devices, null)
    this.#locales = new TermCounts(aggregate.locales, null)
    this.#versions = new TermCounts(aggregate.versions, aggregate.categories)
    this.#places = new TermCounts(aggregate.countries, aggregate.regions)
  }

  /** What is counted so far. It is read, never added to, by whoever asks. */
  get aggregate(): Aggregate {
    this.#devices.fold()
    this.#locales.fold()
    this.#versions.fold()
    this.#places.fold()
    return this.#aggregate
  }

  /** Users with a greater hash need not be added any more. */
  get ceiling(): number {
    return this.#aggregate.users.ceiling
  }

  /** Users followed one by one; cheaper than asking the aggregate. */
  get users(): number {
    return this.#aggregate.users.size
  }

  /** @param place where the event came from: a country and, derived, a region */
  add(event: LoginEvent, place: Term): void {
    const aggregate = this.#aggregate
    aggregate.count++
    this.#devices.add(event.device)
    this.#locales.add(event.localeTerm)
    this.#versions.add(event.version)
    this.#places.add(place)
    this.#login(event)
    if ((event.missing | event.invalid) !== 0) aggregate.addQuality(event.missing, event.invalid)
  }

  /**
   * Adds the events of rows [first, end), which the slice has just counted in a run.
   * @param event is filled again and again
   */
  addRun(slice: EventSlice, first: number, end: number, placesOf: PlacesOfRows, event: LoginEvent): void {
    const aggregate = this.#aggregate
    aggregate.count += end - first
    slice.takeTerms(0, this.#devices)
    slice.takeTerms(1, this.#locales)
    slice.takeTerms(2, this.#versions)
    slice.takeMissing((missing, events) => aggregate.addQuality(missing, 0, events))
    const places = placesOf(first, end)
    for (let i = 0; i < end - first; i++) this.#places.add(places[i] as Term)
    const users = slice.runUsers
    for (let i = 0; i < users; i++) {
      slice.readLogin(slice.runUserRow(i), event)
      this.#login(event)
    }
  }

  #login(event: LoginEvent): void {
    const { users } = this.#aggregate
    const row = users.login(event)
    if (row >= 0 && isDeviceKnown(event)) users.addDevice(row, deviceHash(event))
  }
}

const UNKNOWN_LENGTH = UNKNOWN.length

/** A device that calls itself unknown is none either. */
function isDeviceKnown(event: LoginEvent): boolean {
  const { deviceIdStart, deviceIdEnd } = event
  if (deviceIdStart >= 0 && deviceIdEnd - deviceIdStart !== UNKNOWN_LENGTH) return true
  return event.deviceId !== UNKNOWN
}

/** The bits of the hash. What stands in place is ASCII; other texts are known as such. */
function deviceHash(event: LoginEvent): number {
  const { deviceIdStart } = event
  return deviceIdStart >= 0 ? hashAscii(event.bytes, deviceIdStart, event.deviceIdEnd) : hashText(event.deviceId) | 0
}
