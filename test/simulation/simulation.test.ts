import { expect, it } from 'vitest'
import { runSeeds, summaryOf } from './runSeeds.ts'
import { simulate } from './simulate.ts'

const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 10_000)

it(`holds every check over ${SEEDS} seeds`, async () => {
  const run = await runSeeds({ from: 1, seeds: SEEDS, workers: 2 })
  console.log(summaryOf(run))
  expect(run.failures).toEqual([])
  expect(run.seeds).toBe(SEEDS)
  // Doubt may not hide mistakes: most results vouch for all that they count.
  expect(run.counts['results with exact: false']).toBeLessThan((run.counts.results as number) / 4)
}, 600_000)

it('runs a seed twice alike, and another seed otherwise', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const lines: string[] = []
    const first = await simulate(seed, line => lines.push(line))
    const again: string[] = []
    expect((await simulate(seed, line => again.push(line))).hash).toBe(first.hash)
    expect(again).toEqual(lines)
    expect((await simulate(seed + 1_000)).hash).not.toBe(first.hash)
  }
})
