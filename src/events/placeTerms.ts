import { NO_IPV4 } from './ip.ts'
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
export function placeOfEvent(
  event: LoginEvent,
  { place, ipv4Places }: { readonly place: GeoLookup; readonly ipv4Places?: Ipv4Lookup },
): Term {
  if (ipv4Places !== undefined && event.ipv4 !== NO_IPV4) return ipv4Places.termOf(event.ipv4 | 0)
  return placeTermOf(place(event.ip))
}
