import { describe, expect, it } from 'vitest'
import { places } from '../../../../src/kafka/wire/bodies.ts'
import { readRecordBatches } from '../../../../src/kafka/wire/recordBatches.ts'
import { batchBytes, inKernel, PLACES, record, soundIn } from './batchBytes.ts'

const MAX_BYTES = 1024 * 1024
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** Of each codec a batch, and one that is large enough for its checksum to be folded. */
const BATCHES = [
  ...CODECS.map((codec, i) => batchBytes([record(10 * i), record(10 * i + 1)], { codec })),
  batchBytes([record(90, 'x'.repeat(200_000))]),
]
const STARTS = BATCHES.map((_, i) => Buffer.concat(BATCHES.slice(0, i)).length)

describe('what a thread says of record batches', () => {
  it('is that all are sound which are, up to the first that is not', () => {
    const all = Buffer.concat(BATCHES)
    expect(soundIn(inKernel(all))).toEqual(STARTS)
    expect(soundIn(inKernel(all.subarray(0, -1)))).toEqual(STARTS.slice(0, -1))
    for (const [i, start] of STARTS.entries()) {
      const damaged = Buffer.from(all)
      damaged[start + 30]! ^= 1
      expect(soundIn(inKernel(damaged))).toEqual(STARTS.slice(0, i))
    }
    expect(soundIn(inKernel(Buffer.alloc(100)))).toEqual([])
  })

  it('is nothing good of records that do not fit their batch, whatever its checksum', () => {
    expect(soundIn(inKernel(batchBytes([record(1)], { packed: records => records.subarray(0, -1) })))).toEqual([])
    expect(soundIn(inKernel(batchBytes([record(1), record(2)], { lastOffset: 1 })))).toEqual([])
  })

  it('is believed by who reads them: that is the work it spares', () => {
    const checked = PLACES[2][1]
    const all = Buffer.concat(BATCHES)
    const part = checked(all)
    // Damage behind the thread's back, which nothing but this test can do.
    part[(STARTS[5] as number) + 1_000]! ^= 1
    expect(readRecordBatches(part, 0, [], { maxBatchBytes: MAX_BYTES }).corrupt).toBeNull()
    expect(readRecordBatches(Buffer.from(part), 0, [], { maxBatchBytes: MAX_BYTES }).corrupt).not.toBeNull()
    places.giveBack(0)
    expect(readRecordBatches(inKernel(Buffer.from(part)), 0, [], { maxBatchBytes: MAX_BYTES }).corrupt).not.toBeNull()
  })
})
