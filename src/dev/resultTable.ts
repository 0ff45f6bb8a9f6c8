import { differencesOf } from '../audit/compare.ts'
import { compareStanding, type DeviceStats, type Result, type Standing } from '../results/result.ts'

/** What a reader of the result topics believes: for each key the greatest (generation, revision, status). */
export class ResultTable {
  readonly byKey = new Map<string, Result>()
  readonly deviceStats = new Map<string, DeviceStats>()
  /** Records that contradict another with the same (generation, revision, status): there must be none. */
  readonly contradictions: string[] = []

  add(key: string, result: Result): void {
    this.#keep(this.byKey, 'results', key, result)
  }

  addDeviceStats(key: string, stats: DeviceStats): void {
    this.#keep(this.deviceStats, 'device stats', key, stats)
  }

  #keep<T extends Standing>(table: Map<string, T>, what: string, key: string, value: T): void {
    const known = table.get(key)
    const order = known === undefined ? 1 : compareStanding(value, known)
    if (order < 0) return
    if (order === 0 && differencesOf(promised(value), promised(known)).length > 0) {
      this.contradictions.push(`${key}: two different ${what} with revision ${value.revision}, ${value.status}`)
    }
    table.set(key, value)
  }
}

/** What the promise of equality covers: all but when it was written, what was known then, and the trace it was told in. */
function promised(value: unknown): unknown {
  const { current_time: _, coverage: __, stream_totals: ___, exact: ____, trace: _____, ...rest } = value as Result
  return rest
}
