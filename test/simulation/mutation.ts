/** A safety rule with the switch that turns it off: the simulation must then fail. */
export type Mutation = {
  /** The rule, one sentence. */
  readonly rule: string
  readonly file: string
  /** Source text that occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** The seed to begin with, where the first to tell comes late; 1 when left out. */
  readonly from?: number
  /** Seeds to try at most. */
  readonly seeds: number
  /** The checks that may find it; the first failure must be one of them. */
  readonly expects: readonly string[]
}

/** The files that the rules live in. */
export const AGGREGATE = 'src/tasks/aggregateTask.ts'
export const STATEMENTS = 'src/tasks/aggregateStatements.ts'
export const OUTPUTS = 'src/tasks/eventOutputs.ts'
export const START = 'src/tasks/aggregateStart.ts'
export const REDUCE = 'src/tasks/reduceTask.ts'
export const SOURCES = 'src/tasks/sources.ts'
export const RESULT = 'src/tasks/result.ts'
export const REDUCE_START = 'src/tasks/reduceStart.ts'
export const HAND_UP = 'src/tasks/handUp.ts'
export const HELD = 'src/tasks/heldWindow.ts'
export const OPEN = 'src/tasks/openWindow.ts'
export const LEVELS = 'src/windows/levels.ts'
export const AGGREGATE_VALUE = 'src/aggregate/aggregate.ts'
export const SAMPLE = 'src/aggregate/userSample.ts'
export const SESSIONS = 'src/aggregate/sessions.ts'
export const RUNNER = 'src/runtime/partitionRunner.ts'
export const IDLE = 'src/runtime/idleness.ts'
