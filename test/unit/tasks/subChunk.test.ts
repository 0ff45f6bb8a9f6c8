import { describe, expect, it } from 'vitest'
import { HeldWindow } from '../../../src/tasks/heldWindow.ts'
import { partial, reduceSettings } from './reduceSupport.ts'

/** What a window says after it was offered these partials of source 0, in this order. */
function seen(...partials: ReturnType<typeof partial>[]): unknown {
  const window = new HeldWindow(5, 0)
  for (const offered of partials) window.offer(offered)
  const { from, through, twice } = window.coverage().get(0)!
  return { count: window.total(reduceSettings.limits).count, covered: [from, through], twice }
}

describe('a sub-chunk that retention forced upon a new owner', () => {
  const told = partial(5, 0, [0, 10], [1, 6, 7])

  it('adds nothing when it lies within what the owner before it told', () => {
    const wanted = { count: 3, covered: [0, 10], twice: [] }
    expect(seen(told, partial(5, 0, [5, 9], [6, 7]))).toEqual(wanted)
    expect(seen(told, partial(5, 0, [5, 10], [6, 7]))).toEqual(wanted)
    expect(seen(partial(5, 0, [5, 10], [6, 7]), told)).toEqual(wanted)
  })

  it('that passes the end of it is counted, and says which range may be counted twice', () => {
    const wanted = { count: 6, covered: [0, 12], twice: [[5, 10]] }
    expect(seen(partial(5, 0, [5, 12], [6, 7, 11]), told)).toEqual(wanted)
  })

  it('that begins at its end overlaps nothing', () => {
    expect(seen(told, partial(5, 0, [10, 12], [11]))).toMatchObject({ count: 4, twice: [] })
  })

  it('is measured against all before it, not only against the one before', () => {
    const wanted = { count: 4, covered: [0, 14], twice: [[8, 10]] }
    expect(seen(told, partial(5, 0, [4, 6], [5]), partial(5, 0, [8, 14], [9]))).toEqual(wanted)
  })
})
