import { describe, expect, it } from 'vitest'
import { SpareArrays } from '../../../src/events/spareArrays.ts'

const MIB = 1 << 20

describe('spare arrays', () => {
  it('are used again by who asks for no more than they hold', () => {
    const spare = new SpareArrays()
    const first = spare.take(MIB)
    expect(first.length).toBeGreaterThanOrEqual(MIB)
    // Compared by hand: of what is not equal, megabytes would be laid side by side.
    expect(spare.take(MIB) === first).toBe(false)
    spare.give(first)
    expect(spare.bytes).toBe(first.length)
    expect(spare.take(2 * MIB) === first).toBe(false)
    expect(spare.take(MIB - 5) === first).toBe(true)
    expect(spare.bytes).toBe(0)
  })

  it('are never in two hands', () => {
    const spare = new SpareArrays()
    const given = [spare.take(MIB), spare.take(MIB)]
    for (const array of given) spare.give(array)
    const taken = new Set([spare.take(MIB), spare.take(MIB), spare.take(MIB)])
    expect(taken.size).toBe(3)
  })

  it('are neither small nor without bound', () => {
    const spare = new SpareArrays()
    expect(spare.take(100)).toHaveLength(100)
    spare.give(new Uint8Array(100))
    expect(spare.bytes).toBe(0)
    for (let i = 0; i < 100; i++) spare.give(new Uint8Array(MIB))
    expect(spare.bytes).toBe(32 * MIB)
    spare.give(new Uint8Array(33 * MIB))
    expect(spare.bytes).toBe(32 * MIB)
  })

  it('that fit best are taken, and those that were given first go first', () => {
    const spare = new SpareArrays()
    const [small, large, middle] = [MIB, 25 * MIB, 3 * MIB].map(bytes => new Uint8Array(bytes))
    for (const array of [small, large, middle]) spare.give(array as Uint8Array)
    expect(spare.take(2 * MIB) === middle).toBe(true)
    spare.give(middle as Uint8Array)
    spare.give(new Uint8Array(4 * MIB))
    // The first made room for the last.
    expect(spare.bytes).toBe(32 * MIB)
    expect(spare.take(MIB / 2) === middle).toBe(true)
    expect(spare.take(8 * MIB) === large).toBe(true)
  })
})
