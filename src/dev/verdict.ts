import { compareDeviceStats, compareResult, differenceText } from '../audit/compare.ts'
import { DIMENSIONS } from '../audit/login.ts'
import type { Recounted } from '../audit/tally.ts'
import { type Counts, compareStanding, type Result } from '../results/result.ts'
import type { ProgressMessage } from '../tasks/messages.ts'
import type { LedgerContent } from './generator/ledger.ts'
import type { RecountResult, WindowCount } from './recount.ts'
import type { ResultTable } from './resultTable.ts'

/** What a run comes to when its results are held against a recount. */
export type Verdict = {
  /** Events in the log that the recount accepted, took for late, or rejected. */
  readonly accepted: number
  readonly late: number
  readonly rejected: number
  /** Events in the results of base windows. */
  readonly counted: number
  /** Base windows that have results. */
  readonly windows: number
  readonly final: number
  /** Windows merged from shorter ones. */
  readonly rollups: number
  readonly rollupsFinal: number
  /** One line each, at most MAX_DIFFERENCES; their whole number is `differenceCount`. */
  readonly differences: readonly string[]
  readonly differenceCount: number
}

const MAX_DIFFERENCES = 20

/**
 * Compares every window of every size, both ways. The results of base windows must be equal, and so must those of longer
 * ones that are final; of longer ones that are provisional only a part of the events may have been handed up, so that their
 * counts must not be greater. A recount of base windows alone judges the others by their counts, as sums of base windows.
 */
export function judge(recount: RecountResult, table: ResultTable): Verdict {
  const baseSizes = new Set(Object.keys(recount.windows).map(sizeOf))
  const isBase = (key: string) => baseSizes.size === 0 || baseSizes.has(sizeOf(key))
  const results = [...table.byKey]
  const differences = [
    ...table.contradictions,
    ...results.flatMap(([key, result]) => {
      const inexact = result.exact ? [] : [`${key}: the result says that it is not exact`]
      return [...inexact, ...faultsOf(recount, key, result, isBase(key))]
    }),
    ...absent(recount, table),
    ...faultsOfDeviceStats(recount, table),
  ]
  const base = results.filter(([key]) => isBase(key)).map(([, result]) => result)
  const isFinal = ({ status }: Result) => status !== 'provisional'
  const partitions = Object.values(recount.partitions)
  return {
    accepted: sum(partitions.map(partition => partition.accepted)),
    late: sum(partitions.map(partition => partition.late)),
    rejected: sum(partitions.flatMap(partition => Object.values(partition.rejected))),
    counted: sum(base.map(result => result.batch_size)),
    windows: base.length,
    final: base.filter(isFinal).length,
    rollups: results.length - base.length,
    rollupsFinal: results.filter(([key, result]) => !isBase(key) && isFinal(result)).length,
    differences: differences.slice(0, MAX_DIFFERENCES),
    differenceCount: differences.length,
  }
}

const sizeOf = (key: string) => key.slice(0, key.indexOf('/'))

function faultsOf(recount: RecountResult, key: string, result: Result, isBase: boolean): string[] {
  const whole = recount.results?.[key]
  const window = recount.windows[key] ?? (recount.results === undefined ? sumOfBase(recount, result) : undefined)
  if (whole === undefined && window === undefined) {
    return [`${key}: ${result.batch_size} events, in the log there are none`]
  }
  if (!isBase && result.status === 'provisional') return beyond(whole ?? namedAsResult(window!), key, result)
  if (whole === undefined) return compareCounts(key, window as WindowCount, result)
  return compareResult(result, whole).map(difference => `${key}: ${differenceText(difference)}`)
}

/** Windows without a result, of all sizes that the recount knows. */
function absent({ windows, results = {} }: RecountResult, table: ResultTable): string[] {
  const wanted = new Map([
    ...Object.entries(windows).map(([key, { count }]) => [key, count] as const),
    ...Object.entries(results).map(([key, { batch_size }]) => [key, batch_size] as const),
  ])
  return [...wanted]
    .filter(([key]) => !table.byKey.has(key))
    .map(([key, count]) => `${key}: no result, in the log there are ${count} events`)
}

/** Statistics of users and devices are written together with their result, so that a final one has them. */
function faultsOfDeviceStats({ results = {} }: RecountResult, table: ResultTable): string[] {
  if (table.deviceStats.size === 0) return []
  return [...table.byKey].flatMap(([key, result]) => {
    const stats = table.deviceStats.get(key)
    const recounted = results[key]
    if (result.status === 'provisional' || recounted === undefined) return []
    if (stats === undefined || compareStanding(stats, result) !== 0) {
      return [`${key}: no device stats with revision ${result.revision}, ${result.status}`]
    }
    return compareDeviceStats(stats, recounted).map(found => `${key}: device stats: ${differenceText(found)}`)
  })
}

/** Counts of a part that are greater than those of the whole. */
function beyond(whole: Partial<Recounted>, key: string, result: Result): string[] {
  type Compared = readonly [name: string, part: Counts, all: Counts | undefined]
  const maps: readonly Compared[] = [
    ['batch_size', { events: result.batch_size }, { events: whole.batch_size ?? 0 }],
    ...DIMENSIONS.map((name): Compared => [name, result[name], whole[name]]),
    ['quality.missing', result.quality.missing, whole.quality?.missing],
    ['quality.invalid', result.quality.invalid, whole.quality?.invalid],
  ]
  return maps.flatMap(([name, part, all]) => {
    if (all === undefined) return []
    return Object.entries(part)
      .filter(([value, count]) => count > (Object.hasOwn(all, value) ? (all[value] as number) : 0))
      .map(([value, count]) => `${key}: ${name}.${value} is ${count}, in the log there are ${all[value] ?? 0}`)
  })
}

/** Holds what each source partition has told of itself against the recount: accepted + late + rejected = records. */
export function compareTotals(recount: RecountResult, progress: ReadonlyMap<number, ProgressMessage>): string[] {
  const differences: string[] = []
  for (const [p, { accepted, late, rejected }] of Object.entries(recount.partitions)) {
    const told = progress.get(Number(p))?.totals
    const wanted = canonical({ accepted, late, rejected: canonical(rejected) })
    const is = told === undefined ? 'nothing' : canonical({ ...told, rejected: canonical(told.rejected) })
    if (is !== wanted) differences.push(`source partition ${p} told ${is}, the log has ${wanted}`)
  }
  return differences
}

/** Holds the ledger of what was acknowledged against a recount of the log. */
export function compareLedger(ledger: LedgerContent, recount: RecountResult): string[] {
  const differences = ledger.unknown.map(
    ({ partition, error }) => `ledger: a send to ${partition} ended unknown: ${error}`,
  )
  const records = sum(Object.values(recount.partitions).map(partition => partition.records))
  if (records !== ledger.acknowledged)
    differences.push(`ledger: ${ledger.acknowledged} events acknowledged, ${records} in the log`)
  for (const key of new Set([...Object.keys(ledger.windows), ...Object.keys(recount.windows)])) {
    const [is, wanted] = [ledger.windows[key]?.count ?? 0, recount.windows[key]?.count ?? 0]
    if (is !== wanted) differences.push(`ledger: ${key} has ${is} events, the log ${wanted}`)
  }
  return differences
}

/** What the base windows inside of a longer one come to; undefined when there are none. */
function sumOfBase({ windows }: RecountResult, { window: { start, end } }: Result): WindowCount | undefined {
  const inside = Object.entries(windows).filter(([key]) => {
    const from = key.slice(key.indexOf('/') + 1)
    return from >= start && from < end
  })
  return inside.length === 0 ? undefined : inside.map(([, window]) => window).reduce(addWindows)
}

/** What two sets of events in one window come to. */
export function addWindows(a: WindowCount, b: WindowCount): WindowCount {
  return {
    count: a.count + b.count,
    device_stats: addCounts(a.device_stats, b.device_stats),
    location_stats: addCounts(a.location_stats, b.location_stats),
    app_version_stats: addCounts(a.app_version_stats, b.app_version_stats),
    quality: {
      missing: addCounts(a.quality.missing, b.quality.missing),
      invalid: addCounts(a.quality.invalid, b.quality.invalid),
    },
  }
}

function addCounts(a: Counts, b: Counts): Counts {
  const sums = new Map(Object.entries(a))
  for (const [value, count] of Object.entries(b)) sums.set(value, (sums.get(value) ?? 0) + count)
  return Object.fromEntries(sums)
}

const namedAsResult = ({ count, ...stats }: WindowCount) => ({ batch_size: count, ...stats })

function compareCounts(key: string, window: WindowCount, result: Result): string[] {
  const pairs: [name: string, is: unknown, wanted: unknown][] = [
    ['batch_size', result.batch_size, window.count],
    ['device_stats', result.device_stats, window.device_stats],
    ['location_stats', result.location_stats, window.location_stats],
    ['app_version_stats', result.app_version_stats, window.app_version_stats],
    ['quality.missing', result.quality.missing, window.quality.missing],
    ['quality.invalid', result.quality.invalid, window.quality.invalid],
  ]
  return pairs
    .filter(([, is, wanted]) => canonical(is) !== canonical(wanted))
    .map(([name, is, wanted]) => `${key}: ${name} is ${canonical(is)}, the log has ${canonical(wanted)}`)
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
