import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { TidemarkError } from '../../../../src/errors.ts'
import type { Delivery } from '../../../../src/runtime/ports.ts'
import type { OutputRecord } from '../../../../src/tasks/task.ts'
import type { CaptureTrace } from '../../../../src/tasks/traceContext.ts'
import { TracedDelivery, type TracedPlace } from '../../../../src/telemetry/tracing/tracedDelivery.ts'
import { headersOf } from '../../support.ts'
import { type EndedSpan, memorySpans } from './memorySpans.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const contextOf = (n: number) => `00-${TRACE}-${n.toString(16).padStart(16, '0')}-01`
/** A trace of its own. */
const OTHER = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const captureOf = (...links: string[]): CaptureTrace => ({
  ...{ links, records: 7, sinceMs: 1_700_000_000_000, fetches: [] },
})
const COMMIT = { offset: 12, metadata: '' }
const PLACE: TracedPlace = { topic: 'user-login', partition: 3, group: 'g', topicOf: ({ topic }) => `the-${topic}` }
const record = (topic: OutputRecord['topic']): OutputRecord => ({ topic, partition: 0, key: 'k', value: '{"v":1}' })

const memory = memorySpans()
afterAll(() => memory.close())
beforeEach(() => void memory.taken())

/** A delivery that keeps what it is given, and fails at one step. */
class Kept implements Delivery {
  readonly sent: OutputRecord[] = []
  context: string | null | undefined
  failing: string | null = null
  fence = async () => {}
  begin = (_?: CaptureTrace, context?: string | null) => {
    this.context = context
    return this.#step('begin')
  }
  send = async (records: readonly OutputRecord[]) => {
    this.sent.push(...records)
    await this.#step('send')
  }
  commit = () => this.#step('commit')
  close = async () => {}

  async #step(name: string): Promise<void> {
    if (this.failing === name) throw new TidemarkError('fenced', 'somebody else has come')
  }
}

async function deliver(delivery: Delivery, capture: CaptureTrace, ...stages: OutputRecord[][]): Promise<void> {
  await delivery.begin(capture)
  for (const stage of stages) await delivery.send(stage)
  await delivery.commit(COMMIT)
}

const named = (spans: readonly EndedSpan[], name: string) => spans.find(span => span.name === name) as EndedSpan

describe('a capture', () => {
  it('is one span of a consumer, with one of each step in it', async () => {
    const delivery = new TracedDelivery(new Kept(), memory.tracer, PLACE)
    await deliver(
      delivery,
      captureOf(),
      [record('partials'), record('enriched'), record('partials')],
      [record('partials')],
    )
    const spans = memory.taken()
    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ['send the-partials', SpanKind.PRODUCER],
      ['send the-enriched', SpanKind.PRODUCER],
      ['send the-partials', SpanKind.PRODUCER],
      ['commit user-login', SpanKind.CLIENT],
      ['process user-login', SpanKind.CONSUMER],
    ])
    const whole = named(spans, 'process user-login')
    for (const span of spans.slice(0, -1)) expect(span.parentSpanContext?.spanId).toBe(whole.spanContext().spanId)
    expect(whole.parentSpanContext).toBeUndefined()
    expect(whole.attributes).toEqual({
      'messaging.system.name': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'user-login',
      'messaging.destination.partition.id': '3',
      'messaging.consumer.group.name': 'g',
      'messaging.batch.message_count': 7,
    })
    expect(whole.startTime[0]).toBe(1_700_000_000)
    expect(spans[0]?.attributes).toMatchObject({
      'messaging.destination.name': 'the-partials',
      'messaging.batch.message_count': 2,
    })
    expect(named(spans, 'commit user-login').attributes).toMatchObject({
      'messaging.operation.type': 'settle',
      'kafka.offset': 12,
    })
  })

  it('continues the first trace that led to it, and links to all', async () => {
    const delivery = new TracedDelivery(new Kept(), memory.tracer, PLACE)
    await deliver(delivery, captureOf(contextOf(1), OTHER, 'no context'))
    const whole = named(memory.taken(), 'process user-login')
    expect(whole.spanContext().traceId).toBe(TRACE)
    expect(whole.parentSpanContext?.spanId).toBe('0000000000000001')
    expect(whole.links.map(({ context: { traceId, spanId } }) => [traceId, spanId])).toEqual([
      [TRACE, '0000000000000001'],
      ['a'.repeat(32), 'b'.repeat(16)],
    ])
  })

  it('writes its context on what is told, and says what it was', async () => {
    const kept = new Kept()
    const delivery = new TracedDelivery(kept, memory.tracer, PLACE)
    await deliver(delivery, captureOf(), [record('partials'), record('enriched')])
    const { traceId, spanId } = named(memory.taken(), 'process user-login').spanContext()
    const context = `00-${traceId}-${spanId}-01`
    expect(kept.sent.map(headersOf)).toEqual([{ traceparent: context }, {}])
    expect(delivery.traceparent).toBe(context)
    expect(kept.context).toBe(context)
  })

  it('has a span of each fetch that brought its records, of the time that it took', async () => {
    const delivery = new TracedDelivery(new Kept(), memory.tracer, PLACE)
    const fetches = [
      { askedMs: 1_699_999_999_000, cameMs: 1_699_999_999_250, records: 5 },
      { askedMs: 1_699_999_999_300, cameMs: 1_699_999_999_900, records: 2 },
    ]
    await deliver(delivery, { ...captureOf(contextOf(1)), fetches })
    const spans = memory.taken()
    const whole = named(spans, 'process user-login').spanContext()
    const polls = spans.filter(({ name }) => name === 'poll user-login')
    expect(polls.map(({ kind, startTime, endTime }) => [kind, startTime, endTime])).toEqual([
      [SpanKind.CLIENT, [1_699_999_999, 0], [1_699_999_999, 250_000_000]],
      [SpanKind.CLIENT, [1_699_999_999, 300_000_000], [1_699_999_999, 900_000_000]],
    ])
    for (const poll of polls) expect(poll.parentSpanContext?.spanId).toBe(whole.spanId)
    expect(polls[0]?.attributes).toEqual({
      'messaging.system.name': 'kafka',
      'messaging.operation.name': 'poll',
      'messaging.operation.type': 'receive',
      'messaging.destination.name': 'user-login',
      'messaging.destination.partition.id': '3',
      'messaging.consumer.group.name': 'g',
      'messaging.batch.message_count': 5,
    })
  })

  it('that ends as rows is one span of a write', async () => {
    const delivery = new TracedDelivery(new Kept(), memory.tracer, { ...PLACE, topicOf: null })
    await deliver(delivery, captureOf(contextOf(1)), [record('results'), record('results')])
    const spans = memory.taken()
    expect(spans.map(({ name }) => name)).toEqual(['write tidemark.windows', 'process user-login'])
    expect(spans[0]?.attributes).toEqual({
      'db.system.name': 'postgresql',
      'db.collection.name': 'tidemark.windows',
      'db.operation.batch.size': 2,
    })
  })

  it.each(['begin', 'send', 'commit'])('that fails at %s ends there, with the code of the error', async step => {
    const kept = new Kept()
    kept.failing = step
    const delivery = new TracedDelivery(kept, memory.tracer, PLACE)
    await expect(deliver(delivery, captureOf(), [record('partials')])).rejects.toThrow('somebody else')
    const whole = named(memory.taken(), 'process user-login')
    expect(whole.status).toEqual({ code: SpanStatusCode.ERROR })
    expect(whole.attributes['error.type']).toBe('fenced')
    kept.failing = null
    await deliver(delivery, captureOf(), [record('partials')])
    expect(named(memory.taken(), 'process user-login').status.code).toBe(SpanStatusCode.UNSET)
  })

  it('that is given up ends with the next fence', async () => {
    const delivery = new TracedDelivery(new Kept(), memory.tracer, PLACE)
    await delivery.begin(captureOf())
    expect(memory.taken()).toEqual([])
    await delivery.fence()
    expect(memory.taken().map(({ name }) => name)).toEqual(['process user-login'])
  })

  it('of a task that tells nothing of traces has no span, and the same bytes', async () => {
    const kept = new Kept()
    const delivery = new TracedDelivery(kept, memory.tracer, PLACE)
    const records = [record('partials'), record('results')]
    await delivery.begin()
    await delivery.send(records)
    await delivery.commit(COMMIT)
    expect(memory.taken()).toEqual([])
    expect(kept.sent).toEqual(records)
    expect([delivery.traceparent, kept.context]).toEqual([null, null])
  })
})
