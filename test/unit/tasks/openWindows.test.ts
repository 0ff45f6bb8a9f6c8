import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OpenWindow } from '../../../src/tasks/openWindow.ts'
import { OpenWindows } from '../../../src/tasks/openWindows.ts'
import { SEED } from '../support.ts'

const SIZE_MS = 10
const LATENESS_MS = 5
const LIMITS = { dimensionValues: 3, qualityFields: 5, userSample: 2, sessionGapMs: 5 }
const opened = (index: number) => new OpenWindow(index, SIZE_MS, 0, 0, LIMITS)

type Step = { readonly kind: 'event' | 'close' | 'clear'; readonly timeMs: number }
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('event', 'event', 'event', 'event', 'event', 'close', 'clear'),
  timeMs: fc.nat(60),
})

test('a window asked for is the one that is open, never one that was let go', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const windows = new OpenWindows(SIZE_MS, LATENESS_MS)
      const naive = new Map<number, OpenWindow>()
      for (const { kind, timeMs } of steps) {
        const index = Math.floor(timeMs / SIZE_MS)
        if (kind === 'clear') {
          windows.clear()
          naive.clear()
        } else if (kind === 'close') {
          windows.closeThrough(index)
          for (const held of naive.keys()) if (held <= index) naive.delete(held)
        } else {
          expect(windows.at(timeMs)).toBe(naive.get(index) ?? null)
          if (naive.has(index)) continue
          const window = opened(index)
          windows.open(window, 0)
          naive.set(index, window)
          expect(windows.at(timeMs)).toBe(window)
        }
        expect([...windows.values()]).toEqual([...naive.values()])
        expect(windows.size).toBe(naive.size)
      }
    }),
    { seed: SEED, numRuns: 500 },
  )
})

test('a window takes events until its end and the lateness have passed', () => {
  const windows = new OpenWindows(SIZE_MS, LATENESS_MS)
  expect([windows.takes(9, 14), windows.takes(9, 15), windows.takes(10, 24), windows.takes(10, 25)]).toEqual([
    true,
    false,
    true,
    false,
  ])
})

test('of more windows than are to be held, those that are closed and told go, and no others', () => {
  const windows = new OpenWindows(SIZE_MS, LATENESS_MS)
  for (let index = 0; index < 1024; index++) {
    const window = opened(index)
    window.dirty = index % 2 === 0
    windows.open(window, 0)
  }
  // Windows 0 to 9 take no more at 105 ms; half of them still have something to tell.
  windows.open(opened(2000), 105)
  expect(windows.size).toBe(1024 - 5 + 1)
  expect([windows.at(8 * SIZE_MS)?.index, windows.at(9 * SIZE_MS), windows.at(10 * SIZE_MS)?.index]).toEqual([
    8,
    null,
    10,
  ])
})
