import { describe, expect, it } from 'vitest'
import { barChart } from '../../../bench/barChart.ts'
import { type Figure, numberText, told } from '../../../bench/figure.ts'
import { profileFigures } from '../../../bench/profile.ts'
import { inTurns, median, quantile, ratios } from '../../../bench/statistics.ts'

describe('statistics', () => {
  it('the middle one, or the mean of the two in the middle', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([9, 1, 5, 3])).toBe(4)
    expect(median([])).toBeNaN()
  })

  it('a quantile of all up to the greatest', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(3)
    expect(quantile([1, 2, 3, 4], 1)).toBe(4)
  })

  it('ways take turns forth and back, and what came of each stays in the order of the rounds', async () => {
    const order: string[] = []
    const outcomes = await inTurns(['a', 'b'], 3, async way => {
      order.push(way)
      return order.length
    })
    expect(order.join('')).toBe('abbaab')
    expect(outcomes).toEqual([
      [1, 4, 5],
      [2, 3, 6],
    ])
    expect(ratios([2, 9], [4, 3])).toEqual([0.5, 3])
  })
})

describe('figures', () => {
  const figure: Figure = {
    section: 'start',
    name: 'x',
    value: 2,
    unit: 's',
    target: null,
    peer: { name: 'y', value: 4 },
    note: '',
  }

  it.each([
    [{ least: 2 }, true],
    [{ least: 2.1 }, false],
    [{ most: 2 }, true],
    [{ most: 1.9 }, false],
    [null, null],
  ])('against %j it is met: %s', (target, met) => {
    expect(told({ ...figure, target })).toMatchObject({ met, ratio: 0.5 })
  })

  it('a ratio is not divided once more', () => {
    expect(told({ ...figure, unit: 'times' }).ratio).toBeNull()
  })

  it('what was not measured meets no target and is a dash', () => {
    expect(told({ ...figure, value: Number.NaN, target: { most: 9 } }).met).toBe(false)
    expect(numberText(Number.NaN)).toBe('–')
    expect(numberText(1_234_567.8)).toBe('1,234,568')
    expect(numberText(1.234)).toBe('1.23')
  })
})

it('a profile is told by owner and by function, for each event, without what was before or after and the time in which nothing ran', () => {
  const frame = (id: number, functionName: string, url: string, lineNumber = 0) => {
    return { id, callFrame: { functionName, url, lineNumber } }
  }
  const profile = {
    nodes: [
      frame(1, '(idle)', ''),
      frame(2, 'parse', 'file:///x/src/events/parse.ts', 9),
      frame(3, 'read', 'file:///x/node_modules/kafkajs/src/a.js', 4),
      frame(4, '(garbage collector)', ''),
      frame(5, '', 'file:///x/src/events/ip.ts', 1),
    ],
    startTime: 1_000,
    samples: [2, 1, 2, 3, 4, 5, 2, 2],
    timeDeltas: [500, 900, 30, 10, 20, 10, 30, 50],
  }
  const rows = profileFigures('counting', profile, 10, { from: 2_000, to: 2_500 }).map(({ name, value }) => [
    name.replace('counting, ', ''),
    value,
  ])
  expect(rows).toEqual([
    ['all of the main thread', 10],
    ['by src/events', 7],
    ['by the garbage collector', 2],
    ['by package kafkajs', 1],
    ['parse, src/events/parse.ts:10', 6],
    ['(garbage collector), V8', 2],
    ['read, node_modules/kafkajs/src/a.js:5', 1],
    ['(anonymous), src/events/ip.ts:2', 1],
  ])
})

it('a picture has a bar for each, the longest first in its group, and no markup from names', () => {
  const svg = barChart('a < b', [
    { group: 'counting', label: 'slow & "old"', eventsPerSecond: 100 },
    { group: 'counting', label: 'Tidemark', eventsPerSecond: 400 },
  ])
  expect(svg).toContain('a &lt; b')
  expect(svg.indexOf('Tidemark')).toBeLessThan(svg.indexOf('slow &amp; "old"'.replaceAll('"', '&quot;')))
  const widths = [...svg.matchAll(/<rect x="330" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width))
  expect(widths).toEqual([480, 120])
})
