/**
 * A range of source offsets that retention removed before it was read. Which windows it touches is known only by
 * bounds: a lost event fell into no window closed before the gap, and into none that begins after `untilMs`.
 */
export type Gap = {
  /** First lost offset. */
  readonly from: number
  /** First offset that is there again. */
  readonly to: number
  /** The partition's clock before the gap: windows closed by it lost nothing. */
  readonly clockBefore: number
  /**
   * Latest event time that a lost record may have had, epoch milliseconds: it was in the log when the gap was found. The
   * timestamps of the records behind the gap are no bound: producers set them.
   */
  readonly untilMs: number
}

/** More gaps than this are joined, oldest first: the joined range claims more loss than there was, never less. */
export const MAX_GAPS = 8

/** Adds a gap, keeping at most MAX_GAPS. */
export function addGap(gaps: readonly Gap[], gap: Gap): Gap[] {
  const all = [...gaps, gap]
  while (all.length > MAX_GAPS) {
    const [a, b] = all.splice(0, 2) as [Gap, Gap]
    all.unshift({
      from: a.from,
      to: b.to,
      clockBefore: Math.min(a.clockBefore, b.clockBefore),
      untilMs: Math.max(a.untilMs, b.untilMs),
    })
  }
  return all
}

/** Whether events of the window [startMs, endMs) may be among those lost in the gap. */
export function gapTouches(gap: Gap, startMs: number, endMs: number, latenessMs: number): boolean {
  return endMs + latenessMs > gap.clockBefore && startMs <= gap.untilMs
}
