import { describe, expect, it } from 'vitest'
import { cutOffBytes, wholeBatchBytes } from '../../../../src/kafka/wire/cutOff.ts'
import { batchBytes, record } from './batchBytes.ts'

const MIB = 1024 * 1024

describe('the record batch that a fetch has cut off', () => {
  const first = batchBytes([record(0), record(1)])
  const second = batchBytes([record(2, 'v'.repeat(300))])
  const both = Buffer.concat([first, second])

  it('has the size that its header says, once so much of that has come', () => {
    const sizes = [first.length + 11, first.length + 12, both.length - 1].map(end => cutOffBytes(both.subarray(0, end)))
    expect(sizes).toEqual([null, second.length, second.length])
    expect(cutOffBytes(first.subarray(0, 40))).toBe(first.length)
  })

  it('is none where the fetch ends with a whole one, has nothing, or says what cannot be', () => {
    expect([cutOffBytes(both), cutOffBytes(Buffer.alloc(0))]).toEqual([null, null])
    const broken = Buffer.from(both)
    broken.writeInt32BE(-13, first.length + 8)
    expect(cutOffBytes(broken)).toBeNull()
    // Would stand still.
    broken.writeInt32BE(-12, first.length + 8)
    expect(cutOffBytes(broken)).toBeNull()
  })
})

describe('what a fetch is to bring of a partition', () => {
  it('is as many batches as may come, whole, with room for small differences', () => {
    expect(wholeBatchBytes(600_000, MIB)).toBe(609_375)
    expect(wholeBatchBytes(300_000, MIB)).toBe(914_063)
    expect(wholeBatchBytes(MIB / 2, MIB)).toBe(MIB)
    expect(wholeBatchBytes(MIB, MIB)).toBe(MIB)
  })

  it('is all that may come where batches are small, larger than that, or unknown', () => {
    for (const next of [null, 16_384, MIB / 8 - 1, MIB + 1, 2 ** 31]) expect(wholeBatchBytes(next, MIB)).toBe(MIB)
  })

  it('always has room for the batch that it begins with, if that may come at all', () => {
    for (let next = 1; next <= MIB; next += 997) {
      const bytes = wholeBatchBytes(next, MIB)
      expect(bytes).toBeGreaterThanOrEqual(next)
      expect(bytes).toBeLessThanOrEqual(MIB)
    }
  })
})
