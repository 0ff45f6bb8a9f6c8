import { leastMaxWindows } from '../../src/tasks/reduceStart.ts'
import { type Level, levelsOf } from '../../src/windows/levels.ts'
import { Random } from './random.ts'

/** Windows of 10 ms, so that few records meet many boundaries. */
export const WINDOW_MS = 10
export const SKEW_MS = 30
export const IDLE_MS = 20
/** Few users have two logins as near to each other as this, and few have all of them. */
export const SESSION_GAP_MS = 20
export const MAX_EVENT_BYTES = 200
export const MAX_LETTER_BYTES = 10_000
/** What about ten events come to. */
export const FLUSH_MAX_BYTES = 3_000
/** When every run begins, epoch milliseconds: late enough that numbers are read as milliseconds. */
export const BEGIN_MS = 1_700_000_000_000

/** How far retention goes on the source: nothing it still needs, what a rebuild needs, what was never counted. */
export type Retention = 'none' | 'needless' | 'replay' | 'uncounted'

/** Everything that a seed decides before its first step. */
export type Plan = {
  readonly seed: number
  readonly partitions: number
  readonly growBy: number
  readonly reducers: number
  readonly records: number
  /** Offset at which each source log begins. */
  readonly logStart: number
  readonly chunkSize: number
  readonly latenessMs: number
  readonly horizonMs: number
  /** How many windows more than a level needs it may hold; infinity bounds nothing. */
  readonly spareWindows: number
  readonly maxDimensionValues: number
  /** The base and the levels of longer windows. */
  readonly levels: readonly Level[]
  readonly userSample: number
  /** How many there are. */
  readonly users: number
  readonly required: readonly string[]
  /** Whether accepted events are told, too: else they are only counted, which goes another way. */
  readonly enriches: boolean
  readonly exactlyOnce: boolean
  /** How often a commit of an owner that is no longer the group's is accepted (at least once). */
  readonly zombieCommits: number
  readonly retention: Retention
  /** Batches of the source may become unreadable. */
  readonly damage: boolean
  /** Record timestamps differ from the broker's clock by up to this much. */
  readonly jitterMs: number
  /** How often a call's outcome is a failure or unknown. */
  readonly faults: number
  readonly crashes: number
  readonly zombies: number
  readonly jumps: boolean
  readonly holes: boolean
  /** Share of events that are out of the ordinary. */
  readonly oddEvents: number
  /** Partitions may fall silent for long. */
  readonly silences: boolean
  readonly foreign: boolean
  readonly pauseInTheMiddle: boolean
  /** How likely an owner of the last source partition is found when one is looked for. */
  readonly lastPartitionStarts: number
  /** How often a new owner knows of all source partitions. */
  readonly knowsAll: number
  /** The run ends with an owner that must refuse to go on. */
  readonly refusal: boolean
}

const DAMAGE_STREAM = 1_000_003
const LEVELS_STREAM = 2_000_003
const ENRICHED_STREAM = 3_000_017

/** Drawn apart, so that all else of a seed stays what it was. */
function levelsFor(seed: number): Pick<Plan, 'levels' | 'userSample' | 'users'> {
  const random = new Random(seed + LEVELS_STREAM)
  const rollupsMs = random.chance(0.5) ? [30] : []
  if (rollupsMs.length > 0 && random.chance(0.4)) rollupsMs.push(random.pick([60, 90]))
  const overBase = { sizeMs: 40, hopMs: 20 }
  const overRollup = { sizeMs: 120, hopMs: 30 }
  const sliding = rollupsMs.length > 0 && random.chance(0.3) ? overRollup : overBase
  const slidingWindows = random.chance(0.2) ? [sliding] : []
  return {
    levels: levelsOf({ windowSizeMs: WINDOW_MS, rollupsMs, slidingWindows }),
    userSample: random.pick([16, 4]),
    users: random.pick([50, 50, 5]),
  }
}

/** MAX_WINDOWS of a level: all need the same, but not every run may give each as much room as the base has. */
export function maxWindowsOf({ horizonMs, spareWindows }: Plan, level: Level): number {
  return leastMaxWindows({ level, correctionHorizonMs: horizonMs }) + spareWindows
}

export function planOf(seed: number): { readonly plan: Plan; readonly random: Random } {
  const random = new Random(seed)
  const latenessMs = random.pick([0, 5, 10, 25])
  const horizonMs = random.pick([0, 10, 40, 120])
  const retention = random.pick<Retention>(['none', 'none', 'needless', 'replay', 'replay', 'uncounted'])
  const jitterMs = random.pick([0, 0, 3, 8])
  // Drawn apart, so that all else of a seed stays what it was.
  const damage = new Random(seed + DAMAGE_STREAM).chance(0.08)
  const calm = random.chance(0.15)
  const plan: Plan = {
    seed,
    partitions: random.between(1, 3),
    growBy: random.chance(0.25) ? random.between(1, 2) : 0,
    reducers: random.between(1, 2),
    records: random.between(40, 130),
    logStart: random.chance(0.3) ? random.between(1, 30) : 0,
    chunkSize: random.between(4, 16),
    latenessMs,
    horizonMs,
    spareWindows: random.chance(0.3) ? random.between(1, 3) - 1 : Number.POSITIVE_INFINITY,
    maxDimensionValues: random.chance(0.2) ? 2 : 100,
    required: random.chance(0.2) ? ['user_id', 'timestamp', 'locale'] : ['user_id', 'timestamp'],
    enriches: new Random(seed + ENRICHED_STREAM).chance(0.6),
    exactlyOnce: random.chance(0.5),
    zombieCommits: random.pick([0, 0.5, 1]),
    retention,
    // A gap's bound on the event times that it lost allows producers' clocks to differ by the lateness.
    damage,
    jitterMs: damage || retention === 'uncounted' ? Math.min(jitterMs, Math.floor(latenessMs / 2)) : jitterMs,
    faults: calm ? 0 : random.pick([0.01, 0.05, 0.15]),
    crashes: calm ? 0 : random.pick([0.2, 0.5, 1, 3]),
    zombies: calm ? 0 : random.pick([0, 0.5, 1, 3]),
    jumps: random.chance(0.3),
    holes: random.chance(0.6),
    oddEvents: random.pick([0.1, 0.3, 0.5]),
    silences: random.chance(0.6),
    foreign: random.chance(0.3),
    pauseInTheMiddle: random.chance(0.3),
    lastPartitionStarts: random.pick([1, 1, 0.2, 0.02]),
    knowsAll: random.pick([1, 0.7, 0.4]),
    refusal: random.chance(0.08),
    ...levelsFor(seed),
  }
  return { plan, random }
}
