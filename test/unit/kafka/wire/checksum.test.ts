import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LAYOUT } from '../../../../src/events/kernelLayout.ts'
import { checksums } from '../../../../src/kafka/wire/bodies.ts'
import { SEED } from '../../support.ts'
import { inKernel } from './batchBytes.ts'

/** CRC-32C's polynomial and 1, as registers hold them: the highest power in the lowest bit. */
const POLYNOMIAL = 0x82f63b78
const ONE = 0x80000000
const VECTOR_BITS = 128

test('is what a CRC-32C by tables is, of any length from anywhere', () => {
  const bytes = Buffer.alloc(300_000)
  for (let i = 0, word = 1; i < bytes.length; i++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) | 0
    bytes[i] = word >>> 24
  }
  const { FOLD_BYTES, INPUT_BYTES } = LAYOUT
  const length = fc.oneof(
    fc.nat(200_000),
    fc.nat(100),
    // Around where folding begins, where the first piece ends, and a second one is as small as can be.
    ...[4 * FOLD_BYTES, FOLD_BYTES + INPUT_BYTES, FOLD_BYTES + 2 * INPUT_BYTES].map(size =>
      fc.integer({ min: size - 40, max: size + 40 }),
    ),
  )
  fc.assert(
    fc.property(fc.nat(50_000), length, (start, size) => {
      const checksum = crc32c(bytes.subarray(start, start + size))
      expect(checksums.of(bytes, start, start + size)).toBe(checksum)
      expect(checksums.of(inKernel(bytes, start % 17), start, start + size)).toBe(checksum)
    }),
    { seed: SEED, numRuns: 1_000 },
  )
  const zeros = Buffer.alloc(100_000)
  expect(checksums.of(zeros, 0, 100_000)).toBe(crc32c(zeros))
  zeros[70_000] = 1
  expect(checksums.of(zeros, 0, 100_000)).toBe(crc32c(zeros))
})

test('vectors are added where the polynomial lets them', () => {
  const text = readFileSync(join(process.cwd(), 'kernel/fold.ts'), 'utf8')
  const distances = [...text.matchAll(/^const \w+: usize = (\d+) << 4$/gm)].map(([, vectors]) => Number(vectors))
  expect(distances).toHaveLength(4)
  const longest = LAYOUT.FOLD_BYTES / (VECTOR_BITS / 8)
  const powerOf = (bits: number) => {
    let register = ONE
    for (let i = 0; i < bits; i++) register = (register >>> 1) ^ ((register & 1) === 0 ? 0 : POLYNOMIAL)
    return register >>> 0
  }
  const sum = [0, ...distances, longest].reduce((all, distance) => all ^ powerOf((longest - distance) * VECTOR_BITS), 0)
  expect(sum).toBe(0)
})
