import type { Admin, Consumer, Kafka, Producer } from 'kafkajs'
import type { Traceparent } from '../tasks/traceContext.ts'

/** What a process hears of its work with the brokers: once for a request, a commit or a rebalance, never for a record. */
export type KafkaWatch = {
  /** @param api what was asked, by its name in the protocol, as `Fetch` */
  request(api: string, seconds: number): void
  /** No broker has answered in time. */
  requestTimedOut(api: string): void
  /** A transaction has ended; one that failed is aborted by the brokers. */
  transaction(outcome: 'committed' | 'fenced' | 'failed'): void
  /** A commit was acknowledged, `seconds` after it was sent, in the course of `trace`. */
  committed(seconds: number, trace: Traceparent | null): void
  /** The group has given an assignment, `seconds` after this member had wished to join. */
  rebalanced(seconds: number): void
}

let watching: KafkaWatch | null = null

/** Has this process's clients, those that exist as well, tell `watch`; null ends it. A process has one role, and so one watch. */
export function watchKafka(watch: KafkaWatch | null): void {
  watching = watch
}

/** Who wants to hear; null when nobody does. */
export function kafkaWatch(): KafkaWatch | null {
  return watching
}

/** The same client, every part of which tells the watch of its requests. */
export function watched(kafka: Kafka): Kafka {
  const [producer, consumer, admin] = [kafka.producer, kafka.consumer, kafka.admin]
  kafka.producer = config => listened(producer.call(kafka, config))
  kafka.consumer = config => listened(consumer.call(kafka, config))
  kafka.admin = config => listened(admin.call(kafka, config))
  return kafka
}

function listened<Part extends Producer | Consumer | Admin>(part: Part): Part {
  // The three have the same two events under names of their own, which the union of their types cannot say.
  const { on, events } = part as Consumer
  on(events.REQUEST, ({ payload }) => watching?.request(payload.apiName, payload.duration / 1_000))
  on(events.REQUEST_TIMEOUT, ({ payload }) => watching?.requestTimedOut(payload.apiName))
  return part
}
