import { describe, expect, it } from 'vitest'
import { type RedrivePorts, RedriveRun } from '../../../src/commands/dlq/redrive.ts'
import { TidemarkError } from '../../../src/errors.ts'
import type { DeadLetter } from '../../../src/kafka/deadLetters.ts'

function letterOf(offset: number, over: Partial<DeadLetter['failure']> = {}, value = Buffer.from('{}')): DeadLetter {
  return {
    partition: 0,
    offset,
    timestamp: 0,
    key: null,
    value,
    originalHeaders: [],
    failure: {
      code: 'not_json',
      message: '',
      sourceTopic: 'user-login',
      sourcePartition: 1,
      sourceOffset: offset,
      sourceTimestamp: 0,
      failedAt: 0,
      wholeBytes: null,
      ...over,
    },
  }
}

/** A run whose clock moves only by its pauses and by `sendMs` for each transaction. */
function harness(options: Partial<ConstructorParameters<typeof RedriveRun>[1]> = {}, over: Partial<RedrivePorts> = {}) {
  const batches: number[][] = []
  const sentAt: number[] = []
  const told = { stdout: '', stderr: '' }
  let clock = 1_000
  const ports: RedrivePorts = {
    redriver: {
      redrive: async (letters, at) => {
        batches.push(letters.map(({ offset }) => offset))
        sentAt.push(at)
        clock += 5
        return letters.map(letter => ({ letter, partition: 1, offset: 100 + letter.offset }))
      },
    },
    marks: { redrivenAt: () => null },
    sourceTopic: 'user-login',
    source: { partitions: 2, maxMessageBytes: 1_000_000 },
    context: {
      stdout: { write: (text: string) => (told.stdout += text) },
      stderr: { write: (text: string) => (told.stderr += text) },
    },
    now: () => clock,
    pause: async ms => {
      clock += Math.max(0, ms)
    },
    stopped: () => false,
    ...over,
  }
  const filter = { codes: null, from: null, to: null, partitions: null, letters: null }
  const run = new RedriveRun(ports, { filter, rate: 0, limit: null, force: false, json: false, ...options })
  return { run, batches, sentAt, told, letClockPass: (ms: number) => (clock += ms) }
}

async function takeAll(run: RedriveRun, count: number): Promise<void> {
  for (let offset = 0; offset < count; offset++) if (!(await run.take(letterOf(offset)))) return
}

describe('a redrive', () => {
  it('sends in transactions of a tenth of a second, and never faster than its rate', async () => {
    const { run, batches, sentAt } = harness({ rate: 40 })
    await takeAll(run, 10)
    expect(await run.finish()).toBe(true)
    expect(batches).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ])
    expect(sentAt).toEqual([1_000, 1_100, 1_200])
  })

  it('does not catch up after a wait', async () => {
    const { run, sentAt, letClockPass } = harness({ rate: 10 })
    await run.take(letterOf(0))
    letClockPass(10_000)
    for (const offset of [1, 2]) await run.take(letterOf(offset))
    const [, second = 0, third = 0] = sentAt
    expect(third - second).toBe(100)
  })

  it('without a rate holds at most 500 letters, and no more bytes than a record batch may have', async () => {
    const { run, batches } = harness()
    await takeAll(run, 501)
    expect(batches.map(batch => batch.length)).toEqual([500])
    await run.finish()
    expect(batches.map(batch => batch.length)).toEqual([500, 1])

    const large = harness()
    for (const offset of [0, 1, 2, 3]) await large.run.take(letterOf(offset, {}, Buffer.alloc(200_000)))
    await large.run.finish()
    expect(large.batches).toEqual([
      [0, 1],
      [2, 3],
    ])
  })

  it('its limit counts what is redriven, not what is refused', async () => {
    const { run, batches } = harness({ limit: 2 }, { marks: { redrivenAt: ({ offset }) => (offset < 3 ? 7 : null) } })
    const taken: boolean[] = []
    for (let offset = 0; offset < 6; offset++) taken.push(await run.take(letterOf(offset)))
    expect(batches).toEqual([[3, 4]])
    expect(taken).toEqual([true, true, true, true, false, false])
    expect(await run.finish()).toBe(false)
  })

  it('says of each letter what became of it, and sums up', async () => {
    const marks = { redrivenAt: ({ offset }: DeadLetter) => (offset === 1 ? 0 : null) }
    const text = harness({}, { marks })
    for (const letter of [letterOf(0), letterOf(1), letterOf(2, { code: 'late' })]) await text.run.take(letter)
    expect(await text.run.finish()).toBe(false)
    text.run.summarize()
    expect(text.told.stdout).toBe(
      'redriven 0/0 to user-login/1@100\nredriven 0/2 to user-login/1@102\n2 redriven, 1 refused (already_redriven 1)\n',
    )
    expect(text.told.stderr).toMatch(
      /^refused 0\/1 already_redriven: .*, at 1970-01-01T00:00:00.000Z\nnote: 1 of them /,
    )

    const json = harness({ json: true }, { marks })
    for (const letter of [letterOf(0), letterOf(1)]) await json.run.take(letter)
    await json.run.finish()
    json.run.summarize()
    expect(
      json.told.stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line)),
    ).toEqual([
      { letter: '0/1', outcome: 'refused', reason: 'already_redriven' },
      { letter: '0/0', outcome: 'redriven', to: { partition: 1, offset: 100 } },
      { dry_run: false, redriven: 1, refused: { already_redriven: 1 } },
    ])
  })

  it('forced does again what was done, but nothing that cannot be', async () => {
    const { run, batches } = harness({ force: true }, { marks: { redrivenAt: () => 7 } })
    await run.take(letterOf(0))
    await run.take(letterOf(1, { wholeBytes: 9 }))
    expect(await run.finish()).toBe(false)
    expect(batches).toEqual([[0]])
  })

  it('writes the record of several letters once, also when forced', async () => {
    for (const force of [false, true]) {
      const { run, batches, told } = harness({ force })
      for (const letter of [letterOf(0), letterOf(1, { sourceOffset: 0 }), letterOf(2)]) await run.take(letter)
      expect(await run.finish()).toBe(false)
      expect(batches).toEqual([[0, 2]])
      expect(told.stderr).toMatch(/^refused 0\/1 repeated: /)
    }
  })

  it('takes nothing more once it is stopped, and sends what it holds', async () => {
    let stopped = false
    const { run, batches } = harness({}, { stopped: () => stopped })
    expect(await run.take(letterOf(0))).toBe(true)
    stopped = true
    expect(await run.take(letterOf(1))).toBe(false)
    expect(await run.finish()).toBe(true)
    expect(batches).toEqual([[0]])
  })

  it('tells which of the letters named were not there', async () => {
    const letters = new Map([[0, new Set([0, 9])]])
    const filter = { codes: null, from: null, to: null, partitions: null, letters }
    const { run, told } = harness({ filter })
    await run.take(letterOf(0))
    expect(await run.finish()).toBe(false)
    expect(told.stderr).toContain('0/9')
    expect(told.stderr).not.toContain('0/0')
  })

  it('does not count what was not committed', async () => {
    const fenced = new TidemarkError('fenced', 'by another')
    const { run, told } = harness({}, { redriver: { redrive: () => Promise.reject(fenced) } })
    await run.take(letterOf(0))
    await expect(run.finish()).rejects.toBe(fenced)
    run.summarize()
    expect(told.stdout).toBe('0 redriven, 0 refused\n')
  })
})
