import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Aggregate } from '../../../src/aggregate/aggregate.ts'
import { HeldWindow } from '../../../src/tasks/heldWindow.ts'
import type { PartialMessage } from '../../../src/tasks/messages.ts'
import { login, SEED } from '../support.ts'

const limits = { dimensionValues: 3, qualityFields: 5, userSample: 16, sessionGapMs: 1_800_000 }

/** The truth about the first `length` offsets of a chunk of 8, each of which holds one event. */
function partial(p: number, chunk: number, length: number): PartialMessage {
  const aggregate = new Aggregate(limits)
  for (let i = 0; i < length; i++) {
    const event = { deviceType: `d${(p + chunk + i) % 5}`, locale: `l${p}`, appVersion: `v${i}`, missing: i % 4 }
    aggregate.add(login(event), '1', 'US', 'unknown')
  }
  const from = chunk * 8
  const through = from + length
  return {
    kind: 'partial',
    generation: 1,
    w: 1,
    p,
    from,
    clockAtFrom: chunk,
    through,
    last: through,
    aggregate: aggregate.toJSON(),
    coverage: null,
  }
}

function hold(partials: readonly PartialMessage[]): HeldWindow {
  const window = new HeldWindow(1, 0)
  for (const one of partials) window.offer(one)
  return window
}

function said(window: HeldWindow): string {
  return JSON.stringify([window.total(limits), [...window.coverage()].sort(([a], [b]) => a - b), window.revision])
}

const anyPartial = fc
  .tuple(fc.nat(2), fc.nat(3), fc.integer({ min: 1, max: 8 }))
  .map(([p, chunk, length]) => partial(p, chunk, length))
const partials = fc.array(anyPartial, { minLength: 1, maxLength: 12 })

test('a-repeat-changes-nothing, nor does the order', () => {
  const order = fc.array(fc.nat(1000), { minLength: 24, maxLength: 24 })
  fc.assert(
    fc.property(partials, order, (list, keys) => {
      const twice = [...list, ...list].map((one, i) => ({ one, key: keys[i] as number }))
      const shuffled = twice.sort((a, b) => a.key - b.key).map(({ one }) => one)
      expect(said(hold(shuffled))).toBe(said(hold(list)))
    }),
    { seed: SEED },
  )
})

test('a-zombie-changes-nothing: an older truth says nothing new', () => {
  fc.assert(
    fc.property(partials, anyPartial, (list, late) => {
      const window = hold(list)
      const known = list.some(({ p, from, through }) => p === late.p && from === late.from && through >= late.through)
      const before = said(window)
      expect(window.offer(late)).toBe(!known)
      if (known) expect(said(window)).toBe(before)
    }),
    { seed: SEED },
  )
})

test('the total is the sum of the longest truths, and the revision only grows', () => {
  fc.assert(
    fc.property(partials, list => {
      const window = new HeldWindow(1, 0)
      const longest = new Map<string, number>()
      let revision = 0
      for (const one of list) {
        const grew = window.offer(one)
        expect(grew ? window.revision > revision : window.revision === revision).toBe(true)
        revision = window.revision
        const key = `${one.p}/${one.from}`
        longest.set(key, Math.max(longest.get(key) ?? 0, one.through - one.from))
      }
      const sum = [...longest.values()].reduce((a, b) => a + b, 0)
      expect([window.total(limits).count, revision]).toEqual([sum, sum])
    }),
    { seed: SEED },
  )
})

test('coverage goes from the first chunk to the furthest through', () => {
  const coverage = hold([partial(0, 2, 3), partial(0, 1, 8), partial(1, 3, 1)]).coverage()
  expect(coverage.get(0)).toEqual({ p: 0, from: 8, clockAtFrom: 1, through: 19, twice: [] })
  expect(coverage.get(1)).toEqual({ p: 1, from: 24, clockAtFrom: 3, through: 25, twice: [] })
})
