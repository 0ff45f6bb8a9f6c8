import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoleLine } from '../../src/dev/roleProcess.ts'
import { ensureTopics, redrivesTopic, withAdmin } from '../../src/kafka/topics.ts'
import type { RecordHeader } from '../../src/tasks/recordBatch.ts'
import type { OutputRecord } from '../../src/tasks/task.ts'
import { type DlqBench, dlq, FAILED_AT, PARTITIONS, type SourceRecord, startDlqBench, USER } from './dlqSupport.ts'

let bench: DlqBench

beforeAll(async () => {
  bench = await startDlqBench()
})
afterAll(async () => await bench?.stop())

const letters = (count: number) => (letter: (offset: number) => OutputRecord) =>
  Array.from({ length: count }, (_, i) => letter(i))

/** The numbers of the letters' records in the source topic, sorted: each once when nothing was lost or repeated. */
const numbers = (records: readonly SourceRecord[]) =>
  records.map(({ value }) => (JSON.parse(value ?? '') as { n: number }).n).sort((a, b) => a - b)

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

test('a redriven record is the original with a header more, in its partition, once; forced, again', async () => {
  const original: RecordHeader[] = [
    ['b', 'x'],
    ['a', 'y'],
  ]
  const stream = await bench.streamWith(letter => [
    letter(1, { original }),
    letter(4, { key: null, value: null, code: 'empty_value' }),
    letter(2),
  ])
  const dry = await dlq(stream, 'redrive', '--all', '--dry-run')
  expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/\n3 would be redriven, 0 refused\n$/) })
  expect(await bench.readSource(stream)).toEqual([])

  const startedAt = Date.now()
  const done = await dlq(stream, 'redrive', '--partition', '1')
  expect(done).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('2 redriven, 0 refused') })
  expect(done.stdout).toContain(`redriven 1/0 to ${stream.settings.topics.source}/1@0\n`)
  expect(done.stdout).toContain(`redriven 1/1 to ${stream.settings.topics.source}/1@1\n`)
  const records = await bench.readSource(stream)
  expect(records).toEqual([
    {
      partition: 1,
      timestamp: expect.any(Number),
      key: USER,
      value: JSON.stringify({ user_id: USER, n: 1 }),
      headers: [...original, ['redrive.of', '1/0']],
    },
    { partition: 1, timestamp: expect.any(Number), key: null, value: null, headers: [['redrive.of', '1/1']] },
  ])
  for (const { timestamp } of records) expect(timestamp).toBeGreaterThanOrEqual(startedAt)

  const again = await dlq(stream, 'redrive', '--all')
  expect(again).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('1 redriven, 2 refused (already_redriven 2)'),
  })
  expect(again.stderr).toMatch(/^refused 1\/0 already_redriven: .*--force.*, at 20/)
  expect(await bench.readSource(stream)).toHaveLength(3)

  const forced = await dlq(stream, 'redrive', '--letter', '1/0', '--force')
  expect(forced.code).toBe(0)
  expect((await bench.readSource(stream)).filter(({ headers }) => headers.at(-1)?.[1] === '1/0')).toHaveLength(2)
})

test('what is no whole login event of this source is refused with its reason, and the rest is redriven', async () => {
  const stream = await bench.streamWith(letter => [
    letter(0, { code: 'partial_too_late', topic: 'login-partials' }),
    letter(1, { code: 'corrupt_batch', more: [['source.next_offset', '9']] }),
    letter(2, { more: [['value.bytes', '5000000']] }),
    letter(3, { topic: 'another-topic' }),
    letter(4, { partition: PARTITIONS + 1 }),
    letter(5, { value: 'x'.repeat(1_060_000) }),
    { topic: 'deadLetters', partition: 0, key: 'k', value: 'not ours' },
    letter(6, { code: 'late' }),
  ])
  const done = await dlq(stream, 'redrive', '--all', '--json')
  expect(done.code).toBe(1)
  expect(done.json().at(-1)).toEqual({
    dry_run: false,
    redriven: 1,
    refused: {
      not_an_event: 2,
      cut: 1,
      other_topic: 1,
      no_such_partition: 1,
      too_large: 1,
      not_a_letter: 1,
    },
  })
  expect(done.stderr).toContain('1 of them failed as late')
  expect(numbers(await bench.readSource(stream))).toEqual([6])
})

test('--limit goes on where the run before has ended, and the rate is kept', async () => {
  const stream = await bench.streamWith(letters(60))
  expect((await dlq(stream, 'redrive', '--all', '--limit', '20', '--rate', '0')).code).toBe(0)
  expect(await bench.readSource(stream)).toHaveLength(20)
  const startedAt = performance.now()
  const rest = await dlq(stream, 'redrive', '--all', '--rate', '20')
  expect(rest).toMatchObject({ code: 1, stdout: expect.stringContaining('40 redriven, 20 refused') })
  // 40 records at 20 a second, the first of them at once.
  expect(performance.now() - startedAt).toBeGreaterThan(1_800)
  expect(numbers(await bench.readSource(stream))).toEqual(upTo(60))
})

test('killed at any moment and run again, each letter is in the source topic once', async () => {
  const stream = await bench.streamWith(letters(300))
  // A transaction holds 15 records and follows the one before after 100 ms.
  for (const [afterLines, waitMs] of [
    [1, 0],
    [40, 95],
    [100, 103],
  ] as const) {
    let lines = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const running = bench.redriveProcess(stream, ['--all', '--rate', '150'], line => {
      if (line.outcome === 'redriven' && ++lines === afterLines) resolve()
    })
    await Promise.race([promise, running.exited])
    await sleep(waitMs)
    running.kill('SIGKILL')
    expect(await running.exited).toBe(-1)
  }
  const last = await dlq(stream, 'redrive', '--all', '--rate', '0')
  expect(last.code).toBe(1)
  expect(last.stdout).toMatch(/\n[1-9]\d* redriven, [1-9]\d* refused/)
  expect(numbers(await bench.readSource(stream))).toEqual(upTo(300))
})

test('a transaction that a killed redrive left open is undone by the next one, which does its letters again', async () => {
  const stream = await bench.streamWith(letters(3))
  const zombie = stream.kafka.producer({
    transactionalId: `${stream.settings.consumerGroup}-redrive`,
    maxInFlightRequests: 1,
  })
  await zombie.connect()
  const open = await zombie.transaction()
  await open.send({ topic: stream.settings.topics.source, messages: [{ partition: 0, value: '{"n":0}' }] })
  const at = { topic: stream.settings.topics.source, partition: 0, offset: 0, timestamp: FAILED_AT - 5_000 }
  const mark = { at: new Date().toISOString(), to: 0, source: at }
  await open.send({ topic: redrivesTopic(stream.settings), messages: [{ key: '0/0', value: JSON.stringify(mark) }] })
  expect(await dlq(stream, 'redrive', '--all')).toMatchObject({ code: 0 })
  await expect(open.commit()).rejects.toThrow()
  expect(numbers(await bench.readSource(stream))).toEqual(upTo(3))
  await zombie.disconnect()
})

test('of two at once the later takes over, the earlier says so, and each letter is in the source topic once', async () => {
  const stream = await bench.streamWith(letters(200))
  const { promise, resolve } = Promise.withResolvers<void>()
  const earlier = bench.redriveProcess(stream, ['--all', '--rate', '20'], line => {
    if (line.outcome === 'redriven') resolve()
  })
  await Promise.race([promise, earlier.exited])
  const later = await dlq(stream, 'redrive', '--all', '--rate', '0')
  expect(later).toMatchObject({ code: 1, stdout: expect.stringMatching(/ redriven, \d+ refused \(already_redriven/) })
  expect(await earlier.exited).toBe(1)
  expect(earlier.printed()).toContain('another redrive of this CONSUMER_GROUP has taken over')
  expect(numbers(await bench.readSource(stream))).toEqual(upTo(200))
})

test('SIGTERM ends a redrive between two transactions, with a summary', async () => {
  const stream = await bench.streamWith(letters(200))
  let lines = 0
  let last: RoleLine = {}
  const { promise, resolve } = Promise.withResolvers<void>()
  const running = bench.redriveProcess(stream, ['--all', '--rate', '20'], line => {
    last = line
    if (++lines === 4) resolve()
  })
  await Promise.race([promise, running.exited])
  running.kill('SIGTERM')
  expect(await running.exited).toBe(0)
  const done = (await bench.readSource(stream)).length
  expect(last).toEqual({ dry_run: false, redriven: done, refused: {} })
  expect(done).toBeLessThan(200)
})

test('a record with several letters is redriven once, whichever letter is taken', async () => {
  const stream = await bench.streamWith(letter => [letter(0), letter(0), letter(3), letter(0)])
  const done = await dlq(stream, 'redrive', '--letter', '0/1,0/2')
  expect(done.code).toBe(0)
  const rest = await dlq(stream, 'redrive', '--all')
  expect(rest).toMatchObject({ code: 1, stdout: expect.stringContaining('0 redriven, 4 refused (already_redriven 4)') })
  expect(numbers(await bench.readSource(stream))).toEqual([0, 3])
  const forced = await dlq(stream, 'redrive', '--all', '--force')
  expect(forced.stdout).toContain('2 redriven, 2 refused (repeated 2)')
  expect(numbers(await bench.readSource(stream))).toEqual([0, 0, 3, 3])
})

test('letters of a dead-letter topic that was made anew are not taken for those redriven before', async () => {
  const stream = await bench.streamWith(letter => [letter(0)])
  expect((await dlq(stream, 'redrive', '--all')).code).toBe(0)
  const topic = stream.settings.topics.deadLetters
  await withAdmin(stream.kafka, admin => admin.deleteTopics({ topics: [topic] }))
  await expect.poll(() => bench.reader.partitionCount(topic), { timeout: 10_000 }).toBeNull()
  await expect
    .poll(() => ensureTopics(stream.kafka, stream.settings), { timeout: 10_000 })
    .toMatchObject({ created: [topic] })
  await bench.write(stream, letter => [letter(9, { partition: 0 })])
  expect((await dlq(stream, 'redrive', '--all')).code).toBe(0)
  expect(numbers(await bench.readSource(stream))).toEqual([0, 9])
})
