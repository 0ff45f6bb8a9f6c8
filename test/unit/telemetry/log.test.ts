import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLogger, type LogFields, sampled, traceFields } from '../../../src/telemetry/log.ts'

type Line = Record<string, unknown>

function logTo(lines: Line[], logFormat: 'tidemark' | 'ecs' = 'tidemark'): ReturnType<typeof createLogger> {
  const to = { write: (text: string) => lines.push(JSON.parse(text)) }
  return createLogger({ logLevel: 'info', logFormat }, { role: 'aggregate' }, { to })
}

describe.each(['tidemark', 'ecs'] as const)('a line of %s', format => {
  it('is left out below the threshold, which may change', () => {
    const lines: Line[] = []
    const log = logTo(lines, format)
    log.debug('flushed')
    expect(lines).toEqual([])
    log.threshold = 'debug'
    log.debug('flushed')
    expect(lines).toHaveLength(1)
    expect(log.threshold).toBe('debug')
  })

  it('never shows personal data or secrets under their usual names', () => {
    const lines: Line[] = []
    logTo(lines, format).warn('kafka_client', {
      user_id: 'u-1',
      ip: '1.2.3.4',
      record: { value: 'v-1', device_id: 'd-1' },
      sasl: { password: 'p-1' },
    })
    expect(lines).toHaveLength(1)
    expect(JSON.stringify(lines)).not.toMatch(/u-1|1\.2\.3\.4|v-1|d-1|p-1/)
  })
})

describe('a line', () => {
  it('has a level, an ISO time, the bindings, the event and its fields', () => {
    const lines: Line[] = []
    logTo(lines).info('restored', { partition: 3, offset: 7 })
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/Z$/),
        role: 'aggregate',
        partition: 3,
        event: 'restored',
        offset: 7,
      },
    ])
  })

  it('shows an error with its code and stack', () => {
    const lines: Line[] = []
    logTo(lines).error('ended', { err: Object.assign(new Error('odd'), { code: 'fenced' }) })
    expect(lines[0]?.err).toMatchObject({ message: 'odd', code: 'fenced', stack: expect.stringContaining('at ') })
  })

  it('has the ids of the trace that it names', () => {
    const lines: Line[] = []
    const log = logTo(lines)
    log.info('live', traceFields('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'))
    log.info('live', traceFields(null))
    expect(lines[0]).toMatchObject({
      event: 'live',
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
    })
    expect(lines[1]).not.toHaveProperty('trace_id')
  })
})

describe('a line under the names of ECS', () => {
  it('keeps our own fields apart from those of the schema', () => {
    const lines: Line[] = []
    const log = logTo(lines, 'ecs')
    log.warn('restoring', { partition: 3, code: 'fenced', trace_id: 'a1', span_id: 'b2' })
    expect(lines).toEqual([
      {
        'log.level': 'warn',
        '@timestamp': expect.stringMatching(/^\d{4}-.*Z$/),
        'ecs.version': '8.11.0',
        'service.name': 'tidemark',
        'event.dataset': 'tidemark.aggregate',
        message: expect.stringMatching(/^The state of a partition .*\.$/),
        'event.action': 'restoring',
        'trace.id': 'a1',
        'span.id': 'b2',
        tidemark: { partition: 3, code: 'fenced' },
      },
    ])
  })

  it('belongs to the trace that it names', () => {
    const lines: Line[] = []
    const trace = traceFields('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
    logTo(lines, 'ecs').info('live', { ...trace, ...traceFields(null), ...traceFields('none') })
    expect(lines[0]).toMatchObject({
      'trace.id': '0af7651916cd43dd8448eb211c80319c',
      'span.id': 'b7ad6b7169203331',
    })
    expect(lines[0]).not.toHaveProperty('tidemark')
  })

  it('shows an error as the schema does', () => {
    const lines: Line[] = []
    logTo(lines, 'ecs').error('ended', { err: Object.assign(new TypeError('odd'), { code: 'fenced' }) })
    expect(lines[0]).toMatchObject({
      'error.type': 'TypeError',
      'error.message': 'odd',
      'error.code': 'fenced',
      'error.stack_trace': expect.stringContaining('at '),
    })
    expect(lines[0]).not.toHaveProperty('tidemark')
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
    some.write('warn', 'gap')
    some.write('warn', 'parked')
    vi.advanceTimersByTime(1_000)
    some.write('warn', 'gap')
    expect(lines.map(([event]) => event)).toEqual(['gap', 'parked', 'gap'])
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
