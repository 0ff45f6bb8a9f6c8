import { NO_IPV4, textOfIpv4 } from './ip.ts'
import type { LoginEvent } from './loginEvent.ts'
import type { GeoLookup, GeoPlace, Ipv4Lookup } from './place.ts'
import { Term } from './term.ts'

/** Places are bounded by what a database knows; one that is scrambled must not fill the memory. */
const MAX_PLACES = 4096
const terms = new Map<string, Term>()

/** The term of a place: its country and, derived, its region. Shared by all of a process. */
export function placeTermOf({ country, region }: GeoPlace): Term {
  const key = `${country}/${region}`
  let term = terms.get(key)
  if (term === undefined) {
    if (terms.size >= MAX_PLACES) terms.clear()
    term = new Term(terms.size, country, region)
    terms.set(key, term)
  }
  return term
}

/** The place that an accepted event came from, by the faster way where there is one. */
export function placeOfEvent(event: LoginEvent, place: GeoLookup, ipv4Places: Ipv4Lookup): Term {
  return event.ipv4 === NO_IPV4 ? placeTermOf(place(event.ip)) : ipv4Places.termOf(event.ipv4 | 0)
}

/** The slower way to the places of IPv4 addresses, by their texts. */
export function ipv4PlacesBy(place: GeoLookup): Ipv4Lookup {
  const termOf = (address: number) => placeTermOf(place(textOfIpv4(address)))
  return {
    termOf,
    tally(addresses, count, into) {
      for (let i = 0; i < count; i++) into.add(termOf(addresses[i] as number))
    },
  }
}
