import { type LogRecord, ROOT_CONTEXT, SeverityNumber, trace } from '@opentelemetry/api'
import {
  ATTR_EXCEPTION_MESSAGE,
  ATTR_EXCEPTION_STACKTRACE,
  ATTR_EXCEPTION_TYPE,
} from '@opentelemetry/semantic-conventions'
import { afterEach, describe, expect, it } from 'vitest'
import { TidemarkError } from '../../../../src/errors.ts'
import { EVENTS } from '../../../../src/telemetry/events.ts'
import { createLogger, hearLines } from '../../../../src/telemetry/log.ts'
import { emitLines, logRecord } from '../../../../src/telemetry/otel/logRecords.ts'

const IDS = { trace_id: 'c0ffee00c0ffee00c0ffee00c0ffee00', span_id: 'decafbaddecafbad' }

afterEach(() => hearLines(null))

/** A log of which all lines are heard, and what became of them. */
function heard(logFormat: 'tidemark' | 'ecs' = 'tidemark') {
  const records: LogRecord[] = []
  const lines: string[] = []
  hearLines(emitLines({ emit: record => records.push(record) }))
  const to = { write: (line: string) => lines.push(line) }
  return { records, lines, log: createLogger({ logLevel: 'info', logFormat }, { role: 'reduce' }, { to }) }
}

describe('a line as a log record', () => {
  it('has the name of its event, what that means, and its fields', () => {
    const { log, records, lines } = heard()
    log.info('assigned', { epoch: 3, partitions: [0, 2], nothing: undefined })
    expect(lines).toHaveLength(1)
    expect(records).toEqual([
      {
        eventName: 'tidemark.assigned',
        body: EVENTS.assigned,
        severityNumber: SeverityNumber.INFO,
        severityText: 'info',
        attributes: { 'tidemark.epoch': 3, 'tidemark.partitions': [0, 2] },
        context: ROOT_CONTEXT,
      },
    ])
  })

  it('is the same whatever format the lines have', () => {
    const formats = (['tidemark', 'ecs'] as const).map(format => {
      const { log, records } = heard(format)
      log.warn('gap', { from: 1, to: 9 })
      return records
    })
    expect(formats[0]).toEqual(formats[1])
    expect(formats[0]).toHaveLength(1)
  })

  it('belongs to the span that it names', () => {
    const { context, attributes } = logRecord('error', 'gap', { from: 1, ...IDS })
    expect(trace.getSpanContext(context ?? ROOT_CONTEXT)).toMatchObject({ traceId: IDS.trace_id, spanId: IDS.span_id })
    expect(attributes).toEqual({ 'tidemark.from': 1 })
  })

  it('tells an error under the names of the semantic conventions', () => {
    const { attributes } = logRecord('fatal', 'ended', { err: new TidemarkError('fenced', 'gone'), exit_code: 4 })
    expect(attributes).toEqual({
      'tidemark.exit_code': 4,
      [ATTR_EXCEPTION_TYPE]: 'TidemarkError',
      [ATTR_EXCEPTION_MESSAGE]: 'gone',
      [ATTR_EXCEPTION_STACKTRACE]: expect.stringContaining('logRecords.test.ts'),
      'error.type': 'fenced',
    })
  })

  it('masks what is never logged, and knows only values that JSON has', () => {
    const { log, records } = heard()
    log.error('request_failed', { ip: '1.2.3.4', deep: { user_id: 'u', n: 1 }, at: new Date(0), offset: 5n })
    expect(records[0]?.attributes).toEqual({
      'tidemark.ip': '***',
      'tidemark.deep': { user_id: '***', n: 1 },
      'tidemark.at': '1970-01-01T00:00:00.000Z',
      'tidemark.offset': '5',
    })
  })

  it('is made of lines that are written, and not of the troubles of sending it', () => {
    const { log, records, lines } = heard()
    log.debug('flushed', {})
    log.warn('tracing_trouble', { message: 'nobody answers' })
    expect(records).toEqual([])
    expect(lines).toHaveLength(1)
    hearLines(null)
    log.info('drained')
    expect(records).toEqual([])
  })
})
