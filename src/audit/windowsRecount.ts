import { type ClockRules, PartitionClock } from './clock.ts'
import type { Difference } from './compare.ts'
import type { RecountRecord } from './event.ts'
import { type LoginRules, loginReader, type PlaceLookup } from './login.ts'
import { type Recounted, type TallyRules, WindowTally } from './tally.ts'

export type AuditRules = ClockRules & LoginRules & TallyRules

/** A window to recount, [startMs, endMs), and what its result covers by source partition. */
export type WantedWindow = {
  readonly key: string
  readonly startMs: number
  readonly endMs: number
  readonly coverage: ReadonlyMap<number, WantedRange>
}

/** Offsets [from, through), and the partition's clock before `from` as it was stored, epoch milliseconds. */
export type WantedRange = { readonly from: number; readonly through: number; readonly clock: number }

type Counted = WantedWindow & { readonly tally: WindowTally; readonly clockFaults: Difference[] }
type Partition = { readonly clock: PartitionClock; readonly windows: readonly (Counted & WantedRange)[]; begun: number }

/**
 * Counts several windows while the records of their ranges pass by. A partition begins at the least offset of what is read
 * in one go, with the clock that was stored for it; the clocks stored for later offsets must then be those of the log.
 */
export class WindowsRecount {
  readonly #rules: AuditRules
  readonly #read
  readonly #counted: ReadonlyMap<string, Counted>
  readonly #partitions = new Map<number, Partition>()

  constructor(rules: AuditRules, placeOf: PlaceLookup, windows: readonly WantedWindow[]) {
    this.#rules = rules
    this.#read = loginReader(rules, placeOf)
    this.#counted = new Map(
      windows.map(window => [window.key, { ...window, tally: new WindowTally(rules, window.endMs), clockFaults: [] }]),
    )
  }

  /** The records of the partition that follow begin at offset `from`, before which its clock stood at `clock`. */
  begin(partition: number, from: number, clock: number): void {
    const windows = [...this.#counted.values()].flatMap(counted => {
      const range = counted.coverage.get(partition)
      return range === undefined || range.from < from || range.from === range.through ? [] : [{ ...counted, ...range }]
    })
    windows.sort((a, b) => a.from - b.from)
    this.#partitions.set(partition, { clock: new PartitionClock(this.#rules, clock), windows, begun: 0 })
  }

  /** The next record of its partition, in the order of offsets. */
  add(record: RecountRecord): void {
    const partition = this.#partitions.get(record.partition)
    if (partition === undefined) throw new Error(`partition ${record.partition} has not begun`)
    this.#checkClocks(partition, record)
    const { outcome, event } = partition.clock.take(record)
    if (outcome !== 'accepted' || event === null) return
    const { offset } = record
    const inside = partition.windows.filter(
      ({ from, through, startMs, endMs }) =>
        offset >= from && offset < through && event.time >= startMs && event.time < endMs,
    )
    if (inside.length === 0) return
    const login = this.#read(event)
    for (const { tally } of inside) tally.add(login)
  }

  /** What the window comes to. */
  recounted(key: string): Recounted {
    return this.#find(key).tally.recounted()
  }

  /** Where the clocks stored with the window are not those of the log. */
  clockFaults(key: string): readonly Difference[] {
    return this.#find(key).clockFaults
  }

  #checkClocks(partition: Partition, { partition: p, offset }: RecountRecord): void {
    for (;;) {
      const next = partition.windows[partition.begun]
      if (next === undefined || next.from > offset) return
      partition.begun++
      const { clock } = partition.clock
      if (next.clock === clock) continue
      const [stored, recounted] = [new Date(next.clock).toISOString(), new Date(clock).toISOString()]
      next.clockFaults.push({ field: `coverage.${p}.clock_at_from`, stored, recounted })
    }
  }

  #find(key: string): Counted {
    const counted = this.#counted.get(key)
    if (counted === undefined) throw new Error(`${key} is not among the windows to recount`)
    return counted
  }
}
