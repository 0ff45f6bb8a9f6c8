import { createRequire } from 'node:module'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { FetchFlow } from '../../../src/kafka/fetchFlow.ts'
import { FetchLoop } from '../../../src/kafka/fetchLoop.ts'
import { lanesOfTopic } from '../../../src/kafka/lanes.ts'
import type { ConsumerGroup } from '../../../src/kafka/patches.ts'
import { bodies } from '../../../src/kafka/wire/bodies.ts'
import { type FetchedBatch, FetchedBytes } from '../../../src/kafka/wire/fetchedBatch.ts'
import { batchBytes, record } from './wire/batchBytes.ts'

const { KafkaJSConnectionError, KafkaJSOffsetOutOfRange, KafkaJSRequestTimeoutError } = createRequire(import.meta.url)(
  'kafkajs/src/errors.js',
)

type Asked = { readonly nodeId: string; readonly partitions: readonly number[]; readonly maxBytes: readonly number[] }
type Wanted = { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }
type Request = { readonly topics: readonly { readonly partitions: readonly Wanted[] }[] }

/** Two partitions, by default 0 led by broker 1 and 1 by broker 2; both logs go on for ever, a record to a fetch. */
class FakeGroup {
  readonly asked: Asked[] = []
  readonly recovered: unknown[] = []
  readonly read = new Map<number, number>()
  readonly flow = new FetchFlow()
  readonly loop: FetchLoop
  heartbeats = 0
  /** Metadata that were asked for whatever their age. */
  refreshed = 0
  beforeFetch: (nodeId: string) => Promise<void> = async () => {}
  refresh: () => Promise<void> = async () => {}
  /** Whether a fetch of so many partitions brings something of one. */
  brings: (partition: number, of: number) => boolean = () => true
  /** What a fetch brings of a partition when it brings something. */
  bytes = (fetchOffset: number) => batchBytes([record(fetchOffset)])
  highWatermark: (fetchOffset: number) => number = () => 1_000_000
  beforeRead: (batch: FetchedBatch) => Promise<void> = async () => {}
  readonly #metadata: readonly { partitionId: number; leader: number }[]

  constructor(leaders: readonly number[] = [1, 2]) {
    this.#metadata = leaders.map((leader, partitionId) => ({ partitionId, leader }))
    this.loop = new FetchLoop({
      group: this.#group(),
      flow: this.flow,
      lanes: lanesOfTopic('t'),
      heartbeat: async () => void this.heartbeats++,
      onBatch: async (lane, batch) => {
        await this.beforeRead(batch)
        this.read.set(lane, batch.nextOffset)
        return batch.nextOffset
      },
    })
    this.seek(0, 1)
  }

  seek(...lanes: number[]): void {
    this.flow.open(lanes)
    for (const lane of lanes) {
      this.flow.seek(lane, 0)
      this.flow.resume(lane)
    }
  }

  askedOf(nodeId: string): number {
    return this.asked.filter(asked => asked.nodeId === nodeId).length
  }

  #group(): ConsumerGroup {
    const cluster = {
      findTopicPartitionMetadata: () => this.#metadata,
      findBroker: async ({ nodeId }: { nodeId: string }) => ({
        fetch: (request: Request) => this.#fetch(nodeId, request),
      }),
      refreshMetadataIfNecessary: () => this.refresh(),
      refreshMetadata: () => {
        this.refreshed++
        return this.refresh()
      },
    }
    const limits = { maxWaitTime: 20, minBytes: 1, maxBytes: 1024, maxBytesPerPartition: 1024, isolationLevel: 1 }
    const group = {
      ...limits,
      cluster,
      getNodeIds: () => ['1', '2'],
      checkForStaleAssignment() {},
      recoverFromFetch: async (error: unknown) => void this.recovered.push(error),
    }
    return group as unknown as ConsumerGroup
  }

  async #fetch(nodeId: string, { topics }: Request): Promise<object> {
    const wanted = topics.flatMap(({ partitions }) => partitions)
    const maxBytes = wanted.map(each => each.maxBytes)
    this.asked.push({ nodeId, partitions: wanted.map(({ partition }) => partition), maxBytes })
    await this.beforeFetch(nodeId)
    await new Promise(resolve => setTimeout(resolve, 5))
    const partitions = wanted.map(({ partition, fetchOffset }) => {
      const brought = this.brings(partition, wanted.length)
      const bytes = brought ? this.bytes(Number(fetchOffset)) : Buffer.alloc(0)
      const highWatermark = String(this.highWatermark(Number(fetchOffset)))
      return { partition, highWatermark, messages: new FetchedBytes(bytes) }
    })
    return { responses: [{ topicName: 't', partitions }] }
  }
}

let started: { readonly group: FakeGroup; readonly ended: Promise<void> }[] = []

function start(group: FakeGroup): Promise<void> {
  const ended = group.loop.start()
  started.push({ group, ended })
  return ended
}

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(started.map(({ group }) => group.loop.stop()))
  started = []
})

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 5 })

describe('the fetch loop', () => {
  it('fetches, beats and stops while metadata do not come', async () => {
    const group = new FakeGroup()
    group.refresh = () => new Promise(() => {})
    const ended = start(group)
    await until(() => expect([...group.read.values()].filter(offset => offset > 5)).toHaveLength(2))
    expect(group.heartbeats).toBeGreaterThan(2)
    await group.loop.stop()
    await ended
  })

  it('hands kafkajs what a refresh of metadata has failed of', async () => {
    const group = new FakeGroup()
    const failure = new Error('no leader')
    group.refresh = async () => {
      group.refresh = async () => {}
      throw failure
    }
    void start(group)
    await until(() => expect(group.recovered).toEqual([failure]))
  })

  it.each([KafkaJSConnectionError, KafkaJSRequestTimeoutError])(
    'asks the other brokers on while one is away: %o',
    async Away => {
      const group = new FakeGroup()
      let away = true
      group.beforeFetch = async nodeId => {
        if (nodeId === '2' && away) throw new Away('it is away')
      }
      void start(group)
      await until(() => expect(group.askedOf('1')).toBeGreaterThan(20))
      // Once, and not again at each turn; its partitions may have moved meanwhile.
      expect([group.askedOf('2'), group.refreshed, group.recovered]).toEqual([1, 1, []])
      away = false
      await until(() => expect(group.read.get(1)).toBeGreaterThan(0))
      expect([group.askedOf('2') > 1, group.refreshed, group.recovered]).toEqual([true, 1, []])
    },
  )

  it('asks for metadata again after a moment, when it was a broker that is away who was asked', async () => {
    const group = new FakeGroup()
    let failures = 0
    group.refresh = async () => {
      if (++failures === 1) throw new KafkaJSRequestTimeoutError('it is silent')
    }
    void start(group)
    await until(() => expect(group.refreshed).toBe(1))
    expect([group.recovered, group.askedOf('1') > 20]).toEqual([[], true])
  })

  it('asks alone for a partition that comes in no fetch of several, so that all go on', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const group = new FakeGroup([1, 1, 1, 1, 1, 1])
    group.seek(0, 1, 2, 3, 4, 5)
    group.brings = partition => partition !== 1
    void start(group)
    await until(() => expect(group.read.get(0)).toBeGreaterThan(10))
    const alone = () => group.asked.filter(({ partitions }) => String(partitions) === '1').length
    const before = alone()
    vi.advanceTimersByTime(5_000)
    await until(() => expect(alone()).toBeGreaterThan(before))
    const read = group.read.get(0) as number
    await until(() => expect(group.read.get(0)).toBeGreaterThan(read + 10))
    expect(group.read.get(1)).toBe(0)
    group.brings = (partition, of) => partition !== 1 || of === 1
    vi.advanceTimersByTime(5_000)
    await until(() => expect(group.read.get(1)).toBe(1))
  })

  it('keeps no error of before it was started anew', async () => {
    const group = new FakeGroup()
    const failing = Promise.withResolvers<void>()
    group.beforeFetch = () => failing.promise
    void start(group)
    await until(() => expect(group.asked).toHaveLength(2))
    await group.loop.stop()
    failing.reject(new Error('of the assignment before'))
    await new Promise(resolve => setTimeout(resolve, 10))
    group.beforeFetch = async () => {}
    void start(group)
    await until(() => expect(group.read.size).toBe(2))
    expect(group.recovered).toEqual([])
  })

  it('takes an offset out of range for outdated once nothing that was asked for is read on from there', async () => {
    const group = new FakeGroup()
    const outOfRange = (partition: number) => new KafkaJSOffsetOutOfRange(new Error(), { topic: 't', partition })
    const failing = Promise.withResolvers<void>()
    group.beforeFetch = () => failing.promise
    void start(group)
    await until(() => expect(group.asked).toHaveLength(2))
    group.seek(0, 1)
    group.beforeFetch = async () => {}
    // Of a partition that a fetch was not made of.
    failing.reject(outOfRange(7))
    await until(() => expect(group.read.size).toBe(2))
    expect(group.recovered).toEqual([])
    const current = outOfRange(7)
    group.beforeFetch = async () => {
      group.beforeFetch = async () => {}
      throw current
    }
    await until(() => expect(group.recovered).toEqual([current]))
  })

  it('gives back what a response was read into once all batches of it are read', async () => {
    const BODY_BYTES = 2 * 1024 * 1024
    const group = new FakeGroup([1, 1])
    const lent: Buffer[] = []
    group.beforeFetch = async () => {
      group.beforeFetch = () => new Promise(() => {})
      const [body, [first, second]] = [bodies.take(BODY_BYTES), [0, 0].map(() => batchBytes([record(0)]))]
      const places = [first, second].map((bytes = Buffer.alloc(0), i) => {
        bytes.copy(body, 500 * i)
        return body.subarray(500 * i, 500 * i + bytes.length)
      })
      group.bytes = () => places.shift() as Buffer
      lent.push(body)
    }
    const reading: PromiseWithResolvers<void>[] = []
    group.beforeRead = () => {
      const read = Promise.withResolvers<void>()
      reading.push(read)
      return read.promise
    }
    void start(group)
    await until(() => expect(reading).toHaveLength(2))
    const [body] = lent as [Buffer]
    reading[1]?.resolve()
    await until(() => expect(group.read.get(1)).toBe(1))
    expect(body.length).toBe(BODY_BYTES)
    reading[0]?.resolve()
    await until(() => expect([group.read.get(0), body.length]).toEqual([1, 0]))
  })

  it('has two fetches of different partitions under way at a broker where there is much to read', async () => {
    const group = new FakeGroup([1, 1, 1, 1])
    group.seek(0, 1, 2, 3)
    const under = new Set<readonly number[]>()
    const twice: number[] = []
    let most = 0
    group.beforeFetch = async () => {
      const asked = group.asked.at(-1)?.partitions ?? []
      for (const other of under) twice.push(...other.filter(partition => asked.includes(partition)))
      under.add(asked)
      most = Math.max(most, under.size)
      await new Promise(resolve => setTimeout(resolve, 5))
      under.delete(asked)
    }
    // A fetch has room for one of them.
    group.brings = partition => group.asked.some(({ partitions }) => partitions[0] === partition)
    void start(group)
    await until(() => expect([...group.read.values()].filter(offset => offset > 10)).toHaveLength(4))
    await until(() => expect(most).toBe(2))
    expect([twice, group.recovered]).toEqual([[], []])
    // At their ends one fetch waits for all of them.
    group.brings = () => false
    group.highWatermark = from => from
    await until(() => expect(group.asked.at(-1)?.partitions.toSorted()).toEqual([0, 1, 2, 3]))
  })

  it('asks next for whole batches of the size that it has seen the beginning of', async () => {
    const group = new FakeGroup([1])
    group.seek(0)
    const next = batchBytes([record(1, 'v'.repeat(400))])
    group.bytes = from => (from === 0 ? Buffer.concat([batchBytes([record(0)]), next.subarray(0, 20)]) : next)
    void start(group)
    await until(() => expect(group.read.get(0)).toBe(2))
    const [first, second] = group.asked.map(({ maxBytes }) => maxBytes[0] as number)
    expect([first, next.length * 2 <= (second as number), (second as number) < 1024]).toEqual([1024, true, true])
  })
})
