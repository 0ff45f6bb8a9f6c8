import type { LedgerContent } from '../../../../src/dev/generator/ledger.ts'
import type { RecountResult, WindowCount } from '../../../../src/dev/recount.ts'
import { addWindows as addBoth } from '../../../../src/dev/verdict.ts'

type Windows = LedgerContent['windows']

/**
 * What several generators have had acknowledged, as one ledger. Its windows are true only when none of them made late
 * events: each ledger keeps a clock of its own.
 */
export function mergeLedgers(ledgers: readonly LedgerContent[]): LedgerContent {
  const [first] = ledgers
  if (first === undefined) throw new Error('no generator has run')
  if (ledgers.length === 1) return first
  return {
    ...first,
    complete: false,
    acknowledged: ledgers.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    windows: ledgers.map(({ windows }) => windows).reduce(addWindows),
    unknown: ledgers.flatMap(({ unknown }) => unknown),
  }
}

/** The ledger itself as the judge, for logs that no longer hold all that was acknowledged. */
export function recountOf(ledger: LedgerContent): RecountResult {
  if (!ledger.complete) throw new Error('the ledger is not the whole truth about the topic')
  const partitions = Object.entries(ledger.partitions).map(([p, { acknowledged, accepted, late, rejected, clock }]) => {
    return [p, { records: acknowledged, accepted, late, rejected, clock }] as const
  })
  return { partitions: Object.fromEntries(partitions), windows: ledger.windows }
}

function addWindows(a: Windows, b: Windows): Windows {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return Object.fromEntries([...keys].map(key => [key, addWindow(a[key], b[key])]))
}

function addWindow(a: WindowCount | undefined, b: WindowCount | undefined): WindowCount {
  return a === undefined || b === undefined ? ((a ?? b) as WindowCount) : addBoth(a, b)
}
