import { beforeEach, describe, expect, it } from 'vitest'
import { CostTeller, HandOverCost } from '../../../src/kubernetes/deletionCost.ts'

describe('the cost of a hand-over', () => {
  let cost: HandOverCost
  beforeEach(() => {
    cost = new HandOverCost(({ metadata }) => Number(metadata))
  })

  it('is nothing for a pod that owns nothing', () => {
    expect(cost.cost()).toBe(0)
    cost.assigned([])
    expect(cost.cost()).toBe(0)
  })

  it('is greater with each partition, and with what the next owner reads again', () => {
    cost.assigned([0, 1])
    expect(cost.cost()).toBe(200_000)
    cost.committed(1, { offset: 70_000, metadata: '65536' })
    expect(cost.cost()).toBe(204_464)
    cost.assigned([1])
    expect(cost.cost()).toBe(104_464)
  })

  it('forgets a partition that went, also when a last commit of it is told afterwards', () => {
    cost.assigned([3])
    cost.committed(3, { offset: 10, metadata: '0' })
    cost.assigned([])
    cost.committed(3, { offset: 20, metadata: '0' })
    expect(cost.cost()).toBe(0)
  })

  it('fits into the annotation', () => {
    cost.assigned([0])
    cost.committed(0, { offset: 2 ** 52, metadata: '0' })
    expect(cost.cost()).toBe(2 ** 31 - 1)
  })
})

describe('a cost is told', () => {
  it('when it has changed by enough, and at most every 30 s', () => {
    const teller = new CostTeller()
    expect(teller.due(49_999, 0)).toBe(null)
    expect(teller.due(100_000, 1_000)).toBe(100_000)
    teller.told(100_000)
    expect(teller.due(300_000, 30_999)).toBe(null)
    expect(teller.due(300_000, 31_000)).toBe(300_000)
  })

  it('again after half a minute when the cluster refused it', () => {
    const teller = new CostTeller()
    teller.due(100_000, 0)
    expect([teller.due(100_000, 29_999), teller.due(100_000, 30_000)]).toEqual([null, 100_000])
  })

  it('down to nothing, and not for a small share of much', () => {
    const teller = new CostTeller()
    teller.told(10_000_000)
    expect(teller.due(10_400_000, 0)).toBe(null)
    expect(teller.due(0, 0)).toBe(0)
  })
})
