import type { WantedWindow } from './windowsRecount.ts'

/** Offsets [from, to) of a partition that are read in one go, and the clock before the first of them. */
export type Run = { readonly partition: number; readonly from: number; readonly to: number; readonly clock: number }

/** What has to be read for the windows: the ranges of a partition that overlap or touch are one run, so that nothing is read twice. */
export function runsOf(windows: readonly WantedWindow[]): Run[] {
  const ranges = windows
    .flatMap(({ coverage }) => [...coverage])
    .map(([partition, { from, through, clock }]) => ({ partition, from, to: through, clock }))
    .filter(({ from, to }) => from < to)
    .sort((a, b) => a.partition - b.partition || a.from - b.from)
  const runs: Run[] = []
  for (const range of ranges) {
    const last = runs.at(-1)
    if (last === undefined || last.partition !== range.partition || range.from > last.to) runs.push(range)
    else runs[runs.length - 1] = { ...last, to: Math.max(last.to, range.to) }
  }
  return runs
}

/** Offsets [from, to). */
export type Range = readonly [from: number, to: number]

/** A run without the offsets that are known to be lost. */
export function piecesOf({ from, to }: Run, gaps: readonly Range[]): Range[] {
  const pieces: Range[] = []
  let at = from
  for (const [gapFrom, gapTo] of [...gaps].sort(([a], [b]) => a - b)) {
    if (gapTo <= at || gapFrom >= to) continue
    if (gapFrom > at) pieces.push([at, gapFrom])
    at = gapTo
  }
  if (at < to) pieces.push([at, to])
  return pieces
}
