import { OPTIONAL_FIELDS } from '../events/codes.ts'
import { type Share, type StreamQuality, sharesOf, streamQualityOf } from '../results/insights.ts'
import type { Counts, Result } from '../results/result.ts'
import { isoTime } from '../windows/windows.ts'
import { csvOf } from './csv.ts'
import type { Held, SizeWindows } from './sizeWindows.ts'

/** The quality of the data of windows of one size. */
export type Quality = {
  readonly size: string
  /** From the begin of the first window to the end of the last; null when there is none. */
  readonly from: string | null
  readonly to: string | null
  readonly windows: number
  readonly logins: number
  readonly exact: boolean
  /** Fields that were missing or invalid, with their shares of the logins. */
  readonly missing: readonly Share[]
  readonly invalid: readonly Share[]
  /** What had become of all records when the last result was written, of whichever window; null when there is none. */
  readonly stream: StreamQuality | null
  readonly next: string | null
  readonly by_window: readonly WindowQuality[]
}

export type WindowQuality = {
  readonly start: string
  readonly status: Held['status']
  readonly exact: boolean
  readonly logins: number
  readonly missing: Counts
  readonly invalid: Counts
}

export type QualityInput = {
  readonly size: Pick<SizeWindows, 'sizeMs' | 'sizeText'>
  /** The windows that are added up, in any order. */
  readonly whole: readonly Held[]
  /** Those that are listed. */
  readonly listed: readonly Held[]
  readonly totals: Result['stream_totals'] | null
  readonly next: string | null
}

export function qualityOf({ size: { sizeMs, sizeText }, whole, listed, totals, next }: QualityInput): Quality {
  const starts = whole.map(({ startMs }) => startMs)
  const [first, last] = [starts.reduce(least, Number.POSITIVE_INFINITY), starts.reduce(greatest, 0)]
  const logins = whole.reduce((sum, { count }) => sum + count, 0)
  return {
    size: sizeText,
    from: whole.length === 0 ? null : isoTime(first),
    to: whole.length === 0 ? null : isoTime(last + sizeMs),
    windows: whole.length,
    logins,
    exact: whole.every(({ exact }) => exact),
    missing: sharesOf(summed(whole.map(({ quality }) => quality.missing)), logins),
    invalid: sharesOf(summed(whole.map(({ quality }) => quality.invalid)), logins),
    stream: totals === null ? null : streamQualityOf(totals),
    next,
    by_window: listed.map(({ startMs, status, exact, count, quality: { missing, invalid } }) => {
      return { start: isoTime(startMs), status, exact, logins: count, missing, invalid }
    }),
  }
}

/** A row for each window, with a column for each field that can be missing or invalid. */
export function qualityCsv({ sizeText }: SizeWindows, listed: readonly Held[]): string {
  const fields = (kind: string) => OPTIONAL_FIELDS.map(field => `${kind}_${field}`)
  const head = ['window_size', 'window_start', 'status', 'exact', 'logins', ...fields('missing'), ...fields('invalid')]
  const rows = listed.map(({ startMs, status, exact, count, quality }) => [
    ...[sizeText, isoTime(startMs), status, exact, count],
    ...OPTIONAL_FIELDS.map(field => quality.missing[field] ?? 0),
    ...OPTIONAL_FIELDS.map(field => quality.invalid[field] ?? 0),
  ])
  return csvOf(head, rows)
}

/** In text order. */
function summed(all: readonly Counts[]): [string, number][] {
  const sums = new Map<string, number>()
  for (const counts of all) {
    for (const [name, count] of Object.entries(counts)) sums.set(name, (sums.get(name) ?? 0) + count)
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1))
}

function least(a: number, b: number): number {
  return Math.min(a, b)
}

function greatest(a: number, b: number): number {
  return Math.max(a, b)
}
