import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { othersText, WORKS } from './drain.ts'
import { type Figure, MIB } from './figure.ts'
import { watchOthers, watchProcess } from './proc.ts'
import { steadyLoad } from './sources.ts'
import type { LoadMessage } from './tools/load.ts'

const RATE = 1_000
const WARM_UP_MS = 10_000
const SECONDS = 30
const QUICK_SECONDS = 10
const WATCH_MS = 1_000

/** What an aggregator takes that has little to do. */
export async function measureIdle({ lab, quick, say }: Bench): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const work of WORKS) {
    const pipeline = await lab.pipeline(`idle-${work}`, { ENRICHED_ENABLED: String(work === 'enriching') })
    const load = lab.tool<LoadMessage>('load.ts', steadyLoad(pipeline, RATE))
    const role = lab.role(`idle-${work}`, 'aggregate', pipeline)
    try {
      await role.line(({ event }) => event === 'live')
      await sleep(WARM_UP_MS)
      const watch = watchProcess(role.pid, WATCH_MS)
      const others = watchOthers([role.pid, load.pid, lab.kafka.pid ?? -1])
      const startedAt = performance.now()
      await sleep((quick ? QUICK_SECONDS : SECONDS) * 1000)
      const usages = watch.stop()
      const seconds = (performance.now() - startedAt) / 1000
      const spent = (usages.at(-1)?.cpuSeconds ?? Number.NaN) - (usages[0]?.cpuSeconds ?? Number.NaN)
      say(`${work} at ${RATE} events/s took ${spent.toFixed(2)} s of CPU in ${seconds.toFixed(0)} s`)
      figures.push({
        section: 'idle',
        name: `CPU at ${RATE} events/s, ${work}, 12 partitions`,
        value: (100 * spent) / seconds,
        unit: '% of a core',
        target: null,
        peer: null,
        note: `${((usages.at(-1)?.residentBytes ?? Number.NaN) / MIB).toFixed(0)} MiB resident; ${othersText(others.stop())}`,
      })
    } finally {
      await load.stop()
      await lab.endRole(role)
    }
  }
  return figures
}
