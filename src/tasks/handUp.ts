import type { Aggregate } from '../aggregate/aggregate.ts'
import { type Level, parentsOf } from '../windows/levels.ts'
import type { HeldWindow } from './heldWindow.ts'
import { type Covered, encodeMessage } from './messages.ts'
import type { ReduceTaskSettings } from './reduceStart.ts'
import type { OutputRecord } from './task.ts'

/** A provisional result is handed up this many times in the course of a longer window. */
const HAND_UPS_PER_WINDOW = 60

/**
 * The levels that are to hear of a window now: of what is final at once, of what is not from time to time.
 * @param now wall clock, epoch milliseconds
 */
export function levelsDue(
  above: readonly Level[],
  window: HeldWindow,
  isFinal: boolean,
  now: number,
): readonly Level[] {
  if (above.length === 0) return above
  const { revision } = window
  return above.filter(({ number, sizeMs }) => {
    const last = window.handedUp.get(number)
    if (last?.revision === revision) return false
    return isFinal || last === undefined || now - last.at >= sizeMs / HAND_UPS_PER_WINDOW
  })
}

/** What a window adds up to and covers, and where its reducer stands. */
export type HandUp = {
  readonly total: Aggregate
  readonly coverage: readonly Covered[]
  readonly position: number
  /** Wall clock, epoch milliseconds. */
  readonly now: number
}

/** The window's result as a partial of each longer window of these levels that it lies in. */
export function handUps(
  { generation, level, partialsPartitions }: ReduceTaskSettings,
  window: HeldWindow,
  above: readonly Level[],
  { total, coverage, position, now }: HandUp,
): OutputRecord[] {
  if (above.length === 0) return []
  const { index, revision } = window
  const stated = { from: 0, clockAtFrom: 0, through: revision, last: position }
  const counted = { aggregate: total.toJSON(), coverage }
  return above.flatMap(parent => {
    window.handedUp.set(parent.number, { revision, at: now })
    const [first, last] = parentsOf(parent, level, index)
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => {
      const w = first + i
      return {
        topic: 'partials' as const,
        level: parent.number,
        partition: w % partialsPartitions,
        key: `${w}/${index}/0`,
        value: encodeMessage({ kind: 'partial', generation, w, p: index, ...stated, ...counted }),
      }
    })
  })
}
