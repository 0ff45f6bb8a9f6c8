import { appendTo } from './appending.ts'
import type { Slot } from './owner.ts'
import type { World } from './world.ts'

/** Losses of one log: more gaps than a commit can hold would be joined, and the recount could not follow. */
const MOST_LOSSES = 5

/** Moves the start of one log: on the source as far as the plan allows, on the partials never past what is needed. */
export function retain(world: World): void {
  const { random, plan } = world
  if (plan.retention === 'uncounted' && random.chance(0.4)) {
    loseUncounted(world)
    return
  }
  const slot = random.pick(world.slots)
  const commit = commitOf(world, slot)
  if (commit === null) return
  if (slot.stage === 'aggregate') {
    moveStart(world, slot, plan.retention === 'needless' ? commit.replayFrom : commit.offset)
  } else if (!slot.owners.some(owner => owner.runner.state === 'restoring')) {
    // Whoever is between reading the commit and the log's range would take the loss for its own.
    moveStart(world, slot, commit.replayFrom)
  }
}

/** Removes records that no commit counts; an owner may have died over them, and a silence have ended with them. */
function loseUncounted(world: World): void {
  const { random, broker } = world
  const able = world.slots.filter(slot => {
    return slot.stage === 'aggregate' && slot.losses < MOST_LOSSES && commitOf(world, slot) !== null
  })
  const silent = able.filter(({ partition }) => (world.sources[partition]?.silentUntil ?? 0) > broker.now)
  if (able.length === 0) return
  const slot = random.pick(silent.length > 0 ? silent : able)
  if (slot.current !== null && random.chance(0.5)) world.kill(slot.current)
  const source = world.sources[slot.partition]
  if (source !== undefined && random.chance(0.5)) {
    source.silentUntil = 0
    source.backlog = random.between(1, 4)
    appendTo(world, source, source.backlog)
  }
  if ((commitOf(world, slot)?.offset ?? slot.log.end) >= slot.log.end) return
  slot.losses++
  moveStart(world, slot, slot.log.end)
}

function commitOf(world: World, slot: Slot): { readonly offset: number; readonly replayFrom: number } | null {
  const commit = world.broker.commits.get(slot.name)
  if (commit === undefined || slot.owners.some(owner => owner.sawNoCommit)) return null
  const { r } = JSON.parse(commit.metadata)
  return { offset: commit.offset, replayFrom: slot.stage === 'reduce' ? r : r[0] }
}

function moveStart(world: World, slot: Slot, bound: number): void {
  const { log } = slot
  if (bound <= log.start) return
  log.start = world.random.between(log.start + 1, bound)
  world.count(`retention of ${log.topic}`)
  world.trace?.(`    ${log.topic}/${log.number} begins at ${log.start}`)
}

/** Makes a few records of a source unreadable, counted ones or not. */
export function damage(world: World): void {
  const { random } = world
  const able = world.slots.filter(({ stage, losses, log }) => {
    return stage === 'aggregate' && losses < MOST_LOSSES && log.end > log.start
  })
  if (able.length === 0) return
  const slot = random.pick(able)
  const { log } = slot
  const known = log.damaged.at(-1)?.to ?? log.start
  if (known >= log.end) return
  slot.losses++
  const from = random.between(Math.max(known, log.start), log.end - 1)
  const to = Math.min(log.end, from + random.between(1, 5))
  log.damaged.push({ from, to })
  world.count('damaged range')
  world.trace?.(`    ${log.topic}/${log.number} cannot be read at [${from}, ${to})`)
}
