import type { HealthCheckName, HealthSettings } from '../config/settings.ts'
import type { RejectionShare } from './rejections.ts'
import type { TaskGauges } from './taskGauges.ts'

/** Where a running partition stands. */
export type PartitionReading = {
  readonly partition: number
  /** The next offset to be processed. */
  readonly position: number
  /** Offsets between the position and the end of the log as last seen; null before it was seen. */
  readonly lag: number | null
  /** Event time that the partition has reached, epoch milliseconds; null for a task without a clock. */
  readonly clockMs: number | null
  /** What the task tells of itself, where it does. */
  readonly task?: TaskGauges
}

/** What a probe is told: `ok` decides between 200 and 503, `body` is JSON and says why. */
export type Answer = { readonly ok: boolean; readonly body: Readonly<Record<string, unknown>> }

/** What `/healthz` needs of the moment. */
export type Surroundings = {
  /** Resident memory of the process, and the container's limit (or the machine's memory); bytes. */
  readonly memory: { readonly usedBytes: number; readonly limitBytes: number }
  /** The greatest share of rejected records of a partition, 0 to 1; null while there are too few to tell. */
  readonly rejectedShare: number | null
}

/** A value beside its threshold. `unknown`: there is nothing to measure yet, which fails nothing. */
export type HealthCheck = {
  readonly state: 'ok' | 'exceeded' | 'unknown'
  readonly value: number | null
  readonly threshold: number
  readonly unit: 'ratio' | 'records' | 'seconds'
}

/**
 * restoring: its state is being rebuilt, or records below the commit are being read again.
 * live: outputs flow.
 */
type PartitionState = 'restoring' | 'live'

type Partition = {
  state: PartitionState
  /** Whether it waits at a record batch that cannot be read, trying on. */
  corrupt: boolean
  /** Why it is being restored: the code of the error, null after an assignment. */
  reason: string | null
  position: number
  /** When it last showed that it goes on, or that it has nothing to do. */
  signAtMs: number
}

/** The brokers count as away when the ends of the logs have not been seen for so long; they are asked every second. */
const AWAY_AFTER_MS = 10_000
/** Flushes that ended more seconds ago are forgotten. */
const FLUSH_MEMORY_SECONDS = 60

/**
 * What a process knows of its own health, and what it says to those who ask. Pure: times are milliseconds of one clock
 * that never goes back.
 *
 * Liveness is about ourselves only. A partition is stalled when it gives no sign for HEALTH_MAX_STALL while records wait
 * or it is being restored: no new position, no flush that ended, no step of a restore, whether that went well or not.
 * The time runs only while the brokers answer, so that no outage of theirs ever restarts us. That the event loop turns is
 * shown by the answer itself: a probe without one fails by its own time limit.
 */
export class Health {
  readonly #settings: HealthSettings
  readonly #rejectedShareLimit: number
  readonly #partitions = new Map<number, Partition>()
  #readings: readonly PartitionReading[] = []
  /** The slowest flush of each second, by when it ended. */
  readonly #flushes = new Map<number, number>()
  #joined = false
  #draining = false
  #brokersSeenAtMs = Number.NEGATIVE_INFINITY
  /** Since when the brokers have answered without a pause. */
  #contactSinceMs = Number.NEGATIVE_INFINITY

  constructor(settings: HealthSettings, rejectedShareLimit: number) {
    this.#settings = settings
    this.#rejectedShareLimit = rejectedShareLimit
  }

  /** The group gave us these partitions. Those that stay keep what is known of them. */
  assigned(partitions: readonly number[], nowMs: number): void {
    this.#joined = true
    for (const partition of this.#partitions.keys()) {
      if (!partitions.includes(partition)) this.#partitions.delete(partition)
    }
    for (const partition of partitions) {
      const known = this.#partitions.get(partition)
      if (known === undefined) {
        const begun = { state: 'restoring', corrupt: false, reason: null, position: -1, signAtMs: nowMs } as const
        this.#partitions.set(partition, { ...begun })
      } else known.signAtMs = nowMs
    }
  }

  /** A try to restore ended, well or not, or the state was thrown away; `reason` is the error's code, null when well. */
  restoring(partition: number, reason: string | null, nowMs: number): void {
    this.#set(partition, { state: 'restoring', reason, signAtMs: nowMs })
  }

  live(partition: number, nowMs: number): void {
    this.#set(partition, { state: 'live', reason: null, signAtMs: nowMs })
  }

  /** Whether it waits at a record batch that cannot be read: then it is not stalled, however long that takes. */
  corrupt(partition: number, corrupt: boolean, nowMs: number): void {
    this.#set(partition, { corrupt, signAtMs: nowMs })
  }

  /** A flush of the partition has ended well. */
  flushed(partition: number, seconds: number, nowMs: number): void {
    this.#set(partition, { signAtMs: nowMs })
    const second = Math.floor(nowMs / 1000)
    this.#flushes.set(second, Math.max(seconds, this.#flushes.get(second) ?? 0))
    for (const old of this.#flushes.keys()) if (old <= second - FLUSH_MEMORY_SECONDS) this.#flushes.delete(old)
  }

  /** The brokers have told the ends of the logs. */
  brokersSeen(nowMs: number): void {
    if (nowMs - this.#brokersSeenAtMs > AWAY_AFTER_MS) this.#contactSinceMs = nowMs
    this.#brokersSeenAtMs = nowMs
  }

  /** From now on we are not ready, and nothing more is expected of us. */
  draining(): void {
    this.#draining = true
  }

  /** Takes in where the running partitions stand; to be called about once a second. */
  observe(readings: readonly PartitionReading[], nowMs: number): void {
    this.#readings = readings
    for (const { partition, position, lag } of readings) {
      const known = this.#partitions.get(partition)
      if (known === undefined) continue
      if (position !== known.position || lag === null || lag === 0) known.signAtMs = nowMs
      known.position = position
    }
  }

  livez(nowMs: number): Answer {
    const stalled = this.#draining ? [] : this.#stalled(nowMs)
    return {
      ok: stalled.length === 0,
      body: {
        live: stalled.length === 0,
        brokers_answer: this.#brokersAnswer(nowMs),
        stalled,
        max_stall_seconds: this.#settings.maxStallMs / 1000,
      },
    }
  }

  /** @param alarms the partitions whose rejected share has passed its limit: told, but no reason not to be ready */
  readyz(alarms: readonly RejectionShare[]): Answer {
    const restoring = [...this.#partitions]
      .filter(([, { state }]) => state === 'restoring')
      .map(([partition, { reason }]) => ({ partition, reason }))
    const ready = this.#joined && restoring.length === 0 && !this.#draining
    const corrupt = [...this.#partitions].filter(([, { corrupt }]) => corrupt).map(([partition]) => partition)
    return {
      ok: ready,
      body: {
        ready,
        joined: this.#joined,
        draining: this.#draining,
        partitions: this.#partitions.size,
        restoring,
        waiting_at_corrupt_batch: corrupt,
        rejected_share_passed: alarms.map(told),
      },
    }
  }

  healthz({ memory, rejectedShare }: Surroundings, nowMs: number): Answer {
    const { maxLag, maxFlushMs, maxMemoryShare, failOn } = this.#settings
    const checks: Readonly<Record<HealthCheckName, HealthCheck>> = {
      container: check(memory.usedBytes / memory.limitBytes, maxMemoryShare, 'ratio'),
      lag: check(this.#lag(), maxLag, 'records'),
      error_rate: check(rejectedShare, this.#rejectedShareLimit, 'ratio'),
      processing_time: check(this.#slowestFlush(nowMs), maxFlushMs / 1000, 'seconds'),
    }
    const failed = failOn.filter(name => checks[name].state === 'exceeded')
    return {
      ok: failed.length === 0,
      body: { healthy: failed.length === 0, failed, fails_on: failOn, checks, memory_bytes: memory },
    }
  }

  #set(partition: number, known: Partial<Partition>): void {
    const present = this.#partitions.get(partition)
    if (present !== undefined) Object.assign(present, known)
  }

  #stalled(nowMs: number): { partition: number; state: PartitionState; seconds: number }[] {
    if (!this.#brokersAnswer(nowMs)) return []
    return [...this.#partitions]
      .filter(([, { corrupt }]) => !corrupt)
      .map(([partition, { state, signAtMs }]) => {
        return { partition, state, seconds: (nowMs - Math.max(signAtMs, this.#contactSinceMs)) / 1000 }
      })
      .filter(({ seconds }) => seconds > this.#settings.maxStallMs / 1000)
  }

  #brokersAnswer(nowMs: number): boolean {
    return nowMs - this.#brokersSeenAtMs <= AWAY_AFTER_MS
  }

  /** Seconds; null when no flush has ended lately. */
  #slowestFlush(nowMs: number): number | null {
    const oldest = Math.floor(nowMs / 1000) - FLUSH_MEMORY_SECONDS
    const recent = [...this.#flushes].filter(([second]) => second > oldest).map(([, seconds]) => seconds)
    return recent.length === 0 ? null : Math.max(...recent)
  }

  /** Null until the end of one log is known. */
  #lag(): number | null {
    const known = this.#readings.map(({ lag }) => lag).filter(lag => lag !== null)
    return known.length === 0 ? null : known.reduce((sum, lag) => sum + lag, 0)
  }
}

function check(value: number | null, threshold: number, unit: HealthCheck['unit']): HealthCheck {
  const state = value === null ? 'unknown' : value > threshold ? 'exceeded' : 'ok'
  return { state, value, threshold, unit }
}

function told({ partition, share, records, codes }: RejectionShare): Readonly<Record<string, unknown>> {
  return { partition, share, records, codes: Object.fromEntries(codes) }
}
