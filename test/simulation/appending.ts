import { nextSpec, type Spec } from './workload.ts'
import type { Source, World } from './world.ts'

/** Appends some events to a source partition, unless it is silent. */
export function append(world: World): void {
  const { random, plan, broker } = world
  if (world.appended >= plan.records) return
  const source = random.pick(world.sources)
  if (source.silentUntil > broker.now) return
  if (plan.silences && random.chance(0.15)) {
    source.silentUntil = broker.now + random.between(20, 150)
    // Some partitions come back with what their producers could not send meanwhile.
    source.backlog = random.chance(0.5) ? random.between(1, 8) : 0
    return
  }
  appendTo(world, source, random.between(1, 6))
}

/** Appends so many events, some of them twice. */
export function appendTo(world: World, source: Source, count: number): void {
  const { random, plan, broker } = world
  for (let i = 0; i < count; i++) {
    const timestamp = broker.now + (plan.jitterMs === 0 ? 0 : random.between(-plan.jitterMs, plan.jitterMs))
    const spec = nextSpec(random, plan, timestamp, source.backlog-- > 0)
    put(world, source, spec, timestamp)
    if (random.chance(0.05)) put(world, source, spec, timestamp)
  }
}

function put(world: World, { log }: Source, spec: Spec, timestamp: number): void {
  const { offset, appendedAt } = log.append(spec.value, timestamp, world.broker.now, null)
  world.judge.truth(log.number).records.push({ offset, timestamp, appendedAt, spec })
  world.appended++
  if (spec.code === null) world.latestEventMs = Math.max(world.latestEventMs, spec.timeMs)
  world.note(offset)
  const what = spec.code ?? `window ${spec.window} time ${spec.timeMs}`
  world.trace?.(`    source/${log.number}@${offset} ${what} (record ${timestamp})`)
}
