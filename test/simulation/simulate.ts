import { ACTIONS, type Action } from './actions.ts'
import { CheckFailure } from './failure.ts'
import { planOf } from './plan.ts'
import { checkAtEnd, quiesce } from './quiesce.ts'
import { refuse } from './refusals.ts'
import { World } from './world.ts'

/** What one seed came to. Same seed, same outcome, to the hash. */
export type Outcome = {
  readonly seed: number
  readonly failure: { readonly check: string; readonly message: string } | null
  readonly hash: number
  /** How often each kind of fault and each kind of result happened. */
  readonly counts: Readonly<Record<string, number>>
}

/** Runs one seed. `trace` hears every step, a line each. */
export async function simulate(seed: number, trace: ((line: string) => void) | null = null): Promise<Outcome> {
  const { plan, random } = planOf(seed)
  trace?.(JSON.stringify(plan))
  const world = new World(plan, random, trace)
  let failure: Outcome['failure'] = null
  try {
    await live(world)
  } catch (error) {
    const check = error instanceof CheckFailure ? error.check : 'simulation'
    const message = error instanceof CheckFailure || !(error instanceof Error) ? String(error) : (error.stack ?? '')
    failure = { check, message }
    trace?.(`FAILED ${check}: ${message}`)
  }
  const { results, rollups } = world.judge
  const { counts } = world
  counts.results = results.written
  counts['results with exact: false'] = results.inexact
  counts['dead letters'] = results.letters
  counts['dead letters that claim nothing'] = results.emptyLetters
  counts['corrected results'] = results.corrected
  counts['results of longer windows'] = rollups.written
  counts['corrected results of longer windows'] = rollups.corrected
  counts['events too late that a longer window covers'] = rollups.overclaimed
  counts['hand-ups'] = rollups.handUps
  counts.records = world.appended
  return { seed, failure, hash: world.hash, counts }
}

async function live(world: World): Promise<void> {
  const { plan } = world
  const halfway = plan.pauseInTheMiddle || plan.refusal
  const half = halfway ? Math.floor(plan.records / 2) : Number.POSITIVE_INFINITY
  await stepUntil(world, half)
  if (halfway) {
    world.trace?.('-- a pause')
    await quiesce(world, false)
    // A parked window is told later: its turn may come only when time passes.
    checkAtEnd(world)
    if (plan.spareWindows === Number.POSITIVE_INFINITY) world.judge.results.checkTotals()
    if (plan.refusal) return refuse(world)
    await stepUntil(world, plan.records)
  }
  world.trace?.('-- the end')
  await quiesce(world, true)
  checkAtEnd(world)
  world.judge.results.checkTotals()
  world.judge.results.checkFinals()
  world.judge.rollups.checkAtEnd()
}

/** Steps that only the seed chooses, until so many records were appended and had time to arrive. */
async function stepUntil(world: World, records: number): Promise<void> {
  const { random, plan } = world
  const wanted = Math.min(records, plan.records)
  const most = plan.records * 8
  const weights: number[] = []
  for (let step = 0, rest = 80; step < most && rest > 0; step++) {
    if (world.appended >= wanted) rest--
    const calm = world.lullSteps-- > 0
    for (let i = 0; i < ACTIONS.length; i++) {
      const { weight, calm: goesOn } = ACTIONS[i] as Action
      weights[i] = calm && !goesOn ? 0 : weight(world)
    }
    const index = random.weighted(weights)
    const action = ACTIONS[index] as Action
    world.note(index)
    world.trace?.(`${step} t=${world.broker.now} ${action.name}`)
    action.run(world)
    if (action.quiet) continue
    await world.settle()
  }
}
