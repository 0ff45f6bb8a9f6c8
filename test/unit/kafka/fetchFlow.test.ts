import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { FetchFlow, type Lender, type Stream, type Taken } from '../../../src/kafka/fetchFlow.ts'
import { FetchedBatch, FetchedBytes } from '../../../src/kafka/wire/fetchedBatch.ts'
import { SEED } from '../support.ts'
import { batchBytes, record } from './wire/batchBytes.ts'

const END = 40
const FETCH_BYTES = 1024

/** What a fetch from `from` brings of a log of records 0 to 39, two to a batch: at most so many batches. */
function fetched(from: number, batches: number, change: (bytes: Buffer) => void = () => {}): FetchedBatch {
  const parts: Buffer[] = []
  for (let base = from - (from % 2); base < END && parts.length < batches; base += 2) {
    parts.push(batchBytes([record(base), record(base + 1)]))
  }
  const bytes = Buffer.concat(parts)
  change(bytes)
  const data = { partition: 0, highWatermark: String(END), messages: new FetchedBytes(bytes) }
  return new FetchedBatch('t', String(from), data)
}

function opened(...lanes: number[]): FetchFlow {
  const flow = new FetchFlow()
  flow.open(lanes)
  for (const lane of lanes) {
    flow.seek(lane, 0)
    flow.resume(lane)
  }
  return flow
}

const streamOf = (flow: FetchFlow, lane = 0) => flow.flowing().find(stream => stream.lane === lane) as Stream
const takenFrom = (taken: Taken | null) =>
  taken === null ? null : [taken.stream.lane, Number(taken.batch.fetchedOffset)]
const giveBack = (flow: FetchFlow, taken: Taken | null, position: number) => flow.done(taken as Taken, position)

/** Counts what is kept of what it has lent. */
class CountingLender implements Lender {
  kept = 0
  keep() {
    this.kept++
  }
  letGo() {
    this.kept--
  }
}

describe('what is fetched ahead', () => {
  it('begins where the headers of what came before say, and is handed on when that is read', () => {
    const flow = opened(0)
    const stream = streamOf(flow)
    flow.arrived(stream, fetched(0, 2))
    expect([stream.ahead, flow.hasRoom([stream], FETCH_BYTES)]).toEqual([4, true])
    const first = flow.take()
    flow.arrived(stream, fetched(4, 3))
    expect([takenFrom(first), stream.ahead, flow.take()]).toEqual([[0, 0], 10, null])
    giveBack(flow, first, 4)
    expect(takenFrom(flow.take())).toEqual([0, 4])
  })

  it('is dropped when the reader stands elsewhere than the headers said', () => {
    const flow = opened(0)
    const stream = streamOf(flow)
    flow.arrived(
      stream,
      fetched(0, 2, bytes => bytes.writeInt32BE(20, 23 + bytes.length / 2)),
    )
    expect(stream.ahead).toBe(23)
    flow.arrived(stream, fetched(23, 2))
    const first = flow.take()
    giveBack(flow, first, 2)
    expect([flow.take(), stream.ahead, flow.bytes]).toEqual([null, 2, 0])
    // What was under way from the wrong place comes too late.
    flow.arrived(stream, fetched(23, 2))
    expect(flow.take()).toBeNull()
  })

  it('is not guessed from headers that cannot be so', () => {
    for (const change of [(b: Buffer) => b.writeInt32BE(1_000, 23), (b: Buffer) => b.writeInt32BE(-9, 23)]) {
      const flow = opened(0)
      const stream = streamOf(flow)
      flow.arrived(stream, fetched(0, 1, change))
      expect([stream.ahead, flow.hasRoom([stream], FETCH_BYTES)]).toEqual([null, false])
      giveBack(flow, flow.take(), 0)
      expect([stream.ahead, flow.hasRoom([stream], FETCH_BYTES)]).toEqual([0, true])
    }
  })

  it('is dropped by a seek, also what is under way; the batch being read is waited for', () => {
    const flow = opened(0)
    const before = streamOf(flow)
    flow.arrived(before, fetched(0, 2))
    flow.arrived(before, fetched(4, 2))
    const first = flow.take()
    flow.seek(0, 8)
    flow.arrived(before, fetched(8, 2))
    expect(flow.bytes).toBe(first?.batch.bytes.length)
    const after = streamOf(flow)
    flow.arrived(after, fetched(8, 1))
    expect(flow.take()).toBeNull()
    giveBack(flow, first, 4)
    expect([after.ahead, takenFrom(flow.take()), flow.take()]).toEqual([10, [0, 8], null])
  })

  it('waits while its partition is paused, and makes room when others need it', () => {
    const flow = opened(0, 1)
    const [stream, other] = [streamOf(flow, 0), streamOf(flow, 1)]
    flow.arrived(stream, fetched(0, 2))
    flow.pause(0)
    expect([flow.take(), flow.flowing()]).toEqual([null, [other]])
    expect([flow.hasRoom([other], 5 * 1024 * 1024), flow.bytes > 0]).toEqual([true, true])
    expect([flow.hasRoom([other], 6 * 1024 * 1024), flow.bytes, stream.ahead]).toEqual([true, 0, 0])
    flow.resume(0)
    expect(flow.take()).toBeNull()
  })

  it('is bounded in bytes, but always has room for one fetch', () => {
    const flow = opened(0)
    const stream = streamOf(flow)
    expect(flow.hasRoom([stream], 1024 ** 3)).toBe(true)
    flow.arrived(stream, fetched(0, 2))
    expect(flow.hasRoom([stream], 6 * 1024 * 1024)).toBe(false)
    expect(flow.hasRoom([stream], 5 * 1024 * 1024)).toBe(true)
  })

  it('is bounded for each partition; a fetch waits for all that it is for', () => {
    const flow = opened(0, 1)
    const [full, empty] = [streamOf(flow, 0), streamOf(flow, 1)]
    for (const from of [0, 4]) flow.arrived(full, fetched(from, 2))
    expect([flow.hasRoom([empty], FETCH_BYTES), flow.hasRoom([full, empty], FETCH_BYTES)]).toEqual([true, false])
    flow.take()
    expect(flow.hasRoom([full, empty], FETCH_BYTES)).toBe(true)
  })

  it('that brought nothing is told only when nothing else is there to go on with', () => {
    const flow = opened(0)
    const stream = streamOf(flow)
    flow.arrived(stream, fetched(0, 2))
    flow.arrived(stream, fetched(4, 0))
    expect([stream.waiting.length, stream.ahead]).toEqual([1, 4])
    giveBack(flow, flow.take(), 4)
    flow.arrived(stream, fetched(4, 0))
    const told = flow.take()
    expect([takenFrom(told), stream.ahead]).toEqual([[0, 4], null])
    giveBack(flow, told, 4)
    flow.arrived(stream, fetched(4, 0))
    expect([flow.take(), stream.ahead]).toEqual([null, 4])
    const atEnd = opened(0)
    atEnd.seek(0, END)
    atEnd.arrived(streamOf(atEnd), fetched(END, 0))
    expect([atEnd.take(), streamOf(atEnd).ahead]).toEqual([null, END])
  })

  it('is asked for without full partitions only while another has nothing and its log goes on', () => {
    const flow = opened(0, 1)
    const [full, other] = [streamOf(flow, 0), streamOf(flow, 1)]
    const all = [full, other]
    for (const from of [0, 4]) flow.arrived(full, fetched(from, 2))
    // Where nobody has looked yet, its log may go on.
    expect(flow.askedTogether(all, false)).toEqual([other])
    flow.arrived(other, fetched(0, 19))
    expect(flow.askedTogether(all, false)).toEqual(all)
    const last = flow.take()
    expect(last?.stream).toBe(full)
    const taken = flow.take()
    expect(flow.askedTogether([other], false)).toEqual([other])
    flow.arrived(full, fetched(8, 2))
    expect([taken?.stream, flow.askedTogether(all, false)]).toEqual([other, [other]])
    flow.arrived(other, fetched(38, 1))
    giveBack(flow, taken, 38)
    giveBack(flow, flow.take(), END)
    expect([other.ahead, other.waiting, flow.askedTogether(all, false)]).toEqual([END, [], all])
    flow.seek(1, END)
    const ended = streamOf(flow, 1)
    expect(flow.askedTogether([full, ended], false)).toEqual([ended])
    flow.arrived(ended, fetched(END, 0))
    expect(flow.askedTogether([full, ended], false)).toEqual([full, ended])
    // A guess that was wrong is fetched anew, whatever it said.
    flow.arrived(full, fetched(12, 2))
    const wrong = fetched(END - 2, 1)
    flow.seek(1, END - 2)
    const again = streamOf(flow, 1)
    flow.arrived(again, wrong)
    expect([again.ahead, flow.askedTogether([full, again], false)]).toEqual([END, [full, again]])
    giveBack(flow, flow.take(), END - 1)
    expect([again.ahead, flow.askedTogether([full, again], false)]).toEqual([END - 1, [again]])
  })

  it('of several partitions is handed on in turn', () => {
    const flow = opened(0, 1, 2)
    for (const stream of flow.flowing()) for (const from of [0, 2]) flow.arrived(stream, fetched(from, 1))
    const turns: unknown[] = []
    for (let taken = flow.take(); taken !== null; taken = flow.take()) {
      turns.push(takenFrom(taken))
      giveBack(flow, taken, 2 * Math.floor(turns.length / 4) + 2)
    }
    expect(turns).toEqual([0, 1, 2].map(lane => [lane, 0]).concat([0, 1, 2].map(lane => [lane, 2])))
  })

  it('is lent until it is read, or dropped for whatever reason', () => {
    const flow = opened(0, 1)
    const lender = new CountingLender()
    const [stream, other] = [streamOf(flow, 0), streamOf(flow, 1)]
    const arrive = (to: Stream, from: number) => flow.arrived(to, fetched(from, 2), lender)
    // Nobody asked for what begins elsewhere.
    arrive(stream, 6)
    expect(lender.kept).toBe(0)
    for (const from of [0, 4]) arrive(stream, from)
    arrive(other, 0)
    const taken = flow.take()
    expect([takenFrom(taken), lender.kept]).toEqual([[0, 0], 3])
    flow.seek(1, 20)
    expect(lender.kept).toBe(2)
    giveBack(flow, taken, 2)
    expect([lender.kept, flow.bytes]).toEqual([0, 0])
    arrive(stream, 2)
    const last = flow.take()
    flow.close()
    expect([last?.batch.bytes.length, lender.kept]).toEqual([flow.bytes, 1])
    giveBack(flow, last, 4)
    expect([lender.kept, flow.bytes]).toEqual([0, 0])
  })

  it('tells how large the batch is that was cut off, until it is asked for elsewhere', () => {
    const flow = opened(0)
    const stream = streamOf(flow)
    const size = fetched(4, 1).bytes.length
    const cut = (from: number) => {
      const whole = fetched(from, 2)
      const messages = new FetchedBytes(whole.bytes.subarray(0, -1))
      return new FetchedBatch('t', String(from), { partition: 0, highWatermark: String(END), messages })
    }
    expect(stream.nextBytes).toBeNull()
    flow.arrived(stream, cut(0))
    expect([stream.ahead, stream.nextBytes]).toEqual([2, size])
    // The batch is still there when a fetch had no room for it.
    flow.arrived(stream, fetched(2, 0))
    expect(stream.nextBytes).toBe(size)
    giveBack(flow, flow.take(), 1)
    expect([stream.ahead, stream.nextBytes]).toEqual([1, null])
    flow.arrived(stream, fetched(1, 2))
    expect(stream.nextBytes).toBeNull()
  })

  it('wakes who waits, also for a change that was before the wait', async () => {
    const flow = opened(0)
    const { changes } = flow
    const waiting = flow.changed(changes)
    flow.notify()
    await waiting
    await flow.changed(changes)
    await flow.changed(flow.changes, 1)
  })
})

describe('a partition that fetches leave out', () => {
  const LEFT_OUT_MS = 5_000
  afterEach(() => void vi.useRealTimers())

  function leftOut() {
    vi.useFakeTimers({ toFake: ['performance'] })
    const flow = opened(0, 1, 2)
    const all = [0, 1, 2].map(lane => streamOf(flow, lane)) as [Stream, Stream, Stream]
    const tell = () => {
      for (let taken = flow.take(); taken !== null; taken = flow.take()) giveBack(flow, taken, 0)
    }
    return { flow, all, tell }
  }

  it('is asked for alone after a time, the one that was left out longest first, and each in its turn', () => {
    const { flow, all, tell } = leftOut()
    const [first, second] = all
    flow.arrived(second, fetched(0, 0))
    vi.advanceTimersByTime(1)
    flow.arrived(first, fetched(0, 0))
    tell()
    vi.advanceTimersByTime(LEFT_OUT_MS - 2)
    expect(flow.askedTogether(all, true)).toEqual(all)
    vi.advanceTimersByTime(2)
    // Until the fetch is made there was none.
    expect([flow.askedTogether(all, false), flow.askedTogether(all, false)]).toEqual([[second], [second]])
    flow.asked([second])
    expect(flow.askedTogether(all, false)).toEqual([first])
    flow.asked([first])
    expect(flow.askedTogether(all, false)).toEqual(all)
  })

  it('is shared by two fetches where several go on, those at their end too; a second has to be answered at once', () => {
    const flow = opened(...Array.from({ length: 10 }, (_, lane) => lane))
    const all = Array.from({ length: 10 }, (_, lane) => streamOf(flow, lane))
    const lanes = (streams: readonly Stream[]) => streams.map(({ lane }) => lane)
    // All may be at their ends, as long as nobody has looked: none is to wait for a fetch of others.
    expect([lanes(flow.askedTogether(all, false)), flow.askedTogether(all, true)]).toEqual([lanes(all), []])
    for (const stream of all) {
      const { lane } = stream
      if (lane === 9) continue
      const isAtEnd = lane >= 5
      if (isAtEnd) flow.seek(lane, END)
      flow.arrived(streamOf(flow, lane), fetched(isAtEnd ? END : 0, isAtEnd ? 0 : 1))
    }
    for (let taken = flow.take(); taken !== null; taken = flow.take()) giveBack(flow, taken, 2)
    const now = all.map(({ lane }) => streamOf(flow, lane))
    // Five are behind, four at their ends, of one nobody knows.
    const first = flow.askedTogether(now, false)
    expect(lanes(first)).toEqual([0, 1, 5, 7, 9])
    const second = now.filter(stream => !first.includes(stream))
    expect(lanes(flow.askedTogether(second, true))).toEqual([2, 3, 4, 6, 8])
    expect(lanes(flow.askedTogether(now, true))).toEqual([0, 1, 2, 5, 6, 7, 8, 9])
    const atEnd = now.slice(5, 9)
    expect([flow.askedTogether(atEnd, true), flow.askedTogether(atEnd, false)]).toEqual([[], atEnd])
    expect(lanes(flow.askedTogether(now.slice(4, 9), false))).toEqual([4, 5, 6, 7, 8])
    expect(flow.hasRoom([], 1)).toBe(false)
  })

  it('is no longer once something of it came, or it is sought elsewhere, or its log ends there', () => {
    const { flow, all, tell } = leftOut()
    const [first, second, third] = all
    flow.seek(2, END)
    for (const stream of [first, second]) flow.arrived(stream, fetched(0, 0))
    flow.arrived(streamOf(flow, 2), fetched(END, 0))
    flow.arrived(third, fetched(0, 0))
    tell()
    flow.arrived(first, fetched(0, 1))
    flow.seek(1, 6)
    vi.advanceTimersByTime(2 * LEFT_OUT_MS)
    const now = [0, 1, 2].map(lane => streamOf(flow, lane))
    expect(flow.askedTogether(now, false)).toEqual(now)
  })

  it('and brings nothing when it is asked for alone does not have the full ones left out', () => {
    const { flow, all, tell } = leftOut()
    const [full, damaged] = all
    flow.arrived(damaged, fetched(0, 0))
    tell()
    for (const from of [0, 2]) flow.arrived(full, fetched(from, 1))
    expect(flow.askedTogether([full, damaged], false)).toEqual([damaged])
    flow.asked([damaged])
    flow.pause(0)
    for (let times = 0; times < 3; times++) {
      vi.advanceTimersByTime(1_000)
      flow.arrived(damaged, fetched(0, 0))
      tell()
      expect([damaged.ahead, flow.askedTogether([full, damaged], false)]).toEqual([0, [full, damaged]])
    }
    flow.arrived(damaged, fetched(0, 1))
    flow.take()
    expect(flow.askedTogether([full, damaged], false)).toEqual([damaged])
  })

  it('is not asked for while it has no room, so that the others go on', () => {
    const { flow, all } = leftOut()
    const [first, second] = all
    for (const from of [0, 2]) flow.arrived(first, fetched(from, 1))
    flow.arrived(first, fetched(4, 0))
    flow.arrived(second, fetched(0, 0))
    vi.advanceTimersByTime(LEFT_OUT_MS)
    // What was told of the second is not read yet: where it goes on is unknown.
    expect([second.ahead, flow.askedTogether(all, false)]).toEqual([null, [all[2]]])
  })
})

type Step = {
  readonly kind: 'ask' | 'come' | 'take' | 'read' | 'seek' | 'pause' | 'resume' | 'join'
  readonly n: number
}
const LANES = [0, 1, 2]

/** A reader of three partitions who trusts nothing: each batch has to begin where it stands. */
class Reader {
  readonly flow = new FetchFlow()
  readonly lender = new CountingLender()
  readonly positions = new Map<number, number>()
  readonly paused = new Set<number>()
  #asked: { stream: Stream; from: number }[] = []
  #taken: Taken[] = []

  step({ kind, n }: Step): void {
    const lane = n % LANES.length
    if (kind === 'ask') this.#asked.push(...this.flow.flowing().map(stream => ({ stream, from: stream.ahead ?? -1 })))
    else if (kind === 'come') this.#come(n)
    else if (kind === 'take') this.take()
    else if (kind === 'read') this.#read(n)
    else if (kind === 'seek') this.#seek(lane, n % END)
    else if (kind === 'pause') this.#pause(lane)
    else if (kind === 'resume') this.#resume(lane)
    else {
      this.flow.open(LANES)
      for (const each of LANES) this.paused.add(each)
      this.positions.clear()
      for (const each of LANES) this.#seek(each, n % END)
    }
  }

  #pause(lane: number): void {
    this.paused.add(lane)
    this.flow.pause(lane)
  }

  #resume(lane: number): void {
    this.paused.delete(lane)
    this.flow.resume(lane)
  }

  #seek(lane: number, offset: number): void {
    this.positions.set(lane, offset)
    this.flow.seek(lane, offset)
  }

  /** A response may be empty, cut short, or have headers that lie. */
  #come(n: number): void {
    const [asked] = this.#asked.splice(n % Math.max(this.#asked.length, 1), 1)
    if (asked === undefined || asked.from < 0) return
    const lies = n % 7 === 0 ? (bytes: Buffer) => bytes.length > 0 && void bytes.writeInt32BE(n % 50, 23) : undefined
    this.flow.arrived(asked.stream, fetched(asked.from, n % 4, lies as (bytes: Buffer) => void), this.lender)
  }

  take(): void {
    const taken = this.flow.take()
    if (taken === null) return
    const { lane } = taken.stream
    expect(this.#taken.map(other => other.stream.lane)).not.toContain(lane)
    expect(this.paused).not.toContain(lane)
    expect(Number(taken.batch.fetchedOffset)).toBe(this.positions.get(lane))
    this.#taken.push(taken)
  }

  /**
   * Some batches turn out to end earlier than it seemed, and while some are read their partition is sought elsewhere.
   */
  #read(n: number): void {
    const [taken] = this.#taken.splice(n % Math.max(this.#taken.length, 1), 1)
    if (taken === undefined) return
    const { lane } = taken.stream
    const here = this.positions.get(lane) === Number(taken.batch.fetchedOffset)
    if (here && taken.batch.corrupt === null) this.positions.set(lane, taken.batch.nextOffset)
    this.flow.done(taken, this.positions.get(lane) as number)
  }

  /** All partitions flow and responses are sound: everything has to be read to its end. */
  finish(): void {
    for (const lane of LANES) this.#resume(lane)
    for (let round = 0; round < 120; round++) {
      this.step({ kind: 'take', n: 0 })
      this.step({ kind: 'read', n: 1 })
      if (this.flow.hasRoom(this.flow.flowing(), FETCH_BYTES)) {
        for (const stream of this.flow.flowing()) {
          // A batch that is lied about ends in a wait of its reader; a sound one comes next time.
          this.flow.arrived(stream, fetched(stream.ahead as number, 3), this.lender)
        }
      }
    }
  }
}

it('whatever comes between, each batch begins where its reader stands, and all is read in the end', () => {
  const kinds = [
    'ask',
    'ask',
    'come',
    'come',
    'take',
    'take',
    'read',
    'read',
    'seek',
    'pause',
    'resume',
    'join',
  ] as const
  const step: fc.Arbitrary<Step> = fc.record({ kind: fc.constantFrom(...kinds), n: fc.nat(1_000) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), steps => {
      const reader = new Reader()
      reader.step({ kind: 'join', n: 0 })
      for (const each of steps) reader.step(each)
      reader.finish()
      expect([...reader.positions.values()]).toEqual([END, END, END])
      expect([reader.flow.bytes, reader.lender.kept]).toEqual([0, 0])
    }),
    { seed: SEED, numRuns: 150 },
  )
})
