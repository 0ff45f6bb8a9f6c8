import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addGap, type Gap, gapTouches, MAX_GAPS } from '../../../src/windows/gaps.ts'
import { SEED } from '../support.ts'

const gap = (from: number, to: number, clockBefore = from, untilMs = to): Gap => ({ from, to, clockBefore, untilMs })

test('a-joined-gap-claims-no-less-than-its-parts', () => {
  const one = fc.record({ length: fc.nat(50), skip: fc.nat(50), clockBefore: fc.nat(1000), untilMs: fc.nat(1000) })
  const long = { length: 5, skip: 0, clockBefore: 1000, untilMs: 0 }
  const emptyAtItsEnd = { length: 0, skip: 0, clockBefore: 0, untilMs: 1000 }
  fc.assert(
    fc.property(fc.array(one, { maxLength: 30 }), fc.integer({ min: 0, max: 120 }), (list, index) => {
      let at = 0
      const all = list.map(({ length, skip, clockBefore, untilMs }) => {
        const from = at + skip
        at = from + length
        return { from, to: at, clockBefore, untilMs }
      })
      const kept = all.reduce<Gap[]>((gaps, next) => addGap(gaps, next), [])
      expect(kept.length).toBeLessThanOrEqual(MAX_GAPS)
      for (const part of all) {
        // An empty part at the end of another lies within both.
        const covers = kept.filter(({ from, to }) => from <= part.from && part.to <= to)
        expect(covers).not.toEqual([])
        const [start, end] = [index * 10, index * 10 + 10]
        const touches = (gap: Gap) => gapTouches(gap, start, end, 5)
        if (touches(part)) expect(covers.some(touches)).toBe(true)
      }
      if (all.length > 0) expect(kept.at(-1)?.to).toBe(all.at(-1)?.to)
    }),
    { seed: SEED, examples: [[[long, emptyAtItsEnd], 10]] },
  )
})

test('a gap touches the windows that were open before it and do not begin after it', () => {
  const lost = gap(5, 9, 100, 150)
  const touched = Array.from({ length: 20 }, (_, i) => i).filter(index => {
    return gapTouches(lost, index * 10, index * 10 + 10, 20)
  })
  // Window 7 ends at 80: with 20 of lateness it was closed by the clock 100. Window 15 begins at 150.
  expect(touched).toEqual([8, 9, 10, 11, 12, 13, 14, 15])
})

test('the list given is left as it is', () => {
  const before = Array.from({ length: MAX_GAPS }, (_, i) => gap(i * 10, i * 10 + 5))
  const copy = structuredClone(before)
  addGap(before, gap(1000, 1001))
  expect(before).toEqual(copy)
})
