import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashText, hashText53 } from '../../../src/aggregate/hash.ts'
import { recountUserHash, recountValueHash } from '../../../src/audit/hashes.ts'
import { SEED } from '../support.ts'

const TEXT = fc.string({ unit: 'binary', maxLength: 40 })

test("both implementations of the users' hash agree on every text", () => {
  fc.assert(
    fc.property(TEXT, text => {
      const hash = recountUserHash(text)
      expect(hash).toBe(hashText53(text))
      expect(Number.isSafeInteger(hash) && hash >= 0 && hash < 2 ** 53).toBe(true)
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})

test("both implementations of the values' hash agree on every text", () => {
  fc.assert(
    fc.property(TEXT, text => {
      expect(Number(recountValueHash(text))).toBe(hashText(text))
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})

test('the hashes of users are what they were when the first results were stored', () => {
  expect(['', 'user-1', 'Zoë'].map(recountUserHash)).toEqual([5734799411967884, 1906852552064460, 7483885179453839])
})
