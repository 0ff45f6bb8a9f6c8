import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BodyPool } from '../../../../src/kafka/wire/bodyPool.ts'
import { ResponseReader } from '../../../../src/kafka/wire/responseReader.ts'
import { SEED } from '../../support.ts'

const MIB = 1024 * 1024

function framed(body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

/** Brings the bytes in pieces of these lengths, in turn, all through one buffer. */
function read(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const reader = new ResponseReader(new BodyPool())
  const shared = Buffer.alloc(Math.max(...lengths))
  const responses: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const count = bytes.copy(shared, 0, at, at + (lengths[turn % lengths.length] as number))
    reader.take(shared.subarray(0, count), response => responses.push(response))
    at += count
  }
  return responses
}

describe('responses', () => {
  it('are those that were sent, however they are cut, and stay as they are', () => {
    const body = fc.uint8Array({ maxLength: 60 }).map(array => Buffer.from(array))
    const lengths = fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(fc.array(body, { maxLength: 8 }), lengths, (bodies, cuts) => {
        expect(read(Buffer.concat(bodies.map(framed)), cuts)).toEqual(bodies)
      }),
      { seed: SEED, numRuns: 500 },
    )
  })

  it('are those that were sent when they are read into the room for them, each in one piece of memory', () => {
    const sizes = fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 60_000, max: 140_000 })), { maxLength: 6 })
    const lengths = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(sizes, lengths, (bodySizes, cuts) => {
        const bodies = bodySizes.map((size, i) => Buffer.alloc(size, `body ${i};`))
        const bytes = Buffer.concat(bodies.map(framed))
        const reader = new ResponseReader(new BodyPool())
        const responses: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const { room } = reader
          expect(room.length).toBeGreaterThan(0)
          const count = bytes.copy(room, 0, at, at + (cuts[turn % cuts.length] as number))
          reader.take(room.subarray(0, count), response => responses.push(response))
          at += count
        }
        expect(responses).toHaveLength(bodies.length)
        expect(responses.every((response, i) => response.equals(bodies[i] as Buffer))).toBe(true)
      }),
      { seed: SEED, numRuns: 200 },
    )
  })

  it('that are large are read to where they stay, but for their beginning', () => {
    const reader = new ResponseReader(new BodyPool())
    const body = Buffer.alloc(MIB, 'x')
    const found: Buffer[] = []
    const bytes = framed(body)
    let at = bytes.copy(reader.room, 0, 0, 100)
    reader.take(reader.room.subarray(0, at), () => expect.unreachable())
    const { room } = reader
    expect(room.length).toBe(bytes.length - at)
    at += bytes.copy(room, 0, at)
    reader.take(room, response => found.push(response))
    expect([found[0]?.equals(body), found[0]?.buffer === room.buffer, at]).toEqual([true, true, bytes.length])
    expect(reader.room.buffer).not.toBe(room.buffer)
  })

  it('are made of memory that is given back', () => {
    const pool = new BodyPool()
    const reader = new ResponseReader(pool)
    const found: Buffer[] = []
    const bytes = framed(Buffer.alloc(MIB, 'x'))
    reader.take(bytes, response => found.push(response))
    const [first] = found as [Buffer]
    pool.giveBack(first)
    reader.take(bytes.fill('y', 4), response => found.push(response))
    expect([first.length, found[1]?.equals(bytes.subarray(4))]).toEqual([0, true])
    expect(pool.take(MIB).every(byte => byte === 0)).toBe(true)
  })

  it('may be large', () => {
    const body = Buffer.alloc(40 * MIB, 'large')
    const [found, after] = read(Buffer.concat([framed(body), framed(Buffer.from('next'))]), [MIB + 1, 77])
    expect([found?.equals(body), String(after)]).toEqual([true, 'next'])
  })

  it('of a negative length are an error; one that is only announced takes up little', () => {
    const reader = new ResponseReader(new BodyPool())
    expect(() => new ResponseReader(new BodyPool()).take(Buffer.alloc(4, 0xff), () => {})).toThrow(
      'a response of -1 bytes',
    )
    const before = process.memoryUsage().arrayBuffers
    // As a web server answers.
    reader.take(Buffer.from('HTTP/1.1 400 Bad Request'), () => expect.unreachable())
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB)
  })
})
