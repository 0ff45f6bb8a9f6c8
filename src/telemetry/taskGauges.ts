import type { ResultStatus } from '../results/result.ts'

/** What the task of one partition tells of itself at a moment. Times are epoch milliseconds. */
export type TaskGauges = {
  /** Windows held in memory. */
  readonly windows: number
  /** Chunks begun by this task; of an aggregate. */
  readonly chunks?: number
  readonly reduced?: ReducedGauges
}

/** What a partition of a level tells. */
export type ReducedGauges = {
  /** The level's name. */
  readonly size: string
  readonly byStatus: Readonly<Record<ResultStatus, number>>
  /** End of the newest window that is final; null before the first. */
  readonly finalEndMs: number | null
  /** The clock that each source partition has passed; empty above the base level. */
  readonly sources: ReadonlyMap<number, number>
}
