import type { Slot } from './owner.ts'
import type { World } from './world.ts'

/** Moves the start of one log: on the source as far as the plan allows, on the partials never past what is needed. */
export function retain(world: World): void {
  const { random, broker, plan } = world
  const slot = random.pick(world.slots)
  const commit = broker.commits.get(slot.name)
  if (commit === undefined || slot.owners.some(owner => owner.sawNoCommit)) return
  const { r } = JSON.parse(commit.metadata)
  const { log } = slot
  if (slot.stage === 'reduce') {
    // Whoever is between reading the commit and the log's range would take the loss for its own.
    if (slot.owners.some(owner => owner.runner.state === 'restoring')) return
    return moveStart(world, slot, r)
  }
  const bound = { none: log.start, needless: r[0], replay: commit.offset, uncounted: log.end }[plan.retention]
  if (plan.retention !== 'uncounted' || random.chance(0.3)) moveStart(world, slot, bound)
}

function moveStart(world: World, slot: Slot, bound: number): void {
  const { log } = slot
  if (bound <= log.start) return
  log.start = world.random.between(log.start + 1, bound)
  world.count(`retention of ${log.topic}`)
  world.trace?.(`    ${log.topic}/${log.number} begins at ${log.start}`)
}
