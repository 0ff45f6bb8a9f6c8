import { isoTime, windowSizeText } from './windows.ts'

/**
 * One kind of window. Level 0 is the base, whose windows hold events; a window of any other level is merged from the
 * results of the level `below` it. Windows of a level begin every `hopMs`: as long as they are (they tile time), or less
 * (they overlap).
 */
export type Level = {
  readonly number: number
  /** As in keys and topic names: `1m`, or `5m-1m` for one that slides. */
  readonly name: string
  /** As in results: `1m`, `5m`. */
  readonly size: string
  readonly sizeMs: number
  readonly hopMs: number
  /** The level whose results are merged; null for the base. */
  readonly below: number | null
  /** The levels that merge this one's results. */
  readonly above: readonly number[]
}

/** When windows of a level begin and how long they are. Window i begins at i * hopMs. */
export type Span = Pick<Level, 'sizeMs' | 'hopMs'>

export type LevelSettings = {
  readonly windowSizeMs: number
  readonly rollupsMs: readonly number[]
  readonly slidingWindows: readonly { readonly sizeMs: number; readonly hopMs: number }[]
}

/** All levels: the base, the roll-ups in ascending order, then the windows that slide. Their numbers are their places. */
export function levelsOf({ windowSizeMs, rollupsMs, slidingWindows }: LevelSettings): readonly Level[] {
  const tiling = [windowSizeMs, ...rollupsMs]
  const belows: (number | null)[] = tiling.map((_, number) => (number === 0 ? null : number - 1))
  const kinds = tiling.map(sizeMs => ({ sizeMs, hopMs: sizeMs }))
  for (const sliding of slidingWindows) {
    kinds.push(sliding)
    belows.push(tiling.findLastIndex(sizeMs => sliding.hopMs % sizeMs === 0))
  }
  return kinds.map(({ sizeMs, hopMs }, number) => ({
    number,
    name: hopMs === sizeMs ? windowSizeText(sizeMs) : `${windowSizeText(sizeMs)}-${windowSizeText(hopMs)}`,
    size: windowSizeText(sizeMs),
    sizeMs,
    hopMs,
    below: belows[number] as number | null,
    above: belows.flatMap((below, above) => (below === number ? [above] : [])),
  }))
}

/** First millisecond of window `index`. */
export function startMsOf({ hopMs }: Span, index: number): number {
  return index * hopMs
}

/** First millisecond past window `index`. */
export function endMsOf({ sizeMs, hopMs }: Span, index: number): number {
  return index * hopMs + sizeMs
}

/** The greatest index whose window has end + lateness <= clock: it and all before it take no more events. */
export function closedIn({ sizeMs, hopMs }: Span, clockMs: number, latenessMs: number): number {
  return Math.floor((clockMs - latenessMs - sizeMs) / hopMs)
}

/** The windows of `parent` that window `index` of `child` lies in: indexes [first, last], none below 0. */
export function parentsOf(parent: Span, child: Span, index: number): readonly [first: number, last: number] {
  const [start, end] = [startMsOf(child, index), endMsOf(child, index)]
  return [Math.max(0, Math.ceil((end - parent.sizeMs) / parent.hopMs)), Math.floor(start / parent.hopMs)]
}

/** The key of a window's result: `1m/2023-09-12T00:12:00.000Z`. */
export function keyOf(level: Pick<Level, 'size' | 'sizeMs' | 'hopMs'>, index: number): string {
  return `${level.size}/${isoTime(startMsOf(level, index))}`
}
