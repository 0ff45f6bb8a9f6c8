import { append } from './appending.ts'
import { deliverNext, deliverStray } from './delivery.ts'
import type { Call, Owner, Slot } from './owner.ts'
import { damage, retain } from './retention.ts'
import type { World } from './world.ts'

export type Action = {
  readonly name: string
  /** How often it is chosen, against the others. */
  readonly weight: (world: World) => number
  readonly run: (world: World) => void
  /** Touches no owner: nothing moves by it. */
  readonly quiet?: true
  /** Goes on while nothing breaks. */
  readonly calm?: true
}

/** Everything that can happen next. The scheduler picks by weight; an action that finds nothing to do does nothing. */
export const ACTIONS: readonly Action[] = [
  { name: 'append', weight: () => 6, run: append, quiet: true, calm: true },
  { name: 'deliver', weight: () => 14, run: deliver, calm: true },
  { name: 'answer', weight: () => 32, run: answer, calm: true },
  { name: 'flush', weight: () => 8, run: world => void anOwner(world)?.runner.flush(), calm: true },
  { name: 'look', weight: () => 4, run: world => anOwner(world)?.look(), calm: true },
  { name: 'tick', weight: () => 6, run: tick, calm: true },
  { name: 'start', weight: () => 6, run: start, calm: true },
  { name: 'crash', weight: ({ plan }) => plan.crashes, run: crash },
  { name: 'replace', weight: ({ plan }) => plan.zombies, run: replace },
  { name: 'suspend', weight: ({ plan }) => plan.zombies, run: world => suspend(world, true), quiet: true },
  { name: 'wake', weight: ({ plan }) => plan.zombies * 0.7, run: world => suspend(world, false) },
  { name: 'give back', weight: ({ plan }) => 0.5 + plan.zombies, run: giveBack },
  { name: 'end zombie', weight: ({ plan }) => plan.zombies / 2, run: endZombie },
  { name: 'drain', weight: () => 0.5, run: drain },
  {
    name: 'retain',
    weight: ({ plan }) => ({ none: 0, needless: 2, replay: 2, uncounted: 4 })[plan.retention],
    run: retain,
    quiet: true,
  },
  { name: 'damage', weight: ({ plan }) => (plan.damage ? 0.7 : 0), run: damage, quiet: true },
  { name: 'grow', weight: ({ plan }) => (plan.growBy > 0 ? 0.5 : 0), run: grow, quiet: true },
  { name: 'refresh', weight: ({ plan }) => (plan.growBy > 0 ? 2 : 0.2), run: refresh, quiet: true, calm: true },
  { name: 'hole', weight: ({ plan }) => (plan.holes ? 1.5 : 0), run: hole, quiet: true },
  { name: 'foreign', weight: ({ plan }) => (plan.foreign ? 1 : 0), run: foreign, quiet: true },
  { name: 'stray batch', weight: ({ plan }) => (plan.faults > 0 ? 3 : 0), run: stray },
  { name: 'clock jump', weight: ({ plan }) => (plan.jumps ? 0.7 : 0), run: jump, quiet: true },
  { name: 'lull', weight: ({ plan }) => (plan.silences ? 0.5 : 0), run: lull, quiet: true },
  { name: 'late arrival', weight: ({ lateCalls }) => Math.min(2, lateCalls.length), run: lateArrival },
]

function owners(world: World): Owner[] {
  const all: Owner[] = []
  for (const slot of world.slots) {
    for (const owner of slot.owners) if (!owner.suspended) all.push(owner)
  }
  return all
}

function anOwner(world: World): Owner | undefined {
  const all = owners(world)
  return all.length === 0 ? undefined : world.random.pick(all)
}

function deliver(world: World): void {
  const owner = anOwner(world)
  if (owner === undefined || owner.paused) return
  deliverNext(owner, world.random.between(1, 8), world.random)
}

function stray(world: World): void {
  const owner = anOwner(world)
  if (owner === undefined) return
  world.count('stray batch')
  deliverStray(owner, world.random)
}

function answer(world: World): void {
  const { random, plan } = world
  const waiting = owners(world).filter(owner => owner.calls.length > 0)
  if (waiting.length === 0) return
  const owner = random.pick(waiting)
  // The newest call as often as all others together: a flush may pass a slow read.
  const call = random.chance(0.5) ? (owner.calls.at(-1) as Call) : random.pick(owner.calls)
  world.trace?.(`    ${owner.name} ${call.name}`)
  if (call.name !== 'sleep' && random.chance(plan.faults)) fault(world, owner, call)
  else if (random.chance(0.25)) owner.perform(call)
  else {
    owner.answer(call)
    if (call.name === 'fence' && random.chance(0.5)) owner.flushDue = true
  }
}

/** A call that fails: done or not, in part, later, or twice; or is answered by a broker that lags behind. */
function fault(world: World, owner: Owner, call: Call): void {
  const { random } = world
  const kind = random.below(5)
  const untouched = !call.done
  if (kind === 3 && call.name === 'send' && !owner.slot.transactional && untouched) {
    owner.perform(call)
    owner.send(call.records)
    world.count('sent twice')
    owner.answer(call)
  } else if (kind === 4 && call.name === 'readLogRange' && owner.lagged < 3) {
    owner.lagged++
    owner.perform(call)
    const { start, end } = call.answer as { start: number; end: number }
    call.answer = { start, end: Math.max(start, end - random.between(1, 9)) }
    world.count('lagging end')
    owner.answer(call)
  } else {
    if (kind === 0) {
      owner.perform(call)
      world.count('acknowledgement lost')
    } else if (kind === 1 && call.name === 'send' && untouched) sendPart(world, owner, call)
    else if (kind === 2 && (call.name === 'send' || call.name === 'commit') && untouched) {
      world.sendLate(owner, call)
      world.count('arrives after its failure')
    } else world.count('call failed')
    owner.fail(call)
  }
}

/** Of a send that fails, what came before some record in each partition has arrived. */
function sendPart(world: World, owner: Owner, call: Call): void {
  const least = new Map<number | null, number>()
  const some = call.records.filter(({ partition }) => {
    if (!least.has(partition)) least.set(partition, world.random.below(4))
    const left = least.get(partition) as number
    least.set(partition, left - 1)
    return left > 0
  })
  world.count('sent in part')
  owner.performInstead(call, some)
}

/** Time passes, and what goes by the clock comes due for some. */
function tick(world: World): void {
  const { random } = world
  world.broker.now += random.chance(0.15) ? random.between(10, 60) : random.between(1, 8)
  for (const owner of owners(world)) {
    if (random.chance(0.4)) owner.look()
    if (random.chance(0.2)) void owner.runner.flush()
  }
}

function start(world: World): void {
  const slot = aSlot(world, ({ current }) => current === null)
  if (slot === undefined) return
  // A partition that was just added, or that nobody can read, has to wait.
  const last = slot.stage === 'aggregate' && slot.partition === world.sources.length - 1 && slot.partition > 0
  if (!last || world.random.chance(world.plan.lastPartitionStarts)) world.startOwner(slot)
}

function crash(world: World): void {
  const owner = anOwner(world)
  if (owner === undefined) return
  world.count(`crash in ${owner.calls[0]?.name ?? 'peace'}`)
  world.trace?.(`    ${owner.name} crashes`)
  world.kill(owner)
}

/** The group means somebody else; the old owner does not know. */
function replace(world: World): void {
  const slot = aSlot(world, ({ current, owners: all }) => current !== null && all.length < 3)
  if (slot === undefined) return
  const { current } = slot
  if (current !== null && world.random.chance(0.7)) current.suspended = true
  world.count(`zombie of ${slot.stage}`)
  const owner = world.startOwner(slot)
  world.trace?.(`    ${owner.name} replaces ${current?.name}`)
}

function suspend(world: World, suspended: boolean): void {
  const all = world.slots.flatMap(slot => slot.owners.filter(owner => owner.suspended !== suspended))
  if (all.length > 0) world.random.pick(all).suspended = suspended
}

/** A rebalance leaves the partition with an owner, or gives it back to a former one. */
function giveBack(world: World): void {
  const slot = aSlot(world, ({ owners: all }) => all.length > 0)
  if (slot === undefined) return
  const { current } = slot
  const former = slot.owners.filter(owner => owner !== current)
  const owner = world.random.pick(former.length > 0 && world.random.chance(0.7) ? former : slot.owners)
  if (current !== null && current !== owner && world.random.chance(0.5)) world.kill(current)
  slot.current = owner
  owner.suspended = false
  owner.paused = true
  world.count('kept over a rebalance')
  world.trace?.(`    ${owner.name} keeps or has back its partition`)
  void owner.runner.resume()
}

function endZombie(world: World): void {
  const slot = aSlot(world, ({ owners: all, current }) => all.some(owner => owner !== current))
  if (slot === undefined) return
  const owner = world.random.pick(slot.owners.filter(other => other !== slot.current))
  if (world.random.chance(0.5)) owner.runner.stop()
  world.kill(owner)
}

function drain(world: World): void {
  const owner = anOwner(world)
  if (owner === undefined) return
  world.count('drain')
  void owner.runner.drain()
}

function grow(world: World): void {
  if (world.sources.length >= world.plan.partitions + world.plan.growBy) return
  world.count('partition added')
  world.addPartition()
}

function refresh(world: World): void {
  const owner = anOwner(world)
  if (owner !== undefined) owner.knownPartitions = world.sources.length
}

function hole(world: World): void {
  const { random, broker } = world
  random.pick([...broker.sources, ...broker.levels.flatMap(({ partials }) => partials)]).hole(random.between(1, 3))
  world.count('hole')
}

/** Another generation's words, another version's, and somebody else's bytes in the partials topics. */
function foreign(world: World): void {
  const { random, broker } = world
  const log = random.pick(broker.levels.flatMap(({ partials }) => partials))
  const source = random.pick(broker.sources)
  const p = source.number
  const w = Math.floor(broker.now / 100) * 10 + log.number
  const counter = { c: { web: 7 } }
  const byValue = { d: counter, l: counter, v: counter, g: counter, c: counter, r: counter }
  const aggregate = { n: 7, ...byValue, m: [0, 0, 0, 0, 0], i: [0, 0, 0, 0, 0] }
  const counted = { w, p, from: 0, clockAtFrom: 0, through: 999, last: 7, aggregate, coverage: null }
  const totals = { accepted: 7, late: 0, rejected: {} }
  const text = random.pick([
    'what is this?',
    JSON.stringify({ v: 1, kind: 'partial', g: 1, ...counted }),
    JSON.stringify({ v: 2, kind: 'partial', g: 2, ...counted }),
    JSON.stringify({
      v: 2,
      kind: 'progress',
      g: 2,
      p,
      of: 1,
      through: 999,
      clock: broker.now + 1e6,
      idleAsOf: null,
      totals,
      gaps: [],
    }),
  ])
  log.append(new TextEncoder().encode(text), broker.now, broker.now, null)
  world.count('foreign record')
}

function jump(world: World): void {
  const owner = anOwner(world)
  if (owner === undefined) return
  // A gap's bound on lost event times needs an owner's clock that is not behind the producers'.
  const ahead = world.plan.retention !== 'none' || world.plan.damage
  owner.skewMs = world.random.pick(ahead ? [0, 15, 60] : [0, 15, 60, -15, -60])
  world.count('clock jump')
}

/** For a while nothing breaks and one source says nothing, so that windows become final without it. */
function lull(world: World): void {
  const { random, sources, broker } = world
  const source = random.pick(sources)
  source.silentUntil = broker.now + random.between(50, 150)
  source.backlog = random.between(1, 8)
  world.lullSteps = random.between(30, 90)
  for (const slot of world.slots) for (const owner of slot.owners) owner.suspended = false
}

function lateArrival(world: World): void {
  const at = world.random.below(world.lateCalls.length)
  const [late] = world.lateCalls.splice(at, 1)
  if (late === undefined) return
  world.trace?.(`    late ${late.call.name} of ${late.owner.name}`)
  late.owner.perform(late.call)
  world.count('late arrival')
}

function aSlot(world: World, fits: (slot: Slot) => boolean): Slot | undefined {
  const slots = world.slots.filter(fits)
  return slots.length === 0 ? undefined : world.random.pick(slots)
}
