import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { redrivesTopic } from '../../src/kafka/topics.ts'
import { type DlqBench, dlq, startDlqBench, USER } from './dlqSupport.ts'
import { replaceTopicConfig } from './support/topicConfig.ts'

let bench: DlqBench

beforeAll(async () => {
  bench = await startDlqBench()
})
afterAll(async () => await bench?.stop())

test('letters are listed, counted and shown by code, time, partition and name, masked unless told otherwise', async () => {
  const stream = await bench.streamWith(letter => [
    letter(0, { code: 'late' }),
    letter(1, { code: 'not_json', value: 'marked-secret {', original: [['trace', 'marked-header']] }),
    letter(2, { code: 'late', key: null, value: null }),
    letter(3, { value: JSON.stringify({ user_id: USER, ip: '199.172.111.7', email: 'marked@secret', locale: 'NY' }) }),
  ])
  expect((await dlq(stream, 'count')).stdout).toBe(
    '           2  late\n           1  invalid_timestamp\n           1  not_json\n           4  in all\n',
  )
  expect((await dlq(stream, 'count', '--by', 'partition', '--json', '--code', 'late')).json()).toEqual([
    { total: 2, by_partition: { 0: { late: 1 }, 2: { late: 1 } } },
  ])
  const ids = async (...args: string[]) =>
    (await dlq(stream, 'list', '--json', ...args)).json().map(({ letter }: { letter: string }) => letter)
  expect(await ids()).toEqual(['0/0', '0/1', '1/0', '2/0'])
  expect(await ids('--partition', '0,2')).toEqual(['0/0', '0/1', '2/0'])
  expect(await ids('--from', '2026-01-31T08:00:01Z', '--to', '2026-01-31T08:00:03')).toEqual(['1/0', '2/0'])
  expect(await ids('--letter', '2/0,0/1', '--letter', '1/0')).toEqual(['0/1', '1/0', '2/0'])
  const first = await dlq(stream, 'list', '--limit', '2')
  expect(first.stdout.split('\n')).toEqual([
    expect.stringMatching(/^LETTER +FAILED AT +CODE +SOURCE +KEY +BYTES$/),
    expect.stringMatching(/^0\/0 +2026-01-31T08:00:00.000Z +late +source-\d+\/0@0 +ma…\(20\) +\d+$/),
    expect.stringMatching(/^0\/1 +.* invalid_timestamp +source-\d+\/0@3 /),
    '',
  ])
  expect(first.stderr).toContain('only the first 2 letters')

  for (const form of [[], ['--json']]) {
    const shown = await dlq(stream, 'show', ...form)
    expect(shown.stdout).not.toContain('marked')
    expect(shown.stdout).not.toContain('111.7')
    expect(shown.stdout).toContain('199.172.111.0')
    expect(shown.stdout).toMatch(/<15 bytes, sha256 [0-9a-f]{16}…>/)
    expect(shown.stderr).toBe('')
  }
  const revealed = await dlq(stream, 'show', '--letter', '1/0', '--reveal', '--json')
  expect(revealed.stderr).toContain('personal data is shown')
  expect(revealed.json()).toEqual([
    expect.objectContaining({
      letter: '1/0',
      key: USER,
      value: 'marked-secret {',
      headers: [['trace', 'marked-header']],
      masked: false,
    }),
  ])
  const missing = await dlq(stream, 'show', '--letter', '0/7,1/0')
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('0/7') })
  expect(missing.stdout).toContain('letter 1/0')
})

test('a time filter finds its letters also when the log begins long before', async () => {
  const now = Date.now()
  const stream = await bench.streamWith(letter => [
    letter(0),
    letter(3, { failedAt: now }),
    letter(6, { failedAt: now + 30_000 }),
  ])
  const from = new Date(now).toISOString()
  expect((await dlq(stream, 'count', '--json', '--from', from)).json()).toMatchObject([{ total: 2 }])
  // The second was written a little before it says that it failed.
  const between = new Date(now + 20_000).toISOString()
  expect((await dlq(stream, 'count', '--json', '--from', between)).json()).toMatchObject([{ total: 1 }])
  const future = new Date(now + 3_600_000).toISOString()
  expect((await dlq(stream, 'count', '--json', '--from', future)).json()).toMatchObject([{ total: 0 }])
})

test('a reader that is slow gets every line', async () => {
  const count = 2_000
  const stream = await bench.streamWith(letter => Array.from({ length: count }, (_, i) => letter(i)))
  // Far more than a pipe holds: what is still to be written when the command is done must not be lost with its process.
  const pipe = '"$0" "$1" dlq list --json | (sleep 2; wc -lc)'
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
  const env = { ...process.env, ...stream.env }
  const { stdout } = await promisify(execFile)('sh', ['-c', pipe, process.execPath, main], { env })
  const [lines = 0, bytes = 0] = stdout.trim().split(/\s+/).map(Number)
  expect(bytes).toBeGreaterThan(256 * 1024)
  expect(lines).toBe(count)
})

test('topics that are missing or would forget are refused with the remedy', async () => {
  const env = { KAFKA_BROKERS: bench.brokers, DLQ_TOPIC: 'no-such-dlq', SOURCE_TOPIC: 'no-such-source' }
  for (const args of [['list'], ['redrive', '--all']]) {
    const told = await dlq({ env }, ...args)
    expect(told).toMatchObject({ code: 3, stderr: expect.stringContaining("run 'tidemark topics' to create it") })
  }
  const stream = await bench.streamWith(letter => [letter(0)])
  await replaceTopicConfig(stream.kafka, redrivesTopic(stream.settings), { 'cleanup.policy': 'delete' })
  const told = await dlq(stream, 'redrive', '--all')
  expect(told).toMatchObject({ code: 3, stderr: expect.stringContaining('cleanup.policy=compact') })
  expect(await dlq(stream, 'list', '--partition', '3')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('0 to 2 are allowed'),
  })
})
