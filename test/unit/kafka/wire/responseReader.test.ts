import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
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
  const reader = new ResponseReader()
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

  it('may be large', () => {
    const body = Buffer.alloc(40 * MIB, 'large')
    const [found, after] = read(Buffer.concat([framed(body), framed(Buffer.from('next'))]), [MIB + 1, 77])
    expect([found?.equals(body), String(after)]).toEqual([true, 'next'])
  })

  it('of a negative length are an error; one that is only announced takes up little', () => {
    const reader = new ResponseReader()
    expect(() => new ResponseReader().take(Buffer.alloc(4, 0xff), () => {})).toThrow('a response of -1 bytes')
    const before = process.memoryUsage().arrayBuffers
    // As a web server answers.
    reader.take(Buffer.from('HTTP/1.1 400 Bad Request'), () => expect.unreachable())
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB)
  })
})
