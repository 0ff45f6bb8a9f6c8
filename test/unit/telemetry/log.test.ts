import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLogger, type LogFields, sampled } from '../../../src/telemetry/log.ts'

type Line = Record<string, unknown>

function logTo(lines: Line[]): ReturnType<typeof createLogger> {
  const to = { write: (text: string) => lines.push(JSON.parse(text)) }
  return createLogger({ logLevel: 'info' }, { role: 'aggregate' }, { to })
}

describe('a line', () => {
  it('has a level, an ISO time, the bindings, the event and its fields', () => {
    const lines: Line[] = []
    logTo(lines).child({ partition: 3 }).info('partition_restored', { offset: 7 })
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/Z$/),
        role: 'aggregate',
        partition: 3,
        event: 'partition_restored',
        offset: 7,
      },
    ])
  })

  it('is left out below the level', () => {
    const lines: Line[] = []
    logTo(lines).debug('detail')
    expect(lines).toEqual([])
  })

  it('never shows personal data or secrets under their usual names', () => {
    const lines: Line[] = []
    logTo(lines).warn('oops', {
      user_id: 'u-1',
      ip: '1.2.3.4',
      record: { value: 'v-1', device_id: 'd-1' },
      sasl: { password: 'p-1' },
    })
    expect(JSON.stringify(lines)).not.toMatch(/u-1|1\.2\.3\.4|v-1|d-1|p-1/)
  })

  it('shows an error with its code and stack', () => {
    const lines: Line[] = []
    logTo(lines).error('crashed', { err: Object.assign(new Error('odd'), { code: 'fenced' }) })
    expect(lines[0]?.err).toMatchObject({ message: 'odd', code: 'fenced', stack: expect.stringContaining('at ') })
  })
})

describe('sampled', () => {
  const lines: [string, LogFields | undefined][] = []
  const log = { write: (_level: string, event: string, fields?: LogFields) => void lines.push([event, fields]) }
  beforeEach(() => {
    lines.length = 0
    vi.useFakeTimers()
  })
  afterEach(() => vi.useRealTimers())

  it('writes the first at once and one a second after it, counting the suppressed', () => {
    const some = sampled(log)
    for (let i = 0; i < 100; i++) some.write('warn', 'rejected', { i })
    expect(lines).toEqual([['rejected', { i: 0 }]])
    vi.advanceTimersByTime(1_000)
    expect(lines.slice(1)).toEqual([['rejected', { i: 99, suppressed: 98 }]])
    some.write('warn', 'rejected', { i: 100 })
    vi.advanceTimersByTime(999)
    expect(lines).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(lines.slice(2)).toEqual([['rejected', { i: 100, suppressed: 0 }]])
  })

  it('keeps kinds apart, and lets the first through again after a quiet second', () => {
    const some = sampled(log)
    some.write('warn', 'a')
    some.write('warn', 'b')
    vi.advanceTimersByTime(1_000)
    some.write('warn', 'a')
    expect(lines.map(([event]) => event)).toEqual(['a', 'b', 'a'])
  })

  it('loses nothing at the end', () => {
    const some = sampled(log)
    for (let i = 0; i < 3; i++) some.write('warn', 'rejected', { i })
    some.flush()
    some.flush()
    expect(lines).toEqual([
      ['rejected', { i: 0 }],
      ['rejected', { i: 2, suppressed: 1 }],
    ])
    expect(vi.getTimerCount()).toBe(0)
  })
})
