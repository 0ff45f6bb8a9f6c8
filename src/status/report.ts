import type { ResultStatus } from '../results/result.ts'

/** Whether a side that can be asked has answered. `reason` is one line for people. */
export type SideState =
  | { readonly state: 'answered'; readonly at: string }
  | { readonly state: 'failed'; readonly at: string; readonly reason: string }
  | { readonly state: 'off'; readonly reason: string }

/**
 * One look at a running Tidemark. Times are ISO 8601 in UTC, offsets and lags counts of offsets. Null says that it is not
 * known: the side that knows it was not reached, or there is none yet.
 */
export type StatusReport = {
  readonly v: 1
  /** When it was read. */
  readonly at: string
  readonly version: string
  readonly generation: number
  readonly sides: {
    readonly kubernetes: SideState
    readonly kafka: SideState
    /** The pods' own metrics and API, asked through the API server. */
    readonly pods: SideState
  }
  /** What else could not be read, a line each. */
  readonly notes: readonly string[]
  readonly workloads: readonly WorkloadStatus[]
  readonly scalers: readonly ScalerStatus[]
  readonly pods: readonly PodStatus[]
  readonly partitions: readonly PartitionStatus[]
  readonly reducers: readonly ReducerStatus[]
  /** Null when nobody could be asked. */
  readonly members: readonly MemberStatus[] | null
  readonly windows: readonly WindowStatus[]
  readonly totals: TotalsStatus | null
  readonly deadLetters: { readonly topic: string; readonly offsets: number } | null
}

/** A Deployment. */
export type WorkloadStatus = {
  readonly name: string
  /** aggregate, reduce, sink, serve or generate. */
  readonly component: string
  readonly wanted: number
  readonly current: number
  readonly ready: number
  readonly updated: number
}

export type Condition = {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

/** A ScaledObject (with the HPA that KEDA made for it), or an HPA of its own. */
export type ScalerStatus = {
  readonly kind: 'ScaledObject' | 'HorizontalPodAutoscaler'
  readonly name: string
  /** The Deployment that it scales. */
  readonly target: string
  readonly min: number
  readonly max: number
  /** Null when there is no HPA (yet). */
  readonly current: number | null
  readonly desired: number | null
  /** How it is paused: `at 3 replicas` or `as it is`; null when it is not. */
  readonly paused: string | null
  /** Of its Kafka trigger: lag for one replica. */
  readonly lagThreshold: number | null
  readonly conditions: readonly Condition[]
}

export type PodStatus = {
  readonly name: string
  readonly component: string
  readonly phase: string
  readonly ready: boolean
  readonly terminating: boolean
  readonly restarts: number
  /** When it was created. */
  readonly since: string | null
  readonly node: string | null
  readonly ip: string | null
  /** The annotation controller.kubernetes.io/pod-deletion-cost: of pods to end, the least is taken first. */
  readonly deletionCost: number | null
  /** Why it is not ready, as far as the cluster says: CrashLoopBackOff, ImagePullBackOff. */
  readonly reason: string | null
}

/** One partition of the source topic. */
export type PartitionStatus = {
  readonly partition: number
  /** By the commit where Kafka was asked, else the position that the pod tells. */
  readonly position: number | null
  readonly end: number | null
  readonly lag: number | null
  /** Event time that the partition has reached; null before the first event. */
  readonly clock: string | null
  /** When it was last proven to hold no more; null when it is not idle. Undefined when nobody could be asked. */
  readonly idleSince: string | null | undefined
  /** Cumulative since the generation began. */
  readonly accepted: number | null
  readonly late: number | null
  readonly rejected: number | null
  /** Ranges of offsets [from, to) that were gone before they were read. */
  readonly gaps: readonly (readonly [number, number])[]
  /** The pod, host or member that owns it; null for none. Undefined when nobody could be asked. */
  readonly owner: string | null | undefined
  /** What is wrong with its commit. */
  readonly fault: string | null
}

/** One partition of a level's partials. */
export type ReducerStatus = {
  /** As `10s` or `1m`. */
  readonly level: string
  readonly topic: string
  readonly partition: number
  readonly position: number | null
  readonly end: number | null
  readonly lag: number | null
  /** The end of the last window that is final here; null for none, or when it is not known. */
  readonly finalThrough: string | null
  readonly owner: string | null | undefined
  readonly fault: string | null
}

/** One process in a consumer group. */
export type MemberStatus = {
  readonly stage: 'aggregate' | 'reduce' | 'sink'
  /** Its pod, else the host that it runs on, else its member id. */
  readonly name: string
  readonly address: string | null
  /** Partitions by topic. */
  readonly partitions: Readonly<Record<string, readonly number[]>>
}

export type WindowStatus = {
  readonly size: string
  readonly start: string
  readonly end: string
  readonly status: ResultStatus
  readonly revision: number
  readonly batchSize: number
  readonly exact: boolean
  /** When the result was written. */
  readonly written: string
}

/** Of all partitions, since the generation began. */
export type TotalsStatus = {
  readonly accepted: number
  readonly late: number
  readonly rejected: Readonly<Record<string, number>>
}
