import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign, type ClaimingMember, decodeClaim } from '../../../src/kafka/stickyAssigner.ts'

const range = (count: number) => Array.from({ length: count }, (_, i) => i)

const claims = fc.record({
  generation: fc.integer({ min: -1, max: 5 }),
  partitions: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 20 }),
})
const membersOf = (least: number) =>
  fc.uniqueArray(fc.record({ memberId: fc.string({ minLength: 1, maxLength: 6 }), owned: claims }), {
    selector: member => member.memberId,
    minLength: least,
    maxLength: 12,
  })
const counts = fc.integer({ min: 0, max: 40 })

/** Members that own exactly what an assignment gave them. */
function owners(assigned: Map<string, number[]>, generation: number): ClaimingMember[] {
  return [...assigned].map(([memberId, partitions]) => ({ memberId, owned: { generation, partitions } }))
}

describe('an assignment', () => {
  it('is complete, disjoint and balanced, whatever the members claim', () => {
    fc.assert(
      fc.property(membersOf(1), counts, (members, count) => {
        const assigned = assign(members, range(count))
        expect([...assigned.keys()].sort()).toEqual(members.map(member => member.memberId).sort())
        expect([...assigned.values()].flat().sort((a, b) => a - b)).toEqual(range(count))
        const sizes = [...assigned.values()].map(partitions => partitions.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('depends on its input alone, not on its order', () => {
    fc.assert(
      fc.property(membersOf(1), counts, (members, count) => {
        const again = assign([...members].reverse(), range(count).reverse())
        expect(Object.fromEntries(again)).toEqual(Object.fromEntries(assign(members, range(count))))
      }),
    )
  })

  it('moves nothing while the members stay the same', () => {
    fc.assert(
      fc.property(membersOf(1), counts, (members, count) => {
        const before = assign(members, range(count))
        expect(assign(owners(before, 6), range(count))).toEqual(before)
      }),
    )
  })

  it('moves at most one share when a member joins, and only to it', () => {
    fc.assert(
      fc.property(membersOf(1), counts, (members, count) => {
        const before = assign(members, range(count))
        const joined = { memberId: 'a newcomer', owned: { generation: -1, partitions: [] } }
        const after = assign([...owners(before, 6), joined], range(count))
        const kept = [...before].flatMap(([memberId, had]) => had.filter(p => after.get(memberId)?.includes(p)))
        expect(count - kept.length).toBeLessThanOrEqual(Math.ceil(count / (members.length + 1)))
        expect(after.get('a newcomer')).toHaveLength(count - kept.length)
      }),
    )
  })

  it('moves only what a leaving member had', () => {
    fc.assert(
      fc.property(membersOf(2), counts, (members, count) => {
        const before = assign(members, range(count))
        const staying = owners(before, 6).slice(1)
        const after = assign(staying, range(count))
        for (const { memberId, owned } of staying)
          expect(after.get(memberId)).toEqual(expect.arrayContaining([...owned.partitions]))
      }),
    )
  })
})

describe('a partition that two members claim', () => {
  const claim = (memberId: string, generation: number, partitions: number[]) => ({
    memberId,
    owned: { generation, partitions },
  })
  it('stays with the greater generation', () => {
    const assigned = assign([claim('a', 3, [0, 1]), claim('b', 4, [0, 2])], range(4))
    expect(assigned.get('b')).toEqual([0, 2])
  })
  it('stays with the smaller member id in the same generation', () => {
    const assigned = assign([claim('b', 3, [0, 2]), claim('a', 3, [0, 1])], range(4))
    expect(assigned.get('a')).toEqual([0, 1])
  })
})

it('gives nothing to nobody', () => {
  expect(assign([], [0, 1])).toEqual(new Map())
})

it.each([null, Buffer.from(''), Buffer.from('{'), Buffer.from('null'), Buffer.from('{"generation":"1"}')])(
  'takes user data that is not ours (%s) for no claim',
  userData => {
    expect(decodeClaim(userData)).toEqual({ generation: -1, partitions: [] })
  },
)
