import { SpanKind } from '@opentelemetry/api'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { SentMessage } from '../../../../src/dev/generator/batchSender.ts'
import { inTrace, tracedSender } from '../../../../src/telemetry/tracing/tracedSender.ts'
import { memorySpans } from './memorySpans.ts'

const CONTEXT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const message = (bytes = 10, ...headers: SentMessage['headers'][number][]): SentMessage => {
  return { key: Buffer.from('k'), value: Buffer.alloc(bytes), headers, timestamp: 1 }
}

const memory = memorySpans()
afterAll(() => memory.close())
beforeEach(() => void memory.taken())

describe('a batch', () => {
  it('is one span, and all its records carry the context', async () => {
    const sent: SentMessage[] = []
    const send = async (_topic: string, _partition: number, messages: readonly SentMessage[]) => {
      sent.push(...messages)
      return { baseOffset: 5 }
    }
    const sender = tracedSender({ send, close: async () => {} }, memory.tracer)
    const { baseOffset, traceparent } = await sender.send('user-login', 2, [message(), message()])
    expect(baseOffset).toBe(5)
    const [span, ...others] = memory.taken()
    expect(others).toEqual([])
    expect([span?.name, span?.kind]).toEqual(['send user-login', SpanKind.PRODUCER])
    expect(span?.attributes).toMatchObject({
      'messaging.destination.partition.id': '2',
      'messaging.batch.message_count': 2,
    })
    const { traceId, spanId } = span!.spanContext()
    expect(traceparent).toBe(`00-${traceId}-${spanId}-01`)
    const own = [['traceparent', traceparent]]
    expect(sent.map(({ headers }) => headers)).toEqual([own, own])
  })

  it('that was not acknowledged has failed', async () => {
    const send = () => Promise.reject(new Error('no answer'))
    const sender = tracedSender({ send, close: async () => {} }, memory.tracer)
    await expect(sender.send('user-login', 2, [message()])).rejects.toThrow('no answer')
    expect(memory.taken()[0]?.attributes['error.type']).toBe('_OTHER')
  })
})

describe('the context of records', () => {
  it('takes the place of one that was made up, and leaves other headers', () => {
    const [sent] = inTrace([message(1, ['traceparent', 'made up'], ['via', 'edge'])], CONTEXT)
    expect(sent?.headers).toEqual([
      ['via', 'edge'],
      ['traceparent', CONTEXT],
    ])
  })

  it('is none where the batch is not sampled', () => {
    const plain = message()
    expect(inTrace([plain, message(1, ['traceparent', 'made up'])], null)).toEqual([plain, message(1)])
  })

  it('is left out of a batch that would become larger than brokers take', () => {
    const large = [message(999_000), ...Array.from({ length: 20 }, () => message())]
    expect(inTrace(large, CONTEXT)).toEqual(large)
  })
})
