import { loginReader, type PlaceLookup } from '../audit/login.ts'
import { type Recounted, WindowTally } from '../audit/tally.ts'
import { type KindSettings, keyAt, kindsOf, startsOf } from '../audit/windows.ts'
import type { AuditRules } from '../audit/windowsRecount.ts'
import { createRecount, type RecountRecord, type RecountResult } from './recount.ts'

export type ResultRules = AuditRules & KindSettings

/**
 * Recounts all that the results say, of every size, from the whole log: what an accepted event is and where it counts is
 * decided once, and every window that holds the event counts it.
 */
export function createResultRecount(
  rules: ResultRules,
  placeOf: PlaceLookup,
): { add(record: RecountRecord): void; result(): RecountResult } {
  const base = createRecount(rules)
  const kinds = kindsOf(rules).map(kind => ({ ...kind, tallies: new Map<number, WindowTally>() }))
  const read = loginReader(rules, placeOf)
  return {
    add(record) {
      const { outcome, event } = base.take(record)
      if (outcome !== 'accepted' || event === null) return
      const login = read(event)
      for (const kind of kinds) {
        for (const start of startsOf(kind, event.time)) {
          const tally = kind.tallies.get(start) ?? new WindowTally(rules, start + kind.sizeMs)
          kind.tallies.set(start, tally)
          tally.add(login)
        }
      }
    },
    result() {
      const results = kinds.flatMap(({ size, tallies }) => {
        return [...tallies].map(([start, tally]): [string, Recounted] => [keyAt(size, start), tally.recounted()])
      })
      return { ...base.result(), results: Object.fromEntries(results) }
    },
  }
}
