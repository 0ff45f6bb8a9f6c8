import type { Commit } from '../tasks/task.ts'

/** The annotation that a ReplicaSet looks at when it chooses which pod to end: the least cost first, 0 without it. */
export const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'

/** What the annotation may hold. */
const MAX_COST = 2 ** 31 - 1
/** A partition that changes hands stands still for a rebalance and a restore: about what this many records take. */
const PARTITION_COST = 100_000
/** A change that is not worth a write to the API: half a partition, and a twentieth of what stands there. */
const LEAST_CHANGE = PARTITION_COST / 2
const LEAST_SHARE = 0.05
/** A patch is a write to the cluster's store, and every watcher of pods hears of it. */
const LEAST_INTERVAL_MS = 30_000

/**
 * What handing this pod's partitions over would cost, in records: those that the next owners would read again (from the
 * commit's `replayFrom` to its offset), and for each partition the standstill. A pod that owns nothing costs nothing.
 */
export class HandOverCost {
  readonly #replayFromOf: (commit: Commit) => number
  readonly #commits = new Map<number, Commit | null>()

  constructor(replayFromOf: (commit: Commit) => number) {
    this.#replayFromOf = replayFromOf
  }

  assigned(partitions: readonly number[]): void {
    for (const partition of this.#commits.keys()) if (!partitions.includes(partition)) this.#commits.delete(partition)
    for (const partition of partitions) if (!this.#commits.has(partition)) this.#commits.set(partition, null)
  }

  committed(partition: number, commit: Commit): void {
    if (this.#commits.has(partition)) this.#commits.set(partition, commit)
  }

  /** A whole number from 0 to 2^31 - 1. */
  cost(): number {
    let cost = 0
    for (const commit of this.#commits.values()) {
      cost += PARTITION_COST
      if (commit !== null) cost += Math.max(0, commit.offset - this.#replayFromOf(commit))
    }
    return Math.min(MAX_COST, Math.round(cost))
  }
}

/** Decides when a cost is worth telling: when it has changed by enough, and not within 30 s of the last attempt. */
export class CostTeller {
  /** A pod without the annotation counts as 0. */
  #told = 0
  #triedAt = Number.NEGATIVE_INFINITY

  /** The cost to be written now, or null. To be followed by `told` once it is. */
  due(cost: number, nowMs: number): number | null {
    if (nowMs - this.#triedAt < LEAST_INTERVAL_MS) return null
    const change = Math.abs(cost - this.#told)
    if (change < LEAST_CHANGE || change < this.#told * LEAST_SHARE) return null
    this.#triedAt = nowMs
    return cost
  }

  told(cost: number): void {
    this.#told = cost
  }
}
