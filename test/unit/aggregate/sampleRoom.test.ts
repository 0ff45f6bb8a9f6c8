import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SAMPLE_ROOMS } from '../../../src/aggregate/sampleRoom.ts'
import { UserSample } from '../../../src/aggregate/userSample.ts'
import { SEED } from '../support.ts'

const LIMIT = 100
const GAP_MS = 1_000

describe('the room of samples', () => {
  it('is used again, by one at a time, and no more of it kept than is worth it', () => {
    const first = SAMPLE_ROOMS.take(64)
    const second = SAMPLE_ROOMS.take(64)
    expect(second.hashes).not.toBe(first.hashes)
    expect([first.hashes.length, first.rows.length, first.slots.length]).toEqual([64, 256, 128])
    SAMPLE_ROOMS.give(first)
    expect(SAMPLE_ROOMS.take(64)).toBe(first)
    const many = Array.from({ length: 100 }, () => SAMPLE_ROOMS.take(2_048))
    for (const room of many) SAMPLE_ROOMS.give(room)
    const again = many.map(() => SAMPLE_ROOMS.take(2_048)).filter(room => many.includes(room))
    expect(again.length).toBeGreaterThan(10)
    expect(again.length).toBeLessThan(50)
  })

  it('shows nothing of who had it before: samples that come and go count as if they had their own', () => {
    const login = fc.record({ user: fc.nat(400), device: fc.option(fc.nat(3)), timeMs: fc.nat(20_000) })
    const step = fc.record({ sample: fc.nat(3), logins: fc.array(login, { maxLength: 150 }), ends: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const create = () => ({ sample: new UserSample(LIMIT, GAP_MS), logins: [] as (typeof steps)[number]['logins'] })
        const open = [0, 1, 2, 3].map(create)
        for (const { sample: number, logins, ends } of steps) {
          const one = open[number] as ReturnType<typeof create>
          for (const { user, device, timeMs } of logins) {
            one.sample.add(`user-${user}`, device === null ? null : `device-${device}`, timeMs)
          }
          one.logins.push(...logins)
          if (!ends) continue
          const alone = new UserSample(LIMIT, GAP_MS)
          for (const { user, device, timeMs } of one.logins) {
            alone.add(`user-${user}`, device === null ? null : `device-${device}`, timeMs)
          }
          expect(one.sample.toText()).toBe(alone.toText())
          one.sample.release()
          expect([one.sample.size, one.sample.overflow, one.sample.toText()]).toEqual([0, false, null])
          if (logins.length % 2 === 0) open[number] = create()
          else one.logins.length = 0
        }
      }),
      { seed: SEED, numRuns: 200 },
    )
  })
})
