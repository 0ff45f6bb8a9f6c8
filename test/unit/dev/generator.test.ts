import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { BatchSender, SentMessage } from '../../../src/dev/generator/batchSender.ts'
import { createEventSource } from '../../../src/dev/generator/eventSource.ts'
import { runGenerator } from '../../../src/dev/generator/generator.ts'
import { Ledger, writeLedger } from '../../../src/dev/generator/ledger.ts'
import { Outbox } from '../../../src/dev/generator/outbox.ts'
import { createRecount, type RecountRules } from '../../../src/dev/recount.ts'

const RULES: RecountRules = {
  windowSizeMs: 10_000,
  allowedLatenessMs: 30_000,
  maxFutureSkewMs: 300_000,
  maxEventBytes: 1_000_000,
  validationRequired: ['user_id', 'timestamp'],
}
const FLAT_OUT = { topic: 'logins', rate: 0, events: null, seconds: null }

/** A broker in memory: a log for each partition, and a failure when asked for. */
class MemoryBroker implements BatchSender {
  readonly logs = new Map<number, SentMessage[]>()
  failAtSend: number | null = null
  underWay = 0
  mostUnderWay = 0
  sends = 0

  async send(_topic: string, partition: number, messages: readonly SentMessage[]) {
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
    await nextTurn()
    this.underWay--
    if (++this.sends === this.failAtSend) throw new Error('connection closed')
    const log = this.logs.get(partition) ?? []
    this.logs.set(partition, log)
    const baseOffset = log.length
    log.push(...messages)
    return { baseOffset }
  }

  async close() {}

  /** All that is in the logs, counted anew. */
  recount() {
    const recount = createRecount(RULES)
    for (const [partition, log] of this.logs) {
      for (const [offset, message] of log.entries()) recount.add({ partition, offset, ...message })
    }
    return recount.result()
  }
}

const never = new AbortController().signal

describe('a run', () => {
  test('sends just the number of events asked for, one batch at a time, and its ledger is what the log holds', async () => {
    const broker = new MemoryBroker()
    const ledger = new Ledger('logins', RULES)
    const source = createEventSource({ partitions: 5 })
    const summary = await runGenerator({ ...FLAT_OUT, events: 20_001 }, source, broker, ledger, never)
    expect(summary.acknowledged).toBe(20_001)
    expect(Object.values(summary.made).reduce((sum, count) => sum + count, 0)).toBe(20_001)
    expect(broker.mostUnderWay).toBe(1)
    const content = ledger.content(true)
    const { partitions, windows } = broker.recount()
    expect(content).toMatchObject({ complete: true, finished: true, acknowledged: 20_001, unknown: [], windows })
    for (const [partition, log] of broker.logs) {
      const { records, ...counts } = partitions[partition]!
      expect(records).toBe(log.length)
      expect(content.partitions[partition]).toEqual({
        acknowledged: log.length,
        first_offset: 0,
        next_offset: log.length,
        gaps: [],
        ...counts,
      })
    }
  })

  test('keeps to its rate', async () => {
    const ledger = new Ledger('logins', RULES)
    const options = { topic: 'logins', rate: 5_000, events: null, seconds: 1 }
    const { acknowledged, seconds } = await runGenerator(
      options,
      createEventSource(),
      new MemoryBroker(),
      ledger,
      never,
    )
    expect(acknowledged).toBeGreaterThan(4_000)
    expect(acknowledged).toBeLessThan(5_000 * seconds + 1)
  })

  test('ends on the signal, with a ledger of what was sent', async () => {
    const broker = new MemoryBroker()
    const ledger = new Ledger('logins', RULES)
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 100)
    await runGenerator(FLAT_OUT, createEventSource(), broker, ledger, stop.signal)
    expect(ledger.acknowledged).toBeGreaterThan(0)
    expect(ledger.content(true)).toMatchObject({ complete: true, windows: broker.recount().windows })
  })

  test('ends at a send of unknown outcome, and the ledger says so', async () => {
    const broker = new MemoryBroker()
    broker.failAtSend = 3
    const ledger = new Ledger('logins', RULES)
    const run = runGenerator({ ...FLAT_OUT, events: 50_000 }, createEventSource(), broker, ledger, never)
    await expect(run).rejects.toMatchObject({ code: 'delivery_failed' })
    const content = ledger.content(true)
    expect(broker.sends).toBe(3)
    expect(content).toMatchObject({ complete: false, unknown: [{ error: 'connection closed' }] })
    expect(content.acknowledged).toBe([...broker.logs.values()].reduce((sum, log) => sum + log.length, 0))
  })
})

describe('a ledger is not complete', () => {
  const message: SentMessage = { key: Buffer.from('k'), value: Buffer.from('{}'), headers: [], timestamp: 1_000 }

  test('when the log did not begin with its first message', () => {
    const ledger = new Ledger('logins', RULES)
    ledger.acknowledge(0, 10, [message, message])
    expect(ledger.content(true)).toMatchObject({
      complete: false,
      partitions: { 0: { first_offset: 10, next_offset: 12, rejected: { missing_user_id: 2 } } },
    })
  })

  test('when somebody else wrote in between', () => {
    const ledger = new Ledger('logins', RULES)
    ledger.acknowledge(0, 0, [message])
    ledger.acknowledge(0, 3, [message])
    expect(ledger.content(true)).toMatchObject({
      complete: false,
      partitions: { 0: { acknowledged: 2, gaps: [[1, 3]] } },
    })
  })

  test.each([0, -1, Number.NaN])('when Kafka acknowledged with the offset %d a second time', offset => {
    const ledger = new Ledger('logins', RULES)
    ledger.acknowledge(0, 0, [message])
    expect(ledger.acknowledge(0, offset, [message])).toBe(false)
    expect(ledger.content(true)).toMatchObject({
      complete: false,
      acknowledged: 1,
      unknown: [{ partition: 0, messages: 1 }],
    })
  })
})

test('a ledger is counted by headers and by the depth set, too', () => {
  const ledger = new Ledger('logins', { ...RULES, maxEventDepth: 2 })
  const message = (event: object, headers: SentMessage['headers'] = []) => {
    return { key: Buffer.from('k'), value: Buffer.from(JSON.stringify(event)), headers, timestamp: 20_000 }
  }
  const headers = [['ce_specversion', '1.0'] as const, ['ce_time', '1970-01-01T00:00:20Z'] as const]
  ledger.acknowledge(0, 0, [message({ user_id: 'u' }, headers), message({ user_id: 'u', timestamp: 20, x: [[]] })])
  const content = ledger.content(true)
  expect(content.rules.maxEventDepth).toBe(2)
  expect(content.partitions[0]).toMatchObject({ accepted: 1, rejected: { too_deep: 1 } })
})

test('a ledger file is replaced as a whole', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ledger-test-'))
  try {
    const file = join(folder, 'ledger.json')
    const ledger = new Ledger('logins', RULES)
    await writeLedger(file, ledger.content(false))
    await writeLedger(file, ledger.content(true))
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ v: 1, finished: true, rules: RULES })
    expect(await readdir(folder)).toEqual(['ledger.json'])
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('an outbox gives full batches first, then those that have waited', () => {
  const outbox = new Outbox(2, 1_000, 50)
  const message = (timestamp: number, bytes = 0) => ({
    key: Buffer.alloc(0),
    value: Buffer.alloc(bytes),
    headers: [],
    timestamp,
  })
  expect(outbox.add(0, message(100))).toBe(false)
  expect(outbox.take(149)).toBe(null)
  outbox.add(1, message(120))
  expect(outbox.add(1, message(121))).toBe(true)
  expect(outbox.take(150)).toEqual({ partition: 1, messages: [message(120), message(121)] })
  expect(outbox.take(150)?.partition).toBe(0)
  expect(outbox.add(2, message(150, 1_000))).toBe(true)
  expect(outbox.take(150)?.partition).toBe(2)
  outbox.add(3, message(150))
  expect(outbox.take(150, true)?.partition).toBe(3)
  expect(outbox.size).toBe(0)
})
