import { describe, expect, it } from 'vitest'
import { Idleness } from '../../../src/runtime/idleness.ts'

const TIMEOUT = 5_000

/** What is proven for `position` after looks of [position, log start, log end, asOf]. */
function proven(looks: readonly (readonly [number, number, number, number])[], position: number): number | null {
  const idleness = new Idleness()
  for (const [at, start, end, asOf] of looks) idleness.observe(at, { start, end }, asOf)
  return idleness.asOf(position, TIMEOUT)
}

describe('a partition is idle', () => {
  it('once its log has ended at our position for the timeout, as of the last look', () => {
    const looks = [
      [7, 0, 7, 1_000],
      [7, 0, 7, 3_500],
      [7, 0, 7, 5_999],
    ] as const
    expect(proven(looks, 7)).toBeNull()
    expect(proven([...looks, [7, 0, 7, 6_000]], 7)).toBe(6_000)
    expect(proven([...looks, [7, 0, 7, 60_000]], 7)).toBe(60_000)
  })

  it('at once when the log holds nothing, whether it never did or retention took all', () => {
    expect(proven([[0, 0, 0, 1_000]], 0)).toBe(1_000)
    expect(proven([[9, 9, 9, 1_000]], 9)).toBe(1_000)
  })
})

describe('a partition is not idle', () => {
  it('without a look', () => {
    expect(proven([], 0)).toBeNull()
  })

  it('after a single look at a log that holds records', () => {
    expect(proven([[7, 0, 7, 10 * TIMEOUT]], 7)).toBeNull()
  })

  it('while records wait, and counts anew from then on', () => {
    const waited = [
      [7, 0, 7, 0],
      [7, 0, 8, 4_000],
      [7, 0, 7, 5_000],
    ] as const
    expect(proven(waited.slice(0, 2), 7)).toBeNull()
    expect(proven(waited, 7)).toBeNull()
    expect(proven([...waited, [7, 0, 7, 9_999]], 7)).toBeNull()
    expect(proven([...waited, [7, 0, 7, 10_000]], 7)).toBe(10_000)
  })

  it('when records came and were processed between two looks', () => {
    const moved = [
      [7, 0, 7, 0],
      [8, 0, 8, 6_000],
    ] as const
    expect(proven(moved, 8)).toBeNull()
    expect(proven([...moved, [8, 0, 8, 11_000]], 8)).toBe(11_000)
  })

  it('when records were processed since the last look', () => {
    const looks = [
      [7, 0, 7, 0],
      [7, 0, 7, 6_000],
    ] as const
    expect(proven(looks, 7)).toBe(6_000)
    expect(proven(looks, 8)).toBeNull()
  })

  it('when the log ends below our position', () => {
    expect(
      proven(
        [
          [7, 0, 5, 0],
          [7, 0, 5, TIMEOUT],
        ],
        7,
      ),
    ).toBeNull()
  })

  it('when a first record came into a log that held nothing', () => {
    const looks = [
      [0, 0, 0, 1_000],
      [1, 0, 1, 2_000],
    ] as const
    expect(proven(looks, 1)).toBeNull()
  })
})
