import type { ProgressMessage } from '../tasks/messages.ts'
import type { Result } from '../tasks/result.ts'
import type { LedgerContent } from './generator/ledger.ts'
import type { RecountResult, WindowCount } from './recount.ts'

/** What a run comes to when its results are held against a recount. */
export type Verdict = {
  /** Events in the log that the recount accepted, took for late, or rejected. */
  readonly accepted: number
  readonly late: number
  readonly rejected: number
  /** Events in the results. */
  readonly counted: number
  readonly windows: number
  readonly final: number
  /** One line each, at most MAX_DIFFERENCES; their whole number is `differenceCount`. */
  readonly differences: readonly string[]
  readonly differenceCount: number
}

const MAX_DIFFERENCES = 20
const STATUS_RANK = { provisional: 0, final: 1, corrected: 2 } as const

/** What a reader of the results topic believes: for each key the greatest (generation, revision, status). */
export class ResultTable {
  readonly byKey = new Map<string, Result>()
  /** Results that contradict another with the same (generation, revision, status): there must be none. */
  readonly contradictions: string[] = []

  add(key: string, result: Result): void {
    const known = this.byKey.get(key)
    if (known !== undefined) {
      const order = compareResults(result, known)
      if (order < 0) return
      if (order === 0 && countsText(result) !== countsText(known)) {
        this.contradictions.push(`${key}: two different results with revision ${result.revision}, ${result.status}`)
      }
    }
    this.byKey.set(key, result)
  }
}

/** Orders by (generation, revision, status). */
export function compareResults(a: Result, b: Result): number {
  return a.generation - b.generation || a.revision - b.revision || STATUS_RANK[a.status] - STATUS_RANK[b.status]
}

/** Compares every window, both ways. */
export function judge(recount: RecountResult, table: ResultTable): Verdict {
  const differences = [...table.contradictions]
  let counted = 0
  let final = 0
  for (const [key, result] of table.byKey) {
    counted += result.batch_size
    if (result.status !== 'provisional') final++
    if (!result.exact) differences.push(`${key}: the result says that it is not exact`)
    const window = recount.windows[key]
    if (window === undefined) differences.push(`${key}: ${result.batch_size} events, in the log there are none`)
    else compareWindow(key, window, result, differences)
  }
  for (const [key, { count }] of Object.entries(recount.windows)) {
    if (!table.byKey.has(key)) differences.push(`${key}: no result, in the log there are ${count} events`)
  }
  const partitions = Object.values(recount.partitions)
  return {
    accepted: sum(partitions.map(partition => partition.accepted)),
    late: sum(partitions.map(partition => partition.late)),
    rejected: sum(partitions.flatMap(partition => Object.values(partition.rejected))),
    counted,
    windows: table.byKey.size,
    final,
    differences: differences.slice(0, MAX_DIFFERENCES),
    differenceCount: differences.length,
  }
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

function compareWindow(key: string, window: WindowCount, result: Result, differences: string[]): void {
  const pairs: [name: string, is: unknown, wanted: unknown][] = [
    ['batch_size', result.batch_size, window.count],
    ['device_stats', result.device_stats, window.device_stats],
    ['location_stats', result.location_stats, window.location_stats],
    ['app_version_stats', result.app_version_stats, window.app_version_stats],
    ['quality.missing', result.quality.missing, window.quality.missing],
    ['quality.invalid', result.quality.invalid, window.quality.invalid],
  ]
  for (const [name, is, wanted] of pairs) {
    if (canonical(is) !== canonical(wanted)) {
      differences.push(`${key}: ${name} is ${canonical(is)}, the log has ${canonical(wanted)}`)
    }
  }
}

/** What the promise of equality covers. */
function countsText(result: Result): string {
  const { batch_size, device_stats, location_stats, app_version_stats, quality } = result
  return [batch_size, device_stats, location_stats, app_version_stats, quality.missing, quality.invalid]
    .map(canonical)
    .join()
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
