import type { Bench } from './bench.ts'
import { type Drain, drain } from './drain.ts'
import type { Figure } from './figure.ts'
import { listOf, median } from './statistics.ts'

const EVENTS = 20_000
const STARTS = 5
const QUICK_STARTS = 2
const MOST_SECONDS = 1.5

/** How long it takes from the start of an aggregator's process until it has counted something. */
export async function measureStart(bench: Bench): Promise<Figure[]> {
  const source = await bench.sources.of(EVENTS)
  const run = () => drain(bench.lab, source, { work: 'enriching', delivery: 'exactly-once' })
  // A new broker makes its own topics for the first group and transaction: not what a start is about.
  await run()
  const drains: Drain[] = []
  for (let i = 0; i < (bench.quick ? QUICK_STARTS : STARTS); i++) {
    const started = await run()
    bench.say(`the first event was counted ${started.startSeconds.toFixed(2)} s after the start of the process`)
    drains.push(started)
  }
  const without = drains.map(({ startSeconds, joinSeconds }) => startSeconds - joinSeconds)
  const [all, join] = [drains.map(each => each.startSeconds), drains.map(each => each.joinSeconds)]
  return [
    {
      section: 'start',
      name: 'start of the process to first event counted, without the join of the group',
      value: median(without),
      unit: 's',
      target: { most: MOST_SECONDS },
      peer: null,
      note: `median of ${without.length}: ${listOf(without)}; with it ${listOf(all)}. The join is from the end of the checks to the assignment: ${listOf(join)}. Defaults: exactly once, enriched output`,
    },
  ]
}
