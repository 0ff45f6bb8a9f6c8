import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LeaseCandidate, type LeaseRecord } from '../../../src/kubernetes/lease.ts'
import { SEED } from '../support.ts'

const TIMES = { durationMs: 30_000, renewWithinMs: 20_000 }

function lease(over: Partial<LeaseRecord> = {}): LeaseRecord {
  return { holder: 'b', durationMs: 30_000, version: '1', ...over }
}

describe('a candidate', () => {
  it.each([
    ['makes one that is missing', null, 'create'],
    ['takes a released one at once', lease({ holder: null }), 'take'],
    ['goes on with one of its own name, as after a restart of its container', lease({ holder: 'a' }), 'renew'],
    ['leaves one to its holder', lease(), 'wait'],
  ] as const)('%s', (_, record, step) => {
    expect(new LeaseCandidate('a', TIMES).look(record, 0)).toBe(step)
  })

  it('takes one that has stood still for its whole duration while it watched, whatever its clock says', () => {
    const candidate = new LeaseCandidate('a', TIMES)
    expect(candidate.look(lease(), 1_000_000)).toBe('wait')
    expect(candidate.look(lease(), 1_030_000)).toBe('wait')
    expect(candidate.look(lease(), 1_030_001)).toBe('take')
  })

  it('waits anew after each renewal', () => {
    const candidate = new LeaseCandidate('a', TIMES)
    candidate.look(lease(), 0)
    expect(candidate.look(lease({ version: '2' }), 29_000)).toBe('wait')
    expect(candidate.look(lease({ version: '2' }), 58_000)).toBe('wait')
    expect(candidate.look(lease({ version: '2' }), 59_001)).toBe('take')
  })

  it('waits for the duration that the holder has written', () => {
    const candidate = new LeaseCandidate('a', TIMES)
    candidate.look(lease({ durationMs: 60_000 }), 0)
    expect(candidate.look(lease({ durationMs: 60_000 }), 59_000)).toBe('wait')
  })

  it('leads from its renewal for a time that is shorter than the others wait, and no longer once it is another’s', () => {
    const candidate = new LeaseCandidate('a', TIMES)
    expect(candidate.leads(0)).toBe(false)
    candidate.held(1_000)
    expect([candidate.leads(20_999), candidate.leads(21_000)]).toEqual([true, false])
    candidate.held(30_000)
    candidate.look(lease(), 31_000)
    expect(candidate.leads(31_000)).toBe(false)
    candidate.held(40_000)
    candidate.lost()
    expect(candidate.leads(40_000)).toBe(false)
  })
})

type Member = {
  readonly candidate: LeaseCandidate
  readonly name: string
  readonly offset: number
  knows: string | null
}

/** What happens to a member's tick: all goes well, the server is away, or its answer is lost. */
const FATES = ['well', 'well', 'well', 'away', 'unanswered', 'asleep', 'released'] as const

it('never do two lead at once: clocks apart, requests lost, answers lost, sleep and releases', () => {
  const tick = fc.record({
    member: fc.nat({ max: 2 }),
    afterMs: fc.nat({ max: 25_000 }),
    delayMs: fc.nat({ max: 5_000 }),
    fate: fc.constantFrom(...FATES),
  })
  fc.assert(
    fc.property(
      fc.array(tick, { maxLength: 200, size: 'max' }),
      fc.array(fc.nat(1e9), { minLength: 3, maxLength: 3 }),
      (ticks, offsets) => {
        const members: Member[] = offsets.map((offset, i) => {
          return { candidate: new LeaseCandidate(`m${i}`, TIMES), name: `m${i}`, offset, knows: null }
        })
        let record = null as LeaseRecord | null
        let version = 0
        let now = 0
        for (const { member, afterMs, delayMs, fate } of ticks) {
          now += afterMs
          const { candidate, name, offset } = members[member] as Member
          if (fate === 'away' || fate === 'asleep') continue
          if (fate === 'released') {
            candidate.lost()
            if (record?.holder === name) record = { ...record, holder: null, version: `${++version}` }
            continue
          }
          const step = candidate.look(record, now + offset)
          const sentAt = now
          now += delayMs
          if (step === 'wait') continue
          record = { holder: name, durationMs: TIMES.durationMs, version: `${++version}` }
          if (fate === 'well') candidate.held(sentAt + offset)
          const leading = members.filter(each => each.candidate.leads(now + each.offset))
          expect(leading.length).toBeLessThanOrEqual(1)
        }
      },
    ),
    { seed: SEED, numRuns: 500 },
  )
})
