import type { RoleProcess } from '../src/dev/roleProcess.ts'
import type { Bench } from './bench.ts'
import { checkCounted, othersText, untilCommitted } from './drain.ts'
import type { Figure } from './figure.ts'
import { usageOf, watchOthers } from './proc.ts'

const EVENTS = 10_000_000
const QUICK_EVENTS = 1_000_000

type Outcome = { readonly seconds: number; readonly cpuSeconds: number; readonly otherCores: number }

/** How long one and two aggregators need for what came while nobody counted. */
export async function measureBacklog(bench: Bench): Promise<Figure[]> {
  const events = bench.quick ? QUICK_EVENTS : EVENTS
  const one = await drainBy(bench, events, 1)
  const two = await drainBy(bench, events, 2)
  return [
    figure(events, 'one aggregator', one, null),
    figure(events, 'two aggregators', two, { name: 'one, s', value: one.seconds }),
  ]
}

async function drainBy({ lab, sources, say }: Bench, events: number, members: number): Promise<Outcome> {
  const source = await sources.of(events)
  const name = `backlog-${members}`
  const pipeline = await lab.pipeline(name, { ...source.given, ENRICHED_ENABLED: 'false' })
  const roles: RoleProcess[] = []
  for (let i = 1; i <= members; i++) roles.push(lab.role(`${name}-${i}`, 'aggregate', pipeline))
  const others = watchOthers([...roles.map(({ pid }) => pid), lab.kafka.pid ?? -1])
  try {
    const assignedAt = await Promise.any(
      roles.map(async role => {
        await role.line(({ event }) => event === 'assigned')
        return performance.now()
      }),
    )
    await untilCommitted(lab, pipeline)
    const seconds = (performance.now() - assignedAt) / 1000
    await checkCounted(lab, pipeline, events)
    const cpuSeconds = roles.reduce((sum, { pid }) => sum + (usageOf(pid)?.cpuSeconds ?? Number.NaN), 0)
    say(`${members} of ${members} aggregators have drained ${events} events in ${seconds.toFixed(1)} s`)
    return { seconds, cpuSeconds, otherCores: others.stop() }
  } finally {
    await Promise.all(roles.map(role => lab.endRole(role)))
  }
}

function figure(
  events: number,
  by: string,
  { seconds, cpuSeconds, otherCores }: Outcome,
  peer: Figure['peer'],
): Figure {
  return {
    section: 'backlog',
    name: `drain of ${events.toLocaleString('en-US')} events, counting, exactly once, ${by}`,
    value: seconds,
    unit: 's',
    target: null,
    peer,
    note: `${(events / seconds).toFixed(0)} events/s, ${cpuSeconds.toFixed(1)} s of CPU; from the first assignment to the last commit; ${othersText(otherCores)}`,
  }
}
