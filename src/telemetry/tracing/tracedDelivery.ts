import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { Delivery } from '../../runtime/ports.ts'
import { type Commit, countOf, type Output } from '../../tasks/task.ts'
import type { CaptureTrace, Traceparent } from '../../tasks/traceContext.ts'
import { traced } from '../../tasks/traced.ts'
import { ATTRIBUTES, DATABASE_SYSTEM, MESSAGING_SYSTEM, OPERATION_TYPES, SINK_TABLE, SPAN_NAMES } from './names.ts'
import { fail, linksTo, traceparentOf } from './spans.ts'

/** What a delivery belongs to. */
export type TracedPlace = {
  /** The topic that is read, and its partition there. */
  readonly topic: string
  readonly partition: number
  readonly group: string
  /** The topic's name that a record goes to; null when records become rows of the database. */
  readonly topicOf: ((record: Output) => string) | null
}

/**
 * A delivery that makes one span of each capture, from the first record that it was made from to its commit, and one of
 * each step in it and of each fetch that brought its records. Never one of a record.
 *
 * The span continues the trace of the first sampled context among the records and links to all of them. So a sampled login
 * stays sampled up to its results, however few are, with the parent-based samplers. What is told carries the span's
 * context, if it is sampled.
 */
export class TracedDelivery implements Delivery {
  readonly #delivery: Delivery
  readonly #tracer: Tracer
  readonly #place: TracedPlace
  /** Null between captures, and of a capture that is not sampled. */
  #span: Span | null = null
  #context: Context = ROOT_CONTEXT
  #traceparent: Traceparent | null = null
  #rows = 0

  constructor(delivery: Delivery, tracer: Tracer, place: TracedPlace) {
    this.#delivery = delivery
    this.#tracer = tracer
    this.#place = place
  }

  get traceparent(): Traceparent | null {
    return this.#traceparent
  }

  fence(): Promise<void> {
    // What was under way is over: its outcome does not matter any more.
    this.#end()
    return this.#delivery.fence()
  }

  begin(capture?: CaptureTrace): Promise<void> {
    this.#end()
    this.#rows = 0
    this.#traceparent = null
    if (capture !== undefined) this.#start(capture)
    const context = this.#traceparent
    return this.#step([], () => this.#delivery.begin(capture, context))
  }

  send(records: readonly Output[]): Promise<void> {
    const context = this.#traceparent
    if (this.#span === null || context === null) return this.#step([], () => this.#delivery.send(records))
    this.#rows += records.length
    return this.#step(this.#sends(records), () => this.#delivery.send(traced(records, context)))
  }

  async commit(commit: Commit): Promise<void> {
    await this.#step(this.#last(commit), () => this.#delivery.commit(commit))
    this.#end()
  }

  close(): Promise<void> {
    this.#end()
    return this.#delivery.close()
  }

  #start({ links: contexts, records, sinceMs, fetches }: CaptureTrace): void {
    const { topic } = this.#place
    const links = linksTo(contexts)
    const parent = links[0] === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, links[0].context)
    const attributes = { ...this.#attributes('process'), [ATTRIBUTES.messages]: records }
    const startTime = sinceMs === null ? {} : { startTime: sinceMs }
    const options = { kind: SpanKind.CONSUMER, links, attributes, ...startTime }
    const span = this.#tracer.startSpan(SPAN_NAMES.process(topic), options, parent)
    this.#traceparent = traceparentOf(span)
    if (this.#traceparent === null) return
    this.#span = span
    this.#context = trace.setSpan(ROOT_CONTEXT, span)
    this.#polls(fetches)
  }

  /** They are over, and began before the span that they belong to: a fetch may have brought records of several captures. */
  #polls(fetches: CaptureTrace['fetches']): void {
    for (const { askedMs, cameMs, records } of fetches) {
      const attributes = { ...this.#attributes('poll'), [ATTRIBUTES.messages]: records }
      const options = { kind: SpanKind.CLIENT, attributes, startTime: askedMs }
      this.#tracer.startSpan(SPAN_NAMES.poll(this.#place.topic), options, this.#context).end(cameMs)
    }
  }

  /** A span for each topic that the records go to, in the order of the first to each. */
  #sends(records: readonly Output[]): Span[] {
    const { topicOf } = this.#place
    if (topicOf === null) return []
    const counts = new Map<string, number>()
    for (const record of records) {
      const topic = topicOf(record)
      counts.set(topic, (counts.get(topic) ?? 0) + countOf(record))
    }
    return [...counts].map(([topic, count]) =>
      this.#child(SPAN_NAMES.send(topic), SpanKind.PRODUCER, sendAttributes(topic, count)),
    )
  }

  #last({ offset }: Commit): Span[] {
    if (this.#span === null) return []
    if (this.#place.topicOf === null) {
      const attributes = {
        [ATTRIBUTES.databaseSystem]: DATABASE_SYSTEM,
        [ATTRIBUTES.table]: SINK_TABLE,
        [ATTRIBUTES.rows]: this.#rows,
      }
      return [this.#child(SPAN_NAMES.write(SINK_TABLE), SpanKind.CLIENT, attributes)]
    }
    const attributes = { ...this.#attributes('commit'), [ATTRIBUTES.offset]: offset }
    return [this.#child(SPAN_NAMES.commit(this.#place.topic), SpanKind.CLIENT, attributes)]
  }

  #child(name: string, kind: SpanKind, attributes: Attributes): Span {
    return this.#tracer.startSpan(name, { kind, attributes }, this.#context)
  }

  #attributes(operation: keyof typeof OPERATION_TYPES): Attributes {
    const { topic, partition, group } = this.#place
    return {
      ...messaging(operation, topic),
      [ATTRIBUTES.partition]: String(partition),
      [ATTRIBUTES.group]: group,
    }
  }

  /** Runs a step of the capture; its failure is the end of the capture. */
  async #step(spans: readonly Span[], run: () => Promise<void>): Promise<void> {
    const capture = this.#span
    try {
      await run()
    } catch (error) {
      for (const span of spans) fail(span, error)
      if (capture !== null) fail(capture, error)
      if (capture === this.#span) this.#end()
      throw error
    } finally {
      for (const span of spans) span.end()
    }
  }

  #end(): void {
    this.#span?.end()
    this.#span = null
  }
}

/** Of a span that sends so many records to a topic. */
export function sendAttributes(topic: string, records: number): Attributes {
  return { ...messaging('send', topic), [ATTRIBUTES.messages]: records }
}

function messaging(operation: keyof typeof OPERATION_TYPES, topic: string): Attributes {
  return {
    [ATTRIBUTES.system]: MESSAGING_SYSTEM,
    [ATTRIBUTES.operationName]: operation,
    [ATTRIBUTES.operationType]: OPERATION_TYPES[operation],
    [ATTRIBUTES.destination]: topic,
  }
}
