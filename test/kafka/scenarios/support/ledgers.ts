import type { LedgerContent } from '../../../../src/dev/generator/ledger.ts'
import type { RecountResult, WindowCount } from '../../../../src/dev/recount.ts'

type Counts = Readonly<Record<string, number>>

/**
 * What several generators have had acknowledged, as one ledger. Its windows are true only when none of them made late
 * events: each ledger keeps a clock of its own.
 */
export function mergeLedgers(ledgers: readonly LedgerContent[]): LedgerContent {
  const [first, ...others] = ledgers
  if (first === undefined) throw new Error('no generator has run')
  return others.reduce(
    (merged, ledger) => ({
      ...merged,
      complete: false,
      acknowledged: merged.acknowledged + ledger.acknowledged,
      windows: mergeWindows(merged.windows, ledger.windows),
      unknown: [...merged.unknown, ...ledger.unknown],
    }),
    first,
  )
}

/** The ledger itself as the judge, for logs that no longer hold all that was acknowledged. */
export function recountOf(ledger: LedgerContent): RecountResult {
  if (!ledger.complete) throw new Error('the ledger is not the whole truth about the topic')
  const partitions = Object.entries(ledger.partitions).map(([p, { acknowledged, accepted, late, rejected, clock }]) => {
    return [p, { records: acknowledged, accepted, late, rejected, clock }] as const
  })
  return { partitions: Object.fromEntries(partitions), windows: ledger.windows }
}

/** Takes the events of the windows in `lost` out of those in `all`; windows that become empty go. */
export function withoutLost(all: RecountResult, lost: RecountResult): RecountResult {
  const windows: Record<string, WindowCount> = {}
  for (const [key, window] of Object.entries(all.windows)) {
    const missing = lost.windows[key]
    const left = missing === undefined ? window : combine(window, missing, -1)
    if (left.count > 0) windows[key] = left
  }
  return { partitions: all.partitions, windows }
}

function mergeWindows(a: LedgerContent['windows'], b: LedgerContent['windows']): LedgerContent['windows'] {
  const merged: Record<string, WindowCount> = { ...a }
  for (const [key, window] of Object.entries(b)) {
    const known = merged[key]
    merged[key] = known === undefined ? window : combine(known, window, 1)
  }
  return merged
}

function combine(a: WindowCount, b: WindowCount, sign: 1 | -1): WindowCount {
  const add = (x: Counts, y: Counts) => {
    const sums: Record<string, number> = { ...x }
    for (const [name, count] of Object.entries(y)) sums[name] = (sums[name] ?? 0) + sign * count
    return Object.fromEntries(Object.entries(sums).filter(([, count]) => count !== 0))
  }
  return {
    count: a.count + sign * b.count,
    device_stats: add(a.device_stats, b.device_stats),
    location_stats: add(a.location_stats, b.location_stats),
    app_version_stats: add(a.app_version_stats, b.app_version_stats),
    quality: {
      missing: add(a.quality.missing, b.quality.missing),
      invalid: add(a.quality.invalid, b.quality.invalid),
    },
  }
}
