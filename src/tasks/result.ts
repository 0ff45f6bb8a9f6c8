import type { Aggregate } from '../aggregate/aggregate.ts'
import type { Counter } from '../aggregate/counter.ts'
import { OPTIONAL_FIELDS } from '../events/codes.ts'
import { type Gap, gapTouches } from '../windows/gaps.ts'
import { isoTime, windowSizeText } from '../windows/windows.ts'
import type { SourceCoverage } from './heldWindow.ts'
import type { ProgressMessage, Totals } from './messages.ts'

/** provisional < final < corrected. */
export type ResultStatus = 'provisional' | 'final' | 'corrected'

/** One window's result as it stands in the results topic (JSON). Times are ISO 8601 in UTC; maps list no zeros. */
export type Result = {
  readonly v: 1
  readonly generation: number
  readonly window: { readonly size: string; readonly start: string; readonly end: string }
  readonly status: ResultStatus
  readonly revision: number
  /** False when a value may be wrong or cut: a gap in the log, a range perhaps counted twice, too many distinct values. */
  readonly exact: boolean
  readonly current_time: string
  readonly time_window: string
  /** Accepted events. */
  readonly batch_size: number
  readonly device_stats: Readonly<Record<string, number>>
  readonly location_stats: Readonly<Record<string, number>>
  readonly app_version_stats: Readonly<Record<string, number>>
  readonly quality: {
    readonly missing: Readonly<Record<string, number>>
    readonly invalid: Readonly<Record<string, number>>
  }
  /** What all partitions had told when the result was written; not part of the promise of equality. */
  readonly stream_totals: Totals
  /**
   * By source partition: every event of the window in offsets [from, through) is counted, and none lies below `from`.
   * `gaps` are offset ranges that the result cannot vouch for: lost, or perhaps counted twice.
   */
  readonly coverage: Readonly<Record<string, Coverage>>
}

export type Coverage = {
  readonly from: number
  readonly clock_at_from: string
  readonly through: number
  readonly gaps?: readonly (readonly [number, number])[]
}

export type ResultInput = {
  readonly generation: number
  readonly index: number
  readonly sizeMs: number
  readonly latenessMs: number
  readonly status: ResultStatus
  readonly revision: number
  readonly aggregate: Aggregate
  readonly covered: ReadonlyMap<number, SourceCoverage>
  readonly progress: ReadonlyMap<number, ProgressMessage>
  readonly totals: Totals
  readonly now: number
}

/** Events of values that were not kept when a dimension had too many. */
export const OTHER_VALUES = '(other)'

export function buildResult(input: ResultInput): Result {
  const { aggregate, index, sizeMs } = input
  const start = isoTime(index * sizeMs)
  const end = isoTime((index + 1) * sizeMs)
  const coverage: Record<string, Coverage> = {}
  let vouched = true
  for (const p of [...new Set([...input.progress.keys(), ...input.covered.keys()])].sort((a, b) => a - b)) {
    const entry = coverageOf(input, p)
    if (entry.gaps !== undefined) vouched = false
    coverage[p] = entry
  }
  return {
    v: 1,
    generation: input.generation,
    window: { size: windowSizeText(sizeMs), start, end },
    status: input.status,
    revision: input.revision,
    exact: vouched && aggregate.exact,
    current_time: isoTime(input.now),
    time_window: `${start}/${end}`,
    batch_size: aggregate.count,
    device_stats: countsOf(aggregate.devices),
    location_stats: countsOf(aggregate.locales),
    app_version_stats: countsOf(aggregate.versions),
    quality: { missing: byField(aggregate.missing), invalid: byField(aggregate.invalid) },
    stream_totals: input.totals,
    coverage,
  }
}

/** What all sources had told, added up; codes in text order. */
export function sumTotals(progress: Iterable<ProgressMessage>): Totals {
  const sum: Totals = { accepted: 0, late: 0, rejected: {} }
  const rejected = new Map<string, number>()
  for (const { totals } of progress) {
    sum.accepted += totals.accepted
    sum.late += totals.late
    for (const [code, count] of Object.entries(totals.rejected)) rejected.set(code, (rejected.get(code) ?? 0) + count)
  }
  for (const code of [...rejected.keys()].sort()) sum.rejected[code] = rejected.get(code) as number
  return sum
}

/**
 * A source that told nothing of the window is covered too: its progress says that all it had to say below `through` is
 * said. The range [through, through) then states that no event of the window lies below.
 */
function coverageOf(input: ResultInput, p: number): Coverage {
  const covered = input.covered.get(p)
  const progress = input.progress.get(p)
  const through = Math.max(covered?.through ?? 0, progress?.through ?? 0)
  const from = covered?.from ?? through
  const clockAtFrom = covered?.clockAtFrom ?? progress?.clock ?? 0
  const touching = (progress?.gaps ?? []).filter((gap: Gap) => {
    return gapTouches(gap, input.index, input.sizeMs, input.latenessMs)
  })
  const gaps = [...touching.map(gap => [gap.from, gap.to] as const), ...(covered?.twice ?? [])]
  const entry = { from, clock_at_from: isoTime(clockAtFrom), through }
  return gaps.length === 0 ? entry : { ...entry, gaps }
}

function countsOf(counter: Counter): Record<string, number> {
  const counts: Record<string, number> = counter.toJSON().c
  if (counter.overflow > 0) counts[OTHER_VALUES] = (counts[OTHER_VALUES] ?? 0) + counter.overflow
  return counts
}

function byField(counts: readonly number[]): Record<string, number> {
  const named: Record<string, number> = {}
  OPTIONAL_FIELDS.forEach((field, i) => {
    if ((counts[i] ?? 0) > 0) named[field] = counts[i] as number
  })
  return named
}
