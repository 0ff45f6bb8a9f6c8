import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createIsoText } from '../../../src/events/isoText.ts'
import { SEED } from '../support.ts'

test('it is what Date says', () => {
  const isoText = createIsoText()
  const times = fc.oneof(
    fc.integer({ min: 0, max: 253_402_300_799_999 }),
    fc.integer({ min: 1_694_479_500_000, max: 1_694_479_700_000 }),
    fc.constantFrom(0, 59_999, 60_000, 253_402_300_799_999, 0.5, 59_999.9),
    fc.double({ min: 1_694_479_500_000, max: 1_694_479_700_000, noNaN: true }),
  )
  fc.assert(
    fc.property(times, timeMs => {
      expect(isoText(timeMs)).toBe(new Date(timeMs).toISOString())
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})
