import { UNKNOWN } from './fields.ts'
import { type IpAddress, readIp } from './ip.ts'
import type { Term } from './term.ts'

/** Where an address is: an ISO 3166 alpha-2 code and an ISO 3166-2 code, each `unknown` where it is not known. */
export type GeoPlace = { readonly country: string; readonly region: string }

/** Looks up an address (IPv4 in dotted decimal, or IPv6). It answers for every address and never throws. */
export type GeoLookup = (ip: string) => GeoPlace

/** Reads the addresses of events: texts as they came, or `unknown`. */
export type PlaceReader = {
  readonly addressOf: (ip: string) => IpAddress | null
  readonly placeOf: GeoLookup
}

/** Places by their numbers; more may come, none changes. */
export type PlaceTable = { readonly terms: readonly Term[] }

/** Who counts places. */
export type PlaceTally = {
  /** Counts by number, to be added to: at least as many as the table has places at this moment. */
  countsOf(table: PlaceTable): Int32Array
  /** Counts a place that has no number. */
  add(place: Term): void
}

/** Looks up IPv4 addresses, 32 bits with a sign or without. It answers for every number and never throws. */
export type Ipv4Lookup = {
  /** The term of an address's place. */
  termOf(address: number): Term
  /** Counts the places of the first `count` addresses: cheaper than one by one, where they are many. */
  tally(addresses: Int32Array, count: number, into: PlaceTally): void
}

const NOWHERE: GeoPlace = { country: UNKNOWN, region: UNKNOWN }

/**
 * Compiles a reader that keeps the address read last: whoever counts an event and whoever enriches it ask for the same one,
 * some of them twice, and share a reader for that. The place is looked up each time: a database may be replaced.
 */
export function createPlaceReader(geo: GeoLookup): PlaceReader {
  let lastIp = UNKNOWN
  let lastAddress: IpAddress | null = null
  const addressOf = (ip: string): IpAddress | null => {
    if (ip !== lastIp) {
      lastIp = ip
      lastAddress = ip === UNKNOWN ? null : readIp(ip)
    }
    return lastAddress
  }
  const placeOf = (ip: string): GeoPlace => {
    const address = addressOf(ip)
    return address === null ? NOWHERE : geo(address.text)
  }
  return { addressOf, placeOf }
}
