import { deliverNext } from './delivery.ts'
import { check } from './failure.ts'
import type { Owner, Slot } from './owner.ts'
import { IDLE_MS } from './plan.ts'
import type { World } from './world.ts'

const MOST_ROUNDS = 300
/** How far time goes on at once: far enough to be silent all the while. */
const STEP_MS = 3 * IDLE_MS
/** More than any log here has. */
const MOST_BATCHES = 50

/**
 * Ends all faults, gives every partition one healthy owner, and goes on until nothing changes. With `timePasses`, until
 * silence has closed every window.
 */
export async function quiesce(world: World, timePasses: boolean): Promise<void> {
  world.lateCalls.length = 0
  for (const slot of world.slots) {
    for (const owner of [...slot.owners]) {
      if (timePasses || owner !== slot.current || world.random.chance(0.5)) world.kill(owner)
      else heal(world, owner)
    }
  }
  world.lateCalls.length = 0
  await untilStill(world)
  if (!timePasses) return
  const { plan, broker } = world
  const longest = Math.max(...plan.levels.map(({ sizeMs }) => sizeMs))
  const kept = longest + plan.latenessMs + plan.horizonMs
  const until = Math.max(broker.now, world.latestEventMs) + kept + 2 * STEP_MS
  while (broker.now < until) {
    broker.now += STEP_MS
    for (const slot of world.slots) {
      slot.current?.look()
      if (slot.current !== null) await answerAll(world, slot.current)
    }
    await untilStill(world)
  }
}

function heal(world: World, owner: Owner): void {
  owner.suspended = false
  owner.skewMs = 0
  owner.knownPartitions = world.sources.length
}

async function untilStill(world: World): Promise<void> {
  const idle = new Map<Slot, string>()
  for (let round = 0, still = 0; round < MOST_ROUNDS; round++) {
    const before = stateOf(world)
    for (const slot of world.slots) {
      // Where nothing has come since a turn that came to nothing, the next one would as well.
      if (slot.current !== null && idle.get(slot) === placeOf(slot)) continue
      const from = placeOf(slot)
      await takeTurn(world, slot)
      if (from === placeOf(slot)) idle.set(slot, from)
    }
    // One round may only have met the end of an earlier owner's transaction.
    still = before === stateOf(world) ? still + 1 : 0
    if (still === 2) return
  }
  check('comes-to-rest', false, () => 'the system is still busy after all records were delivered')
}

/** One owner reads what there is and tells what it has to tell. */
async function takeTurn(world: World, slot: Slot): Promise<void> {
  const owner = slot.current ?? world.startOwner(slot)
  heal(world, owner)
  await answerAll(world, owner)
  for (let i = 0; i < MOST_BATCHES && !owner.paused; i++) {
    if (!deliverNext(owner, 50, null)) break
    await answerAll(world, owner)
  }
  void owner.runner.flush()
  await answerAll(world, owner)
}

/** Where an owner stands, and what is there to read. */
function placeOf({ current, log }: Slot): string {
  if (current === null) return ''
  const { id, spoke, fetchPosition, paused, knownPartitions, runner } = current
  return [id, spoke, fetchPosition, paused, knownPartitions, runner.task?.position, log.end, log.stableEnd].join(' ')
}

/** Answers every call truthfully until none is left. */
export async function answerAll(world: World, owner: Owner): Promise<void> {
  await world.settle()
  for (let call = owner.calls[0]; call !== undefined; call = owner.calls[0]) {
    owner.answer(call)
    await world.settle()
  }
}

function stateOf(world: World): string {
  const places = world.slots.map(({ name, log, current }) => {
    return `${current?.id} ${current?.runner.task?.position} ${log.end} ${world.broker.commits.get(name)?.metadata}`
  })
  const logs = world.broker.levels.flatMap(({ results, letters }) => [...results, ...letters])
  return [...places, ...logs.map(log => log.end)].join(';')
}

/** Every owner has read all there is. */
export function checkAtEnd(world: World): void {
  for (const { name, log, current } of world.slots) {
    const position = current?.runner.task?.position
    check('comes-to-rest', position === log.end && current?.runner.live === true, () => {
      return `${name} stands at ${position}, live ${current?.runner.live}, of a log that ends at ${log.end}`
    })
  }
}
