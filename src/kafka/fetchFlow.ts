import { cutOffBytes } from './wire/cutOff.ts'
import type { FetchedBatch } from './wire/fetchedBatch.ts'

/**
 * How far one partition is fetched ahead of its reader. Replaced, not changed, by a seek: what is still under way for
 * the old one then belongs to nobody.
 */
export type Stream = {
  readonly lane: number
  /** The offset to fetch next. Null while the batches that wait do not tell it; their reader will. */
  ahead: number | null
  /** Fetched and not handed on, in order: each begins where the one before it says that it ends. */
  readonly waiting: Fetched[]
  /** When its reader was last told that a fetch had brought nothing; `performance.now()`. */
  toldBareAt: number
  /** Since when fetches bring nothing of it though its log goes on, or since it was asked for alone; null while they do. */
  leftOutSince: number | null
  /** Whether its log goes on at `ahead`, unless somebody has told otherwise: a fetch of it is answered at once then. */
  goesOn: boolean
  /** Whether a fetch has told so. */
  isBehind: boolean
  /** How large the record batch at `ahead` is, as far as its beginning was fetched already; null where that is not known. */
  nextBytes: number | null
}

/** A batch and who lends its bytes: they are good until `letGo`, which is called once. */
export type Fetched = { readonly batch: FetchedBatch; readonly lender: Lender }

/** Told of each batch that is kept of what it has lent, and of its end. */
export type Lender = { keep(): void; letGo(): void }

/** A batch that was handed on; to be given back by `done`. */
export type Taken = Fetched & { readonly stream: Stream }

/** Lends for good. */
const NO_LENDER: Lender = { keep() {}, letGo() {} }

/** Batches of one partition that may wait: one to go on with, and one to come while that is read. */
const MOST_WAITING = 2
/**
 * Bytes that may be fetched and not read, over all partitions: three fetches. What is under way is not counted, so that each
 * broker may add as many. A batch holds the response that brought it in memory, so that several times as much may be
 * resident.
 */
const MOST_BYTES = 6 * 1024 * 1024
/** Partitions with much to be read of which a fetch has room for something; the next ones have their turn in the next. */
const MOST_READY = 3
/**
 * A fetch that is full brings nothing of most partitions. Their readers hear of it to notice when it lasts: not each
 * time.
 */
const TELL_BARE_MS = 250
/**
 * A fetch brings at least one batch, however large, but only of the partition that the broker takes first. Where batches
 * are larger than what a fetch may bring of a partition, all others are left out, by chance for as long as it wants.
 */
const LEFT_OUT_MS = 5_000

/**
 * What a consumer has fetched ahead of its readers, who alone say where reading goes on. An offset to fetch from is a
 * guess, made from headers that nobody has checked yet: a batch is handed on only when it begins exactly where its
 * reader stands, so that a wrong guess costs a fetch and nothing else. test/unit/kafka/fetchFlow.test.ts turns red
 * without any of these checks.
 */
export class FetchFlow {
  /** In the order of their turns to be handed on. */
  readonly #streams = new Map<number, Stream>()
  readonly #paused = new Set<number>()
  /** Where a batch is being read; the next waits, also after a seek. */
  readonly #busy = new Set<number>()
  readonly #waiters = new Set<() => void>()
  #bytes = 0
  #changes = 0

  /** Bytes that were fetched and are not read yet. */
  get bytes(): number {
    return this.#bytes
  }

  /** Begins anew with these partitions, all paused, none of them sought. */
  open(lanes: readonly number[]): void {
    this.close()
    for (const lane of lanes) this.#paused.add(lane)
  }

  /** Forgets all that was fetched; nothing is fetched or handed on any more. */
  close(): void {
    for (const stream of this.#streams.values()) this.#empty(stream)
    this.#streams.clear()
    this.#paused.clear()
  }

  /** Only what begins here is handed on next. */
  seek(lane: number, offset: number): void {
    const before = this.#streams.get(lane)
    if (before !== undefined) this.#empty(before)
    const toldBareAt = Number.NEGATIVE_INFINITY
    const untold = { toldBareAt, leftOutSince: null, goesOn: true, isBehind: false, nextBytes: null }
    this.#streams.set(lane, { lane, ahead: offset, waiting: [], ...untold })
    this.notify()
  }

  /** What waits is kept, unless others need its room. */
  pause(lane: number): void {
    this.#paused.add(lane)
  }

  resume(lane: number): void {
    this.#paused.delete(lane)
    this.notify()
  }

  /** Those that want to go on: sought and not paused. */
  flowing(): Stream[] {
    return [...this.#streams.values()].filter(({ lane }) => !this.#paused.has(lane))
  }

  /** Whether it was sought nowhere else since. */
  isCurrent(stream: Stream): boolean {
    return this.#streams.get(stream.lane) === stream
  }

  /**
   * Which of a broker's partitions its next fetch is to be made of: as a rule of all, also if it waits for the full ones.
   * A fetch that left those out would wait for partitions that have nothing, while the full ones run dry. It is made
   * without them if one that is read to its end so far goes on: its answer comes at once, and it may be the one that
   * makes progress while the full ones are held back. Where several are behind, some are left to a fetch beside it: only of
   * those, for one that nobody has told of may be at its end, and others would wait with it. One that was left out for long
   * is asked for alone.
   * @param free those that no fetch is under way of
   * @param isSecond whether another fetch is under way at the broker: then only one whose answer comes at once is made
   * @returns none where no fetch is to be made
   */
  askedTogether(free: readonly Stream[], isSecond: boolean): readonly Stream[] {
    const open = free.filter(isOpen)
    const since = Math.min(...open.map(({ leftOutSince }) => leftOutSince ?? Number.POSITIVE_INFINITY))
    const alone = open.find(({ leftOutSince }) => leftOutSince === since)
    if (alone !== undefined && performance.now() - since >= LEFT_OUT_MS) return [alone]
    const ready = open.filter(goesOnAtOnce)
    if (ready.length === 0) return isSecond ? [] : free
    const behind = ready.filter(({ isBehind }) => isBehind)
    const others = open.filter(stream => !behind.includes(stream))
    if (isSecond) return behind.length === 0 ? [] : [...behind.slice(0, MOST_READY), ...others]
    if (behind.length < 2) return open
    // The others are shared, too: where the log has ended so far, nobody waits for who has much to read.
    return [
      ...behind.slice(0, Math.min(MOST_READY, Math.floor(behind.length / 2))),
      ...others.filter((_, i) => i % 2 === 0),
    ]
  }

  /** A fetch of these is made. */
  asked(streams: readonly Stream[]): void {
    const [alone] = streams
    if (streams.length === 1 && alone !== undefined && alone.leftOutSince !== null) {
      alone.leftOutSince = performance.now()
      alone.goesOn = false
    }
  }

  /** Whether one fetch of so many bytes may now be made of all of these, of which there are some. */
  hasRoom(streams: readonly Stream[], fetchBytes: number): boolean {
    if (streams.length === 0 || !streams.every(isOpen)) return false
    if (this.#bytes > 0 && this.#bytes + fetchBytes > MOST_BYTES) this.#dropPaused()
    return this.#bytes === 0 || this.#bytes + fetchBytes <= MOST_BYTES
  }

  /**
   * Takes in what a fetch has brought of a partition, or drops it when it was sought elsewhere meanwhile.
   * @param lender is told when it is taken in
   */
  arrived(stream: Stream, batch: FetchedBatch, lender: Lender = NO_LENDER): void {
    if (!this.isCurrent(stream) || Number(batch.fetchedOffset) !== stream.ahead) return
    const now = performance.now()
    if (batch.isBare) {
      // Since it brought nothing even when it was asked for alone, only what comes tells more.
      if (!batch.isStalled || stream.leftOutSince === null) stream.goesOn = batch.isStalled
      stream.isBehind = batch.isStalled
      stream.leftOutSince = batch.isStalled ? (stream.leftOutSince ?? now) : null
      // Another batch is there to go on with, or there is nothing to tell.
      if (stream.waiting.length > 0 || this.#busy.has(stream.lane) || !batch.isStalled) return
      if (now - stream.toldBareAt < TELL_BARE_MS) return
      stream.toldBareAt = now
      stream.ahead = null
    } else {
      const end = batch.claimedEnd
      stream.ahead = end
      stream.leftOutSince = null
      stream.isBehind = end !== null && end < batch.readableEnd
      stream.goesOn = end === null || stream.isBehind
      stream.nextBytes = cutOffBytes(batch.bytes)
    }
    lender.keep()
    stream.waiting.push({ batch, lender })
    this.#bytes += batch.bytes.length
    this.notify()
  }

  /** The next batch, of each partition in turn and one at a time; null when there is none. */
  take(): Taken | null {
    for (const [lane, stream] of this.#streams) {
      if (stream.waiting.length === 0 || this.#paused.has(lane) || this.#busy.has(lane)) continue
      const fetched = stream.waiting.shift() as Fetched
      this.#streams.delete(lane)
      this.#streams.set(lane, stream)
      this.#busy.add(lane)
      return { stream, ...fetched }
    }
    return null
  }

  /**
   * The batch is read as far as it will be.
   * @param position where its reader stands now; of no account once it was sought elsewhere, for the stream is nobody's
   *   then
   */
  done({ stream, batch, lender }: Taken, position: number): void {
    this.#busy.delete(stream.lane)
    this.#letGo(batch, lender)
    this.#goOnFrom(stream, position)
    this.notify()
  }

  /** How many changes there were. */
  get changes(): number {
    return this.#changes
  }

  /** Resolves once there are more changes than so many, or after a time. */
  changed(changes: number, limitMs?: number): Promise<void> {
    return new Promise(resolve => {
      if (this.#changes !== changes) return resolve()
      const timer = limitMs === undefined ? undefined : setTimeout(() => wake(), limitMs)
      const wake = () => {
        clearTimeout(timer)
        this.#waiters.delete(wake)
        resolve()
      }
      this.#waiters.add(wake)
    })
  }

  /** Wakes all who wait for a change. */
  notify(): void {
    this.#changes++
    for (const wake of [...this.#waiters]) wake()
  }

  #goOnFrom(stream: Stream, position: number): void {
    const next = stream.waiting[0]?.batch
    if (next !== undefined && Number(next.fetchedOffset) === position) return
    if (next === undefined && stream.ahead === position) return
    this.#askAnew(stream, position)
  }

  #dropPaused(): void {
    for (const stream of this.#streams.values()) {
      const next = stream.waiting[0]?.batch
      if (next === undefined || !this.#paused.has(stream.lane)) continue
      this.#askAnew(stream, Number(next.fetchedOffset))
    }
  }

  #askAnew(stream: Stream, offset: number): void {
    this.#empty(stream)
    // Null after what tells nothing of the log behind it.
    if (stream.ahead !== null) stream.goesOn = true
    stream.ahead = offset
    stream.nextBytes = null
  }

  #empty(stream: Stream): void {
    for (const { batch, lender } of stream.waiting) this.#letGo(batch, lender)
    stream.waiting.length = 0
  }

  #letGo(batch: FetchedBatch, lender: Lender): void {
    this.#bytes -= batch.bytes.length
    batch.release()
    lender.letGo()
  }
}

function goesOnAtOnce({ waiting, goesOn }: Stream): boolean {
  return waiting.length === 0 && goesOn
}

function isOpen({ ahead, waiting }: Stream): boolean {
  return ahead !== null && waiting.length < MOST_WAITING
}
