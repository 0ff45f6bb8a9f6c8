import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Compression } from '../../src/config/settings.ts'
import { lastProgress, recountTopic } from '../../src/dev/demo/resultFeed.ts'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { createRecount } from '../../src/dev/recount.ts'
import { compareTotals, judge } from '../../src/dev/verdict.ts'
import { createKafka } from '../../src/kafka/client.ts'
import { lastHeader, type ReadMessage } from '../../src/kafka/readAll.ts'
import { CODEC_IDS } from '../../src/kafka/wire/codecs.ts'
import { windowSizeText } from '../../src/windows/windows.ts'
import { batchesOnDisk, damageBatch } from './damage.ts'
import { endPipelines, type Pipeline, withPipeline } from './scenarios/support/pipeline.ts'

/** A partition's offsets that cannot be read: [from, to). */
type Damage = { readonly partition: number; readonly from: number; readonly to: number }
type Damaged = Damage & { readonly batch: number; readonly bytes: Buffer }

const MIB = 1024 * 1024
/** In the records, behind the 61 bytes of the batch's header. */
const FLIPPED_AT = 90

let broker: EmbeddedKafka

beforeAll(async () => {
  broker = await startKafka()
})
afterAll(async () => {
  await endPipelines()
  await broker?.stop()
})

const flip = (bytes: Buffer) => void bytes.writeUInt8(bytes.readUInt8(FLIPPED_AT) ^ 0x10, FLIPPED_AT)

/** Flips a bit in a record batch; `pick` says in which of the partition's. */
function damage(pipeline: Pipeline, partition: number, pick: (batches: number) => number): Damaged {
  const source = pipeline.topic('source')
  const batches = batchesOnDisk(broker.dataDir, source, partition)
  const batch = pick(batches.length)
  damageBatch(broker.dataDir, source, { partition, batch }, flip)
  const from = batches[batch]?.baseOffset as number
  const bytes = batchesOnDisk(broker.dataDir, source, partition)[batch]?.bytes as Buffer
  return { partition, from, to: from + bytes.readInt32BE(57), bytes, batch }
}

const middle = (batches: number) => Math.floor(batches / 2)
const last = (batches: number) => batches - 1

/** A broker that is stopped ends its log cleanly: it then does not look at it again when it starts. */
async function whileStopped<T>(work: () => T): Promise<T> {
  await broker.stop({ keepData: true })
  const done = work()
  await broker.restart()
  return done
}

async function readSource(pipeline: Pipeline, fromOffsets: ReadonlyMap<number, number> = new Map()) {
  const messages: ReadMessage[] = []
  const onMessage = (message: ReadMessage) => void messages.push(message)
  await pipeline.reader.readAll({ topic: pipeline.topic('source'), readCommitted: true, fromOffsets, onMessage })
  return messages
}

/** What the results must come to when only these records can be read. */
function recountOf(pipeline: Pipeline, messages: readonly ReadMessage[]) {
  const recount = createRecount(pipeline.settings)
  for (const message of messages) recount.add(message)
  return recount.result()
}

const isIn = ({ partition, offset }: ReadMessage, lost: Damage) =>
  partition === lost.partition && offset >= lost.from && offset < lost.to

// Nothing is late, so that an event counts for the same window whichever came before it.
const PLAIN = ['--late', '0', '--jitter', '1s']

test('wait: all before the damage is told, other partitions go on, and it goes on by itself when mended', async () => {
  await withPipeline(broker, 'wait', { aggregators: 0, reducers: 0 }, async pipeline => {
    await pipeline.generate('--rate', '5000', '--seconds', '6', ...PLAIN).ledger
    const all = await readSource(pipeline)
    const lost = await whileStopped(() => damage(pipeline, 1, middle))
    const readable = all.filter(({ partition, offset }) => partition !== lost.partition || offset < lost.from)
    expect(readable.length).toBeLessThan(all.length)
    const damaged = { code: 'corrupt_batch', message: expect.stringContaining(`${lost.from} to ${lost.to - 1} `) }
    await expect(recountTopic(pipeline.reader, pipeline.topic('source'), pipeline.settings)).rejects.toMatchObject(
      damaged,
    )

    pipeline.add('reduce')
    const aggregator = pipeline.add('aggregate')
    const { partition, from, to } = lost
    expect(await aggregator.line('corrupt_batch')).toMatchObject({ partition, from, to, waiting: true, skipped: false })
    await expectTold(pipeline, readable)
    await sleep(10_000)
    expect([aggregator.running, aggregator.linesOf('corrupt_batch').length]).toEqual([true, 1])
    expect(await letters(pipeline, 'corrupt_batch')).toEqual([])

    damageBatch(broker.dataDir, pipeline.topic('source'), lost, flip)
    expect(await pipeline.differences()).toEqual([])
  })
})

/** Waits until the totals are those of these records, and so is every window, which all say that they are exact. */
async function expectTold(pipeline: Pipeline, readable: readonly ReadMessage[]): Promise<void> {
  const wanted = recountOf(pipeline, readable)
  await vi.waitFor(
    async () => {
      expect(compareTotals(wanted, await lastProgress(pipeline.reader, pipeline.topic('partials')))).toEqual([])
      expect(judge(wanted, await pipeline.results()).differences).toEqual([])
    },
    { timeout: 40_000, interval: 500 },
  )
}

async function letters(pipeline: Pipeline, code: string): Promise<ReadMessage[]> {
  const found: ReadMessage[] = []
  await pipeline.reader.readAll({
    topic: pipeline.topic('deadLetters'),
    readCommitted: true,
    onMessage: message => {
      if (lastHeader(message.headers, 'error.code') === code) found.push(message)
    },
  })
  return found
}

test('skip: the run goes on, a dead letter and the results name what is lost, all else is counted', async () => {
  // Without room for clocks ahead, the loss is known to touch few windows.
  const settings = { MAX_FUTURE_SKEW: '1s', CORRUPT_BATCHES: 'skip' }
  await withPipeline(broker, 'skip', { aggregators: 0, reducers: 0, settings }, async pipeline => {
    await pipeline.generate('--rate', '5000', '--seconds', '9', ...PLAIN).ledger
    const before = await readSource(pipeline)
    // The last batch of partition 2 is the last of its fetch too: nothing behind it tells where it ends.
    const lost = await whileStopped(() => [damage(pipeline, 0, middle), damage(pipeline, 2, last)])
    pipeline.add('reduce')
    const aggregator = pipeline.add('aggregate')
    await vi.waitFor(() => expect(aggregator.linesOf('corrupt_batch')).toHaveLength(2), {
      timeout: 30_000,
      interval: 100,
    })
    for (const { partition, from, to } of lost) {
      const line = aggregator.linesOf('corrupt_batch').find(line => line.partition === partition)
      expect(line).toMatchObject({ from, to, skipped: true, waiting: false })
    }
    // The next events are told of when the loss can no longer touch them.
    await sleep(4_000)
    await pipeline.generate('--rate', '5000', '--seconds', '9', '--seed', '2', ...PLAIN).ledger
    const after = await readSource(pipeline, nextOffsets(before))
    const kept = [...before.filter(message => !lost.some(range => isIn(message, range))), ...after]

    await expectGaps(pipeline, kept, lost)
    await expectLetters(pipeline, lost)
    await expectCountToFail(pipeline)
  })
})

function nextOffsets(messages: readonly ReadMessage[]): Map<number, number> {
  return new Map(messages.map(({ partition, offset }) => [partition, offset + 1]))
}

/** All results are right in what can be read. Those that may lack events say so and where; the others vouch for all. */
async function expectGaps(pipeline: Pipeline, kept: readonly ReadMessage[], lost: readonly Damage[]): Promise<void> {
  const differences = await pipeline.differences(recountOf(pipeline, kept))
  const inexact = 'the result says that it is not exact'
  expect(differences.filter(line => !line.endsWith(inexact) && !line.startsWith('logs: '))).toEqual([])
  const gapsOf = new Map(lost.map(({ partition, from, to }) => [String(partition), [[from, to]]]))
  const results = [...(await pipeline.results()).byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, result]) => result)
  const named = new Set<string>()
  for (const { window, exact, coverage } of results) {
    const covered = Object.entries(coverage).filter(([, { gaps }]) => gaps !== undefined)
    expect(exact, `${window.start}: exact where there are no gaps`).toBe(covered.length === 0)
    for (const [partition, { gaps }] of covered) {
      named.add(partition)
      expect(gaps, `${window.start}, partition ${partition}`).toEqual(gapsOf.get(partition))
    }
  }
  expect([...named].sort()).toEqual([...gapsOf.keys()])
  const base = results.filter(({ window }) => window.size === windowSizeText(pipeline.settings.windowSizeMs))
  expect(base.map(({ exact }) => (exact ? '=' : 'x')).join('')).toMatch(/^=+x+=+$/)
}

async function expectLetters(pipeline: Pipeline, lost: readonly Damaged[]): Promise<void> {
  const found = (await letters(pipeline, 'corrupt_batch')).map(({ key, value, headers }) => {
    const [partition, from, to] = ['source.partition', 'source.offset', 'source.next_offset'].map(name =>
      Number(lastHeader(headers, name)),
    )
    return {
      partition,
      from,
      to,
      topic: lastHeader(headers, 'source.topic'),
      key,
      sameBytes: isSame(value, lost, partition),
    }
  })
  const topic = pipeline.topic('source')
  const wanted = lost.map(({ partition, from, to }) => ({ partition, from, to, topic, key: null, sameBytes: true }))
  expect(found.sort((a, b) => Number(a.partition) - Number(b.partition))).toEqual(wanted)
}

function isSame(value: Buffer | null, lost: readonly Damaged[], partition: number | undefined): boolean {
  const damaged = lost.find(each => each.partition === partition)
  return value !== null && damaged !== undefined && value.equals(damaged.bytes)
}

/** A command that reads a whole topic ends with the offsets that it could not read. */
async function expectCountToFail(pipeline: Pipeline): Promise<void> {
  const topic = pipeline.topic('deadLetters')
  const [{ partition }] = (await letters(pipeline, 'corrupt_batch')) as [ReadMessage]
  damageBatch(broker.dataDir, topic, { partition, batch: 0 }, flip)
  const { code, output } = await pipeline.run(['dlq', 'count'])
  expect(output).toMatch(new RegExp(`${topic}/${partition}, offsets from 0 `))
  expect(code).not.toBe(0)
}

test('batches that unpack to 200 MiB are set aside in little memory', async () => {
  const settings = { MAX_FUTURE_SKEW: '1s', CORRUPT_BATCHES: 'skip' }
  const codecs: readonly Compression[] = ['gzip', 'lz4', 'zstd']
  await withPipeline(broker, 'bombs', { aggregators: 0, reducers: 0, settings }, async pipeline => {
    const flags = ['--rate', '5000', '--seconds', '2', ...PLAIN]
    await pipeline.generate(...flags).ledger
    const before = await readSource(pipeline)
    pipeline.add('reduce')
    const aggregator = pipeline.add('aggregate')
    const lost: Damage[] = []
    for (const [partition, codec] of codecs.entries()) {
      const linesBefore = aggregator.lines.length
      const { from, to } = await plant(pipeline, partition, codec)
      const line = await aggregator.line('corrupt_batch', linesBefore)
      expect(line).toMatchObject({ partition, from, to, skipped: true, reason: expect.stringContaining(codec) })
      lost.push({ partition, from, to })
    }
    await pipeline.generate(...flags, '--seed', '2').ledger
    const after = await readSource(pipeline, new Map([...nextOffsets(before), ...lost.map(behind)]))

    const recount = recountOf(pipeline, [...before, ...after])
    await pipeline.settle(recount.windows)
    const peak = peakMemory(aggregator.process.pid)
    console.log(`an aggregator that met ${lost.length} bombs took ${Math.round(peak / MIB)} MiB at most`)
    // It takes up to 400 MB without them; to unpack a single one would take 200 MB more.
    expect(peak).toBeLessThan(520_000_000)
    const differences = await pipeline.differences(recount)
    expect(differences.filter(line => !line.endsWith('is not exact') && !line.startsWith('logs: '))).toEqual([])
  })
})

const behind = ({ partition, to }: Damage) => [partition, to] as const

/** Sends one batch of two hundred records of 1 MiB each, which comes to less than 1 MiB when packed. */
async function plant(pipeline: Pipeline, partition: number, codec: Compression): Promise<Damage> {
  const topic = pipeline.topic('source')
  const producer = createKafka(pipeline.settings.kafka, () => {}).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const value = Buffer.alloc(MIB, 0x20)
  const messages = Array.from({ length: 200 }, () => ({ key: null, value, partition }))
  const [sent] = await producer.send({ topic, messages, compression: CODEC_IDS[codec] })
  await producer.disconnect()
  const from = Number(sent?.baseOffset)
  return { partition, from, to: from + messages.length }
}

/** The most memory that a process has had resident, bytes. */
function peakMemory(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1]) * 1024
}
