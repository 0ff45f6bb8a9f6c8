/** A kind of window: `sizeMs` long, one begins every `hopMs`. Like all of the recount it shares nothing with src/windows. */
export type WindowKind = { readonly size: string; readonly sizeMs: number; readonly hopMs: number }

export type KindSettings = {
  readonly windowSizeMs: number
  readonly rollupsMs: readonly number[]
  readonly slidingWindows: readonly { readonly sizeMs: number; readonly hopMs: number }[]
}

/** The base windows first, then the roll-ups, then those that slide. */
export function kindsOf({ windowSizeMs, rollupsMs, slidingWindows }: KindSettings): readonly WindowKind[] {
  const tiling = [windowSizeMs, ...rollupsMs].map(sizeMs => ({ sizeMs, hopMs: sizeMs }))
  return [...tiling, ...slidingWindows].map(({ sizeMs, hopMs }) => ({ size: sizeText(sizeMs), sizeMs, hopMs }))
}

/** When the windows of a kind that hold the moment begin, epoch milliseconds, the latest first. */
export function startsOf({ sizeMs, hopMs }: WindowKind, time: number): number[] {
  const starts: number[] = []
  for (let start = Math.floor(time / hopMs) * hopMs; start > time - sizeMs && start >= 0; start -= hopMs) {
    starts.push(start)
  }
  return starts
}

/** The key of a result: `<size>/<window start>`. */
export function keyAt(size: string, startMs: number): string {
  return `${size}/${new Date(startMs).toISOString()}`
}

/** Milliseconds in their greatest whole unit: `10s`, `1m`. */
export function sizeText(milliseconds: number): string {
  if (milliseconds % 86_400_000 === 0) return `${milliseconds / 86_400_000}d`
  if (milliseconds % 3_600_000 === 0) return `${milliseconds / 3_600_000}h`
  if (milliseconds % 60_000 === 0) return `${milliseconds / 60_000}m`
  if (milliseconds % 1000 === 0) return `${milliseconds / 1000}s`
  return `${milliseconds}ms`
}
