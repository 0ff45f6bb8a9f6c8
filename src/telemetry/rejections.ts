import type { Tally } from '../tasks/task.ts'

export type RejectionGuardOptions = {
  /** The share of rejected records, 0 to 1, that a partition may have. 1 is never passed: the guard is then off. */
  readonly limit: number
  /** The time over which the share is taken. */
  readonly windowMs: number
}

/** What the last `windowMs` of one partition hold. */
export type RejectionShare = {
  readonly partition: number
  /** Accepted, late and rejected records together. */
  readonly records: number
  /** Late records are not among them: they are well-formed, and lateness is no fault of their producer. */
  readonly rejected: number
  /** rejected / records; 0 when there are no records. */
  readonly share: number
  /** How many records each code rejected, largest first. */
  readonly codes: readonly (readonly [code: string, count: number])[]
}

/** A partition's share has passed the limit, or is below it again. */
export type RejectionAlarm = RejectionShare & { readonly kind: 'raised' | 'cleared' }

type Bucket = { readonly index: number; records: number; readonly codes: Map<string, number> }
type Watched = { readonly buckets: Bucket[]; raised: boolean }

const BUCKETS = 10
/** With fewer records in the window no alarm is raised: one bad record among ten is not a tenth of the stream. */
const LEAST_RECORDS = 100
/** An alarm ends only this far below the limit, so that a share close to it does not ring on and off. */
const CLEAR_AT = 0.8

/**
 * Watches the share of rejected records of each partition over a window that slides in tenths: what is older than
 * `windowMs` never counts, what is younger than nine tenths of it always does. Pure: times are milliseconds of any
 * clock; when one goes back, it counts as standing still.
 *
 * An alarm is raised when more than `limit` of at least 100 records are rejected, and cleared when at most 80 % of
 * `limit` are, which an empty window is too. A partition with fewer than 100 records in the window is never raised.
 */
export class RejectionGuard {
  readonly #limit: number
  readonly #bucketMs: number
  readonly #watched = new Map<number, Watched>()
  #newest = Number.NEGATIVE_INFINITY

  constructor({ limit, windowMs }: RejectionGuardOptions) {
    this.#limit = limit
    this.#bucketMs = windowMs / BUCKETS
  }

  /** Adds what became of a partition's records. Returns the alarm that this raises or clears, mostly null. */
  add(partition: number, tally: Tally, nowMs: number): RejectionAlarm | null {
    const watched = this.#watch(partition)
    const bucket = this.#bucketAt(watched.buckets, nowMs)
    bucket.records += tally.accepted + tally.late
    for (const [code, count] of Object.entries(tally.rejected)) {
      bucket.records += count
      bucket.codes.set(code, (bucket.codes.get(code) ?? 0) + count)
    }
    return this.#judge(partition, watched, nowMs)
  }

  /** Alarms that end because time has passed; to be called about once in a tenth of the window. */
  expire(nowMs: number): RejectionAlarm[] {
    return [...this.#watched]
      .map(([partition, watched]) => this.#judge(partition, watched, nowMs))
      .filter(alarm => alarm !== null)
  }

  /** The share of every partition that has been added to, by partition number. */
  shares(nowMs: number): RejectionShare[] {
    return [...this.#watched]
      .map(([partition, watched]) => this.#share(partition, watched, nowMs))
      .sort((a, b) => a.partition - b.partition)
  }

  /** The greatest share of a partition that has enough records to be judged; null when none has. */
  worst(nowMs: number): number | null {
    const judged = this.shares(nowMs).filter(({ records }) => records >= LEAST_RECORDS)
    return judged.length === 0 ? null : Math.max(...judged.map(({ share }) => share))
  }

  /** Whether the partition's alarm stands. */
  raised(partition: number): boolean {
    return this.#watched.get(partition)?.raised ?? false
  }

  /** Drops all about a partition that another process now owns, its alarm too. */
  forget(partition: number): void {
    this.#watched.delete(partition)
  }

  #judge(partition: number, watched: Watched, nowMs: number): RejectionAlarm | null {
    const share = this.#share(partition, watched, nowMs)
    const { records, rejected } = share
    const kind = watched.raised ? 'cleared' : 'raised'
    const turns = watched.raised
      ? rejected <= this.#limit * CLEAR_AT * records
      : records >= LEAST_RECORDS && rejected > this.#limit * records
    if (!turns) return null
    watched.raised = !watched.raised
    return { kind, ...share }
  }

  #share(partition: number, { buckets }: Watched, nowMs: number): RejectionShare {
    const oldest = this.#indexAt(nowMs) - BUCKETS
    let records = 0
    const codes = new Map<string, number>()
    for (const bucket of buckets) {
      if (bucket.index <= oldest) continue
      records += bucket.records
      for (const [code, count] of bucket.codes) codes.set(code, (codes.get(code) ?? 0) + count)
    }
    const rejected = [...codes.values()].reduce((sum, count) => sum + count, 0)
    const largestFirst = [...codes].filter(([, count]) => count > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    return { partition, records, rejected, share: records === 0 ? 0 : rejected / records, codes: largestFirst }
  }

  #watch(partition: number): Watched {
    const known = this.#watched.get(partition)
    if (known !== undefined) return known
    const watched: Watched = { buckets: [], raised: false }
    this.#watched.set(partition, watched)
    return watched
  }

  #bucketAt(buckets: Bucket[], nowMs: number): Bucket {
    const index = this.#indexAt(nowMs)
    const last = buckets.at(-1)
    if (last?.index === index) return last
    while (buckets[0] !== undefined && buckets[0].index <= index - BUCKETS) buckets.shift()
    const bucket: Bucket = { index, records: 0, codes: new Map() }
    buckets.push(bucket)
    return bucket
  }

  #indexAt(nowMs: number): number {
    this.#newest = Math.max(this.#newest, Math.floor(nowMs / this.#bucketMs))
    return this.#newest
  }
}
