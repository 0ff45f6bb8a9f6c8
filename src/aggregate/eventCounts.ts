import { UNKNOWN } from '../events/fields.ts'
import type { LoginEvent } from '../events/loginEvent.ts'
import type { Ipv4Lookup } from '../events/place.ts'
import type { Term } from '../events/term.ts'
import type { WindowRun } from '../events/windowRun.ts'
import { Aggregate, type AggregateLimits } from './aggregate.ts'
import { hashAscii, hashText } from './hash.ts'
import { PlaceCounts } from './placeCounts.ts'
import { TermCounts } from './termCounts.ts'

/**
 * Counts login events into an aggregate, without an object or a text of their own: the same as adding one after the other
 * to the aggregate itself.
 */
export class EventCounts {
  readonly #aggregate: Aggregate
  readonly #devices: TermCounts
  readonly #locales: TermCounts
  readonly #versions: TermCounts
  readonly #places: PlaceCounts

  constructor(limits: AggregateLimits) {
    const aggregate = new Aggregate(limits)
    this.#aggregate = aggregate
    this.#devices = new TermCounts(aggregate.devices, null)
    this.#locales = new TermCounts(aggregate.locales, null)
    this.#versions = new TermCounts(aggregate.versions, aggregate.categories)
    this.#places = new PlaceCounts(aggregate.countries, aggregate.regions)
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

  /** Adds the events of the last run, but for what `settle` takes later. */
  addRun(run: WindowRun, places: Ipv4Lookup): void {
    const aggregate = this.#aggregate
    aggregate.count += run.events
    places.tally(run.addresses, run.events, this.#places)
    aggregate.users.loginAll(run.logins, run.loginCount)
  }

  /** Takes what runs have counted and `addRun` has left: of many runs together it costs little more than of one. */
  settle(run: WindowRun): void {
    const aggregate = this.#aggregate
    run.takeTerms(0, this.#devices)
    run.takeTerms(1, this.#locales)
    run.takeTerms(2, this.#versions)
    run.takeMissing((missing, events) => aggregate.addQuality(missing, 0, events))
  }

  /** Nobody asks for what is counted any more. */
  release(): void {
    this.#aggregate.users.release()
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
