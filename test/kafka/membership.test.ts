import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { KafkaSettings } from '../../src/config/settings.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createTopicReader, type TopicReader } from '../../src/kafka/admin.ts'
import { createBatchSender, type KafkaBatchSender } from '../../src/kafka/batchSender.ts'
import { createKafka, type KafkaOptions } from '../../src/kafka/client.ts'
import { createTransactionalDelivery } from '../../src/kafka/delivery.ts'
import { lanesOfTopic } from '../../src/kafka/lanes.ts'
import { createMembership, type MembershipOptions } from '../../src/kafka/membership.ts'
import { withAdmin } from '../../src/kafka/topics.ts'
import type { Group } from '../../src/runtime/ports.ts'
import type { FetchTimes } from '../../src/tasks/recordBatch.ts'
import { damageBatch } from './damage.ts'

const SESSION_MS = 6_000
const TOPIC_NAMES = {
  partials: ['unused'],
  results: 'unused',
  deviceStats: 'unused',
  enriched: 'unused',
  deadLetters: 'unused',
}

let broker: EmbeddedKafka
let settings: KafkaSettings
let sender: KafkaBatchSender
let reader: TopicReader
let running: Group[] = []
let serial = 0

const client = (options?: KafkaOptions) => createKafka(settings, () => {}, options)

beforeAll(async () => {
  broker = await startKafka()
  settings = { brokers: [broker.brokers], clientId: 'test', tls: null, sasl: null }
  sender = await createBatchSender(settings)
  reader = createTopicReader(client())
})
afterEach(async () => {
  await Promise.all(running.map(member => member.stop()))
  running = []
})
afterAll(async () => {
  await Promise.all([reader?.close(), sender?.close()])
  await broker?.stop()
})

async function createTopic(partitions: number): Promise<string> {
  const topic = `members-${++serial}`
  const topics = [{ topic, numPartitions: partitions, replicationFactor: 1 }]
  await withAdmin(client(), admin => admin.createTopics({ topics, waitForLeaders: true }))
  return topic
}

async function produce(topic: string, partition: number, count: number): Promise<void> {
  const messages = Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: `v${i}` }))
  await sender.send(topic, partition, messages)
}

/** A member that starts every partition at its commit (or 0) and writes down all that it is told. */
function join(topic: string, options: Partial<MembershipOptions> & { readonly kafkaOptions?: KafkaOptions } = {}) {
  const seen = {
    epoch: 0,
    assigned: [] as readonly number[],
    assignments: [] as (readonly number[])[],
    revoked: 0,
    rejoins: 0,
    outOfRange: [] as number[],
    crashes: [] as Error[],
    corrupt: [] as { partition: number; from: number; to: number | null; reason: string }[],
    offsets: new Map<number, number[]>(),
    positions: new Map<number, number>(),
  }
  const { kafkaOptions, ...given } = options
  const member: Group = createMembership({
    kafka: client(kafkaOptions),
    groupId: `${topic}-group`,
    lanes: lanesOfTopic(topic),
    settings: { sessionTimeoutMs: SESSION_MS },
    onAssigned(epoch, partitions) {
      Object.assign(seen, { epoch, assigned: partitions })
      seen.assignments.push(partitions)
      for (const partition of partitions) {
        member.seek(partition, 0)
        member.resume(partition)
      }
    },
    onCorrupt: (_epoch, partition, { from, to, reason }) => void seen.corrupt.push({ partition, from, to, reason }),
    onRevoked() {
      seen.revoked++
      seen.assigned = []
    },
    async onBatch(epoch, partition, batch) {
      expect(epoch).toBe(seen.epoch)
      const offsets = seen.offsets.get(partition) ?? []
      while (batch.next()) offsets.push(batch.offset)
      seen.offsets.set(partition, offsets)
      seen.positions.set(partition, batch.nextOffset)
    },
    onAdvance: (partition, nextOffset) => void seen.positions.set(partition, nextOffset),
    onOutOfRange: partition => void seen.outOfRange.push(partition),
    beforeRejoin: async () => void seen.rejoins++,
    onCrash: error => void seen.crashes.push(error),
    ...given,
  })
  running.push(member)
  return { member, seen }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const until = (check: () => unknown, timeout = 20_000) => vi.waitFor(check, { timeout, interval: 50 })

test('batches tell when they were fetched', async () => {
  const topic = await createTopic(2)
  const fetched: (FetchTimes | null | undefined)[] = []
  const onBatch: MembershipOptions['onBatch'] = async (_epoch, _partition, batch) => void fetched.push(batch.fetch)
  const { member } = join(topic, { onBatch })
  await member.start()
  // The fetch that brings them has begun before they were there.
  await sleep(700)
  const producedAt = Date.now()
  await Promise.all([produce(topic, 0, 5), produce(topic, 1, 5)])
  await until(() => expect(fetched.length).toBeGreaterThanOrEqual(2))
  for (const times of fetched) {
    expect(times?.cameMs).toBeGreaterThanOrEqual(Math.max(producedAt, times?.askedMs ?? Number.POSITIVE_INFINITY))
    expect(times?.cameMs).toBeLessThanOrEqual(Date.now())
    expect(times?.askedMs).toBeGreaterThan(producedAt - 5_000)
  }
})

test('nothing is delivered before a partition is sought and resumed, and a seek drops what was fetched elsewhere', async () => {
  const topic = await createTopic(1)
  await produce(topic, 0, 100)
  const assigned: number[][] = []
  const { member, seen } = join(topic, {
    onAssigned: (epoch, partitions) => {
      seen.epoch = epoch
      assigned.push([...partitions])
    },
  })
  await member.start()
  expect(assigned).toEqual([[0]])
  await sleep(700)
  expect(seen.offsets.size).toBe(0)

  member.seek(0, 40)
  member.resume(0)
  await until(() => expect(seen.offsets.get(0)).toEqual(range(40, 100)))
  member.seek(0, 10)
  member.seek(0, 90)
  await until(() => expect(seen.positions.get(0)).toBe(100))
  await until(() => expect(seen.offsets.get(0)).toEqual([...range(40, 100), ...range(90, 100)]))

  member.pause(0)
  await produce(topic, 0, 10)
  await sleep(700)
  expect(seen.positions.get(0)).toBe(100)
  member.resume(0)
  await until(() => expect(seen.positions.get(0)).toBe(110))
})

test('a seek while a batch is processed wins over the end of that batch', async () => {
  const topic = await createTopic(1)
  await produce(topic, 0, 20)
  const starts: number[] = []
  const { member } = join(topic, {
    onBatch: async (_epoch, partition, batch) => {
      starts.push(batch.baseOffset)
      // The same place again: only the identity of the seek tells it from where the batch began.
      if (starts.length < 3) member.seek(partition, 0)
      await sleep(20)
    },
  })
  await member.start()
  await until(() => expect(starts).toEqual([0, 0, 0]))
  await sleep(500)
  expect(starts).toEqual([0, 0, 0])
})

/** Six batches, of which one fetch brings about two; `first` is called in the middle of the first delivery. */
async function readLargeBatches(first: (member: Group) => Promise<void>) {
  const topic = await createTopic(1)
  const value = 'x'.repeat(400 * 1024)
  for (let i = 0; i < 6; i++) await sender.send(topic, 0, [{ key: null, value }])
  const begun: number[] = []
  const offsets: number[] = []
  const { member, seen } = join(topic, {
    onBatch: async (_epoch, _partition, batch) => {
      begun.push(batch.baseOffset)
      if (begun.length === 1) await first(member)
      while (batch.next()) offsets.push(batch.offset)
    },
  })
  await member.start()
  return { begun, offsets, seen }
}

test('the next fetch is under way while a batch is read: it is there when the broker is not', async () => {
  let begunWhileAway = 0
  const { begun, offsets } = await readLargeBatches(async () => {
    await sleep(500)
    broker.pause()
  })
  try {
    await until(() => expect(begun.length).toBeGreaterThan(1), 5_000)
    begunWhileAway = begun.length
  } finally {
    broker.resume()
  }
  expect(begunWhileAway).toBeLessThan(4)
  await until(() => expect(offsets).toEqual(range(0, 6)))
})

test('a seek in the middle of a batch drops what was fetched ahead', async () => {
  const { begun, offsets } = await readLargeBatches(async member => {
    await sleep(500)
    member.seek(0, 1)
  })
  await until(() => expect(offsets.at(-1)).toBe(5))
  expect(begun[1]).toBe(1)
  // The first delivery goes on with what it holds; then comes all from the place that was sought, once.
  const first = offsets.length - 5
  expect([offsets.slice(0, first), offsets.slice(first)]).toEqual([range(0, first), range(1, 6)])
})

test('a second member takes half, what stays is kept, and commits of the ended generation are refused', async () => {
  const topic = await createTopic(4)
  const committed: string[] = []
  const first = join(topic, {
    beforeRejoin: async () => {
      await first.member.commit(first.seen.epoch, 0, { offset: 7, metadata: 'before the join' })
      committed.push('done')
    },
  })
  await first.member.start()
  expect(first.seen.assigned).toEqual([0, 1, 2, 3])
  const oldEpoch = first.seen.epoch

  const second = join(topic)
  await second.member.start()
  await until(() => expect(first.seen.assigned).toHaveLength(2))
  expect(committed).toEqual(['done'])
  expect(first.seen.revoked).toBe(1)
  expect([...first.seen.assigned, ...second.seen.assigned].sort()).toEqual([0, 1, 2, 3])
  expect(first.seen.assigned).toEqual([0, 1])
  expect(await reader.readCommit(`${topic}-group`, topic, 0)).toEqual({ offset: 7, metadata: 'before the join' })

  const stale = first.member.commit(oldEpoch, 0, { offset: 9, metadata: 'stale' })
  await expect(stale).rejects.toMatchObject({ code: 'fenced' })
  await first.member.commit(first.seen.epoch, 0, { offset: 8, metadata: 'x'.repeat(3_000) })
  expect(await reader.readCommit(`${topic}-group`, topic, 0)).toEqual({ offset: 8, metadata: 'x'.repeat(3_000) })

  const leftAt = Date.now()
  await second.member.stop()
  await until(() => expect(first.seen.assigned).toEqual([0, 1, 2, 3]))
  // By leaving, not by the end of its session.
  expect(Date.now() - leftAt).toBeLessThan(SESSION_MS - 1_000)
  await first.member.heartbeat()
})

/** Connections that can be cut, as by a network that fails, or a process that is stopped. */
function cuttable() {
  const sockets = new Set<Socket>()
  let cut = false
  const socketFactory: NonNullable<KafkaOptions['socketFactory']> = ({ host, port, onConnect }) => {
    const socket = connect(cut ? { host, port: 1 } : { host, port }, onConnect)
    sockets.add(socket)
    return socket
  }
  const sever = () => {
    cut = true
    for (const socket of sockets) socket.destroy(new Error('the network has failed'))
  }
  const heal = () => {
    cut = false
  }
  return { socketFactory, sever, heal }
}

test('a member that is cut off loses its partitions, is fenced when it comes back, and joins again', async () => {
  const topic = await createTopic(2)
  const wire = cuttable()
  const zombie = join(topic, { kafkaOptions: { socketFactory: wire.socketFactory } })
  await zombie.member.start()
  const heir = join(topic)
  await heir.member.start()
  await until(() => expect(zombie.seen.assigned).toHaveLength(1))
  const [partition] = zombie.seen.assigned
  const epoch = zombie.seen.epoch

  wire.sever()
  await until(() => expect(heir.seen.assigned).toEqual([0, 1]), SESSION_MS * 3)
  await heir.member.commit(heir.seen.epoch, partition!, { offset: 5, metadata: 'the heir' })
  wire.heal()
  const late = zombie.member.commit(epoch, partition!, { offset: 4, metadata: 'the zombie' })
  await expect(late).rejects.toMatchObject({ code: 'fenced' })
  await until(() => expect(zombie.seen.epoch).toBeGreaterThan(epoch), SESSION_MS * 4)
  expect(zombie.seen.assigned).toHaveLength(1)
  expect(zombie.seen.crashes).toEqual([])
  expect((await reader.readCommit(`${topic}-group`, topic, partition!))?.metadata).toBe('the heir')
})

test('an offset that the log does not hold is told, and nothing is committed in its place', async () => {
  const topic = await createTopic(2)
  await produce(topic, 0, 10)
  const { member, seen } = join(topic, {
    onAssigned: (epoch, partitions) => {
      seen.epoch = epoch
      for (const partition of partitions) {
        member.seek(partition, 5_000)
        member.resume(partition)
      }
    },
  })
  await member.start()
  await until(() => expect([...seen.outOfRange].sort()).toEqual([0, 1]))
  await sleep(800)
  expect(seen.outOfRange).toHaveLength(2)
  expect(await reader.readCommit(`${topic}-group`, topic, 0)).toBeNull()
  member.seek(0, 0)
  member.resume(0)
  await until(() => expect(seen.offsets.get(0)).toEqual(range(0, 10)))
})

test('control records and aborted transactions at the end of a log are passed', async () => {
  const topic = await createTopic(1)
  const names = { ...TOPIC_NAMES, partials: [topic] }
  const delivery = createTransactionalDelivery({
    kafka: client(),
    transactionalId: `${topic}-0`,
    groupId: `${topic}-txn`,
    sourceTopic: topic,
    partition: 0,
    topicNames: names,
  })
  const record = { topic: 'partials', partition: 0, key: 'k', value: Buffer.from('v') } as const
  await delivery.fence()
  await delivery.begin()
  await delivery.send([record, record])
  await delivery.commit({ offset: 0, metadata: 'm' })
  const { member, seen } = join(topic)
  await member.start()
  // Two records and the commit marker.
  await until(() => expect(seen.positions.get(0)).toBe(3))
  expect(seen.offsets.get(0)).toEqual([0, 1])

  await delivery.begin()
  await delivery.send([record])
  await delivery.fence()
  await until(() => expect(seen.positions.get(0)).toBe(5))
  expect(seen.offsets.get(0)).toEqual([0, 1])
  expect(await reader.readLogRange(topic, 0)).toEqual({ start: 0, end: 5 })
  await delivery.close()
})

const flip = (at: number) => (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
const length = (value: number) => (bytes: Buffer) => bytes.writeInt32BE(value, 8)

/** Two partitions, each of three batches of three records, of which the second batch of partition 0 is damaged. */
async function createDamagedTopic(change: (bytes: Buffer) => void): Promise<string> {
  const topic = await createTopic(2)
  for (const partition of [0, 0, 0, 1, 1, 1]) await produce(topic, partition, 3)
  damageBatch(broker.dataDir, topic, { partition: 0, batch: 1 }, change)
  return topic
}

test.each([
  { what: 'a record', change: flip(70), to: 6, reason: /CRC/ },
  { what: 'its base offset', change: flip(6), to: 6, reason: /the log only to 8/ },
  { what: 'its length, to that of no batch', change: length(20), to: null, reason: /20 bytes/ },
  { what: 'its length, so that the broker refuses it', change: length(5), to: null, reason: /CORRUPT_MESSAGE/ },
  { what: 'its length, so that all is at an end there', change: flip(9), to: null, reason: /nothing of it has come/ },
  { what: 'its format', change: flip(16), to: null, reason: /format version 3/ },
  {
    what: 'its format, so that the broker fails',
    change: (b: Buffer) => b.writeInt8(1, 16),
    to: null,
    reason: /format version 1|the broker cannot read it/,
  },
])('a batch with damage to $what holds up its partition alone', async ({ change, to, reason }) => {
  const topic = await createDamagedTopic(change)
  const { member, seen } = join(topic, { stallLimitMs: 1_500 })
  await member.start()
  await until(() => expect(seen.corrupt).toHaveLength(1))
  expect(seen.corrupt).toEqual([{ partition: 0, from: 3, to, reason: expect.stringMatching(reason) }])
  await produce(topic, 1, 3)
  await until(() => expect(seen.offsets.get(1)).toEqual(range(0, 12)))
  expect([seen.offsets.get(0), seen.positions.get(0)]).toEqual([range(0, 3), 3])
  expect([seen.crashes, seen.outOfRange, seen.rejoins, seen.corrupt.length]).toEqual([[], [], 0, 1])
})

test('a batch that was damaged only on its way is read again, and nothing is told', async () => {
  const topic = await createDamagedTopic(flip(70))
  let reads = 0
  const { member, seen } = join(topic, {
    async onBatch(_epoch, partition, batch) {
      const offsets = seen.offsets.get(partition) ?? []
      while (batch.next()) offsets.push(batch.offset)
      seen.offsets.set(partition, offsets)
      if (partition === 0 && ++reads === 2) damageBatch(broker.dataDir, topic, { partition, batch: 1 }, flip(70))
    },
  })
  await member.start()
  await until(() => expect(seen.offsets.get(0)).toEqual(range(0, 9)))
  expect(seen.corrupt).toEqual([])
})

test('a seek goes on behind a damaged batch, and what the owner has paused is not tried', async () => {
  const topic = await createDamagedTopic(flip(70))
  const { member, seen } = join(topic, {
    async onBatch(_epoch, partition, batch) {
      const offsets = seen.offsets.get(partition) ?? []
      while (batch.next()) offsets.push(batch.offset)
      seen.offsets.set(partition, offsets)
      if (partition === 0 && offsets.length === 3) member.pause(0)
    },
    onCorrupt: (_epoch, partition, { from, to, reason }) => {
      seen.corrupt.push({ partition, from, to, reason })
      member.seek(partition, to ?? from)
    },
  })
  await member.start()
  await until(() => expect(seen.offsets.get(0)).toEqual(range(0, 3)))
  await sleep(1_000)
  expect(seen.corrupt).toEqual([])
  seen.offsets.set(0, [])
  member.resume(0)
  await until(() => expect(seen.offsets.get(0)).toEqual(range(6, 9)))
  expect(seen.corrupt).toHaveLength(1)
})

test('partitions that are added while running are assigned', async () => {
  const topic = await createTopic(1)
  const { member, seen } = join(topic)
  await member.start()
  await withAdmin(client(), admin => admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] }))
  await until(() => expect(seen.assigned).toEqual([0, 1, 2]), 30_000)
})

test('a batch that fails for a reason of ours ends the consumer with that reason', async () => {
  const topic = await createTopic(1)
  await produce(topic, 0, 1)
  const { member, seen } = join(topic, { onBatch: () => Promise.reject(new Error('no such field')) })
  await member.start()
  await until(() =>
    expect(seen.crashes[0]).toMatchObject({ code: 'crashed', message: expect.stringContaining('no such field') }),
  )
  await sleep(500)
  expect(seen.crashes).toHaveLength(1)
})

test('a broker that is away for longer than the session comes back, and so do we', async () => {
  const topic = await createTopic(1)
  await produce(topic, 0, 5)
  const { member, seen } = join(topic)
  await member.start()
  await until(() => expect(seen.positions.get(0)).toBe(5))
  await broker.kill()
  await expect(member.heartbeat()).rejects.toMatchObject({ name: 'TidemarkError' })
  await sleep(SESSION_MS + 4_000)
  await broker.restart()
  await until(() => expect(seen.assigned).toEqual([0]), 60_000)
  await produce(topic, 0, 5)
  await until(() => expect(seen.positions.get(0)).toBe(10), 60_000)
  expect(seen.crashes).toEqual([])
})
