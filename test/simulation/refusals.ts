import { type ErrorCode, TidemarkError } from '../../src/errors.ts'
import type { Level } from '../../src/windows/levels.ts'
import { deliverNext } from './delivery.ts'
import { aggregateFactory, CONFIG_HASH, reduceFactory } from './factories.ts'
import { check } from './failure.ts'
import { messageOf, type Slot } from './owner.ts'
import { answerAll } from './quiesce.ts'
import type { World } from './world.ts'

/** A way to make going on a silent reset. `spoil` tells false when the run does not allow it. */
type Spoiling = {
  readonly name: string
  readonly stage: Slot['stage']
  readonly code: ErrorCode
  readonly spoil: (world: World, slot: Slot) => boolean
}

const SPOILINGS: readonly Spoiling[] = [
  { name: 'an operator reset the commit', stage: 'aggregate', code: 'refused_no_metadata', spoil: resetCommit },
  { name: 'an operator reset the commit', stage: 'reduce', code: 'refused_no_metadata', spoil: resetCommit },
  { name: 'another config', stage: 'aggregate', code: 'refused_config_hash', spoil: changeConfig },
  { name: 'another config', stage: 'reduce', code: 'refused_config_hash', spoil: changeConfig },
  { name: 'another partials topic', stage: 'aggregate', code: 'refused_partition_count', spoil: changePartials },
  { name: 'the log was cut', stage: 'aggregate', code: 'refused_beyond_log', spoil: cutLog },
  { name: 'the log was cut', stage: 'reduce', code: 'refused_beyond_log', spoil: cutLog },
  { name: 'the log was compacted', stage: 'aggregate', code: 'refused_replay_lost', spoil: compactReplay },
  { name: 'retention passed replayFrom', stage: 'reduce', code: 'refused_replay_lost', spoil: passReplayFrom },
  { name: 'retention before the first commit', stage: 'reduce', code: 'refused_replay_lost', spoil: loseFirstRecords },
]

/** More than any log here has: an owner that is still reading reads in circles. */
const MOST_BATCHES = 50

/** Spoils one partition's ground: its next owner must end with the right code and say nothing to anybody. */
export async function refuse(world: World): Promise<void> {
  const { random } = world
  const spoiling = random.pick(SPOILINGS)
  const slot = random.pick(world.slots.filter(({ stage }) => stage === spoiling.stage))
  for (const owner of slot.owners) world.kill(owner)
  world.lateCalls.length = 0
  // What the killed owner had open would hide records from the next one.
  if (slot.transactional) world.broker.fence(slot)
  if (!spoiling.spoil(world, slot)) return
  world.count(`refusal: ${spoiling.name}, ${spoiling.stage}`)
  world.trace?.(`    ${slot.name}: ${spoiling.name}`)
  world.mayEnd = slot
  const owner = world.startOwner(slot)
  await answerAll(world, owner)
  for (let i = 0; i < MOST_BATCHES && owner.fatal === null && !owner.paused; i++) {
    if (!deliverNext(owner, 50, null)) break
    await answerAll(world, owner)
  }
  void owner.runner.flush()
  await answerAll(world, owner)
  const { fatal } = owner
  const code = fatal instanceof TidemarkError ? fatal.code : null
  check('refusal', code === spoiling.code, () => `${spoiling.name}: ${messageOf(fatal)}, not ${spoiling.code}`)
}

function resetCommit({ broker, random }: World, { name, log }: Slot): boolean {
  broker.commits.set(name, {
    offset: random.between(log.start, log.end),
    metadata: random.pick(['', '{}', 'note', '{"v":9}']),
  })
  return true
}

function changeConfig({ plan }: World, slot: Slot): boolean {
  const other = `not ${CONFIG_HASH}`
  const level = plan.levels[slot.level] as Level
  slot.factory = slot.stage === 'aggregate' ? aggregateFactory(plan, other) : reduceFactory(plan, other, level)
  return true
}

function changePartials({ plan }: World, slot: Slot): boolean {
  slot.factory = aggregateFactory({ ...plan, reducers: plan.reducers + 1 }, CONFIG_HASH)
  return true
}

function cutLog({ broker, random }: World, { name, log }: Slot): boolean {
  const committed = broker.commits.get(name)?.offset ?? 0
  if (committed <= log.start) return false
  log.end = random.between(log.start, committed - 1)
  log.records.splice(log.indexOf(log.end))
  return true
}

/** The records that moved the clock since replayFrom are gone. */
function compactReplay({ broker }: World, { name, log }: Slot): boolean {
  const commit = broker.commits.get(name)
  if (commit === undefined) return false
  const { r, c } = JSON.parse(commit.metadata)
  if (r[0] < log.start || r[1] === c) return false
  const first = log.indexOf(r[0])
  log.records.splice(first, log.indexOf(commit.offset) - first)
  return true
}

function passReplayFrom({ broker }: World, { name, log }: Slot): boolean {
  const commit = broker.commits.get(name)
  if (commit === undefined) return false
  const { r } = JSON.parse(commit.metadata)
  if (r >= log.end) return false
  log.start = Math.max(log.start, r + 1)
  return true
}

function loseFirstRecords({ broker }: World, { name, log }: Slot): boolean {
  broker.commits.delete(name)
  log.start = Math.max(1, log.start)
  return log.end > 0
}
