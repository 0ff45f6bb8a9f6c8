import { describe, expect, it } from 'vitest'
import { BodyPool } from '../../../../src/kafka/wire/bodyPool.ts'

const MIB = 1024 * 1024

describe('bodies of responses', () => {
  it('are of the size that was asked for, and made of what was given back', () => {
    const pool = new BodyPool()
    const first = pool.take(2 * MIB).fill('a')
    pool.giveBack(first.buffer)
    const second = pool.take(MIB)
    expect([second.length, second.every(byte => byte === 97)]).toEqual([MIB, true])
    // Nothing is free now.
    expect(pool.take(MIB).every(byte => byte === 0)).toBe(true)
  })

  it('that were given back cannot be read any more', () => {
    const pool = new BodyPool()
    const body = pool.take(MIB)
    const part = body.subarray(10, 20)
    pool.giveBack(body.buffer)
    const again = pool.take(MIB).fill('z')
    expect([body.length, part.length, String(part)]).toEqual([0, 0, ''])
    expect(() => part.readInt32BE(0)).toThrow(RangeError)
    expect(again.length).toBe(MIB)
  })

  it('are taken back once, and only what was lent', () => {
    const pool = new BodyPool()
    const body = pool.take(MIB)
    const memory = body.buffer
    pool.giveBack(memory)
    pool.giveBack(memory)
    const [one, other] = [pool.take(MIB), pool.take(MIB)]
    expect(one.buffer).not.toBe(other.buffer)
    const foreign = Buffer.alloc(2 * MIB + 64 * 1024, 'f')
    for (const bytes of [foreign, pool.take(100), pool.take(64 * MIB)]) {
      const { length } = bytes
      pool.giveBack(bytes.buffer)
      expect(bytes.length).toBe(length)
    }
    expect(String(foreign.subarray(0, 2))).toBe('ff')
  })

  it('of small responses are free ones, or made as small as they are', () => {
    const pool = new BodyPool()
    const small = pool.take(100_000)
    pool.giveBack(small.buffer)
    expect([small.length, small.buffer.byteLength < MIB]).toEqual([100_000, true])
    pool.giveBack(pool.take(MIB).fill('a').buffer)
    const reused = pool.take(100_000)
    expect([reused.length, reused.every(byte => byte === 97)]).toEqual([100_000, true])
    pool.giveBack(pool.take(MIB).fill('b').buffer)
    // Of the smallest nobody gives the memory back.
    expect(pool.take(64 * 1024 - 1).buffer.byteLength).toBeLessThan(MIB)
  })

  it('are kept in small number', () => {
    const pool = new BodyPool()
    const many = Array.from({ length: 50 }, () => pool.take(MIB).fill('k'))
    for (const { buffer } of many) pool.giveBack(buffer)
    const known = many.map(() => pool.take(MIB)).filter(body => body[0] === 107)
    expect(known).toHaveLength(6)
  })
})
