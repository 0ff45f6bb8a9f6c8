import { describe, expect, it } from 'vitest'
import { BodyPool } from '../../../../src/kafka/wire/bodyPool.ts'
import { createPlaceStates, Places } from '../../../../src/kafka/wire/places.ts'

const MIB = 1024 * 1024

function createPlaces(count: number) {
  const memory = new SharedArrayBuffer((count + 1) * MIB)
  const parts = Array.from({ length: count }, (_, i) => Buffer.from(memory, i * MIB, MIB))
  return { memory, places: new Places(parts, createPlaceStates(count)) }
}

describe('bodies of responses', () => {
  it('are of the size that was asked for, and made of what was given back', () => {
    const pool = new BodyPool()
    const first = pool.take(2 * MIB).fill('a')
    pool.giveBack(first)
    const second = pool.take(MIB)
    expect([second.length, second.every(byte => byte === 97)]).toEqual([MIB, true])
    // Nothing is free now.
    expect(pool.take(MIB).every(byte => byte === 0)).toBe(true)
  })

  it('that were given back cannot be read any more', () => {
    const pool = new BodyPool()
    const body = pool.take(MIB)
    const part = body.subarray(10, 20)
    pool.giveBack(body)
    const again = pool.take(MIB).fill('z')
    expect([body.length, part.length, String(part)]).toEqual([0, 0, ''])
    expect(() => part.readInt32BE(0)).toThrow(RangeError)
    expect(again.length).toBe(MIB)
  })

  it('are taken back once, and only what was lent', () => {
    const pool = new BodyPool()
    const body = pool.take(MIB)
    pool.giveBack(body)
    pool.giveBack(body)
    const [one, other] = [pool.take(MIB), pool.take(MIB)]
    expect(one.buffer).not.toBe(other.buffer)
    const foreign = Buffer.alloc(2 * MIB + 64 * 1024, 'f')
    for (const bytes of [foreign, pool.take(100), pool.take(64 * MIB)]) {
      const { length } = bytes
      pool.giveBack(bytes)
      expect(bytes.length).toBe(length)
    }
    expect(String(foreign.subarray(0, 2))).toBe('ff')
  })

  it('of small responses are free ones, or made as small as they are', () => {
    const pool = new BodyPool()
    const small = pool.take(100_000)
    pool.giveBack(small)
    expect([small.length, small.buffer.byteLength < MIB]).toEqual([100_000, true])
    pool.giveBack(pool.take(MIB).fill('a'))
    const reused = pool.take(100_000)
    expect([reused.length, reused.every(byte => byte === 97)]).toEqual([100_000, true])
    pool.giveBack(pool.take(MIB).fill('b'))
    // Of the smallest nobody gives the memory back.
    expect(pool.take(64 * 1024 - 1).buffer.byteLength).toBeLessThan(MIB)
  })

  it('stand at places while some are free, the first ones first', () => {
    const { memory, places } = createPlaces(2)
    const pool = new BodyPool(places)
    const bodies = [0, 1, 2].map(() => pool.takePlace(MIB / 2))
    expect(bodies.map(body => body.buffer === memory)).toEqual([true, true, false])
    expect([bodies[0]?.byteOffset, bodies[1]?.byteOffset]).toEqual([0, MIB])
    // By any part of it, and as often as anyone likes.
    for (const body of [...bodies, ...bodies]) if (body.length > 100) pool.giveBack(body.subarray(100))
    const again = [MIB, MIB].map(size => pool.takePlace(size))
    expect(again.map(({ byteOffset }) => byteOffset)).toEqual([0, MIB])
    pool.giveBack(again[0] as Buffer)
    expect(pool.take(MIB).buffer).not.toBe(memory)
    for (const size of [4 * 1024 - 1, MIB + 1]) expect(pool.takePlace(size).buffer).not.toBe(memory)
    expect(pool.takePlace(4 * 1024).buffer).toBe(memory)
  })

  it('are copied from their place for who keeps them', () => {
    const { memory, places } = createPlaces(1)
    const pool = new BodyPool(places)
    const kept = pool.keep(pool.takePlace(MIB).fill('a'))
    expect([kept.buffer === memory, pool.takePlace(MIB).fill('b').buffer === memory]).toEqual([false, true])
    expect(kept.every(byte => byte === 97)).toBe(true)
    expect(pool.keep(kept)).toBe(kept)
  })

  it('are kept in small number', () => {
    const pool = new BodyPool()
    const many = Array.from({ length: 50 }, () => pool.take(MIB).fill('k'))
    for (const body of many) pool.giveBack(body)
    const known = many.map(() => pool.take(MIB)).filter(body => body[0] === 107)
    expect(known).toHaveLength(6)
  })
})
