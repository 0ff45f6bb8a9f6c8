import type { EventOptions } from '../../../src/dev/generator/eventOptions.ts'
import { createEventSource } from '../../../src/dev/generator/eventSource.ts'
import { javaPartition } from '../../../src/dev/generator/murmur2.ts'
import type { TopicRecord } from '../../../src/dev/outputs/wanted.ts'
import type { TopicSource } from '../../../src/dev/outputs.ts'
import { createEnrichedText, type EnrichOptions } from '../../../src/events/enrich.ts'
import { createPlaceReader } from '../../../src/events/place.ts'
import { createEnrichedSplice } from '../../../src/events/splice.ts'
import { WireRecords } from '../../../src/kafka/wire/records.ts'
import { createAggregateTaskFactory } from '../../../src/tasks/aggregateTask.ts'
import type { RecordHeader } from '../../../src/tasks/recordBatch.ts'
import type { OutputRecord } from '../../../src/tasks/task.ts'
import { blockOf } from '../recordBlock.ts'
import { recordsIn } from '../support.ts'
import { settings as taskSettings } from '../tasks/aggregateSupport.ts'

export const SOURCE = 'user-login'
export const ENRICHED = 'processed-user-login'
export const LETTERS = 'user-login-dlq'
export const NOW = Date.parse('2023-09-12T00:12:35.678Z')
export const RULES = {
  windowSizeMs: 10_000,
  allowedLatenessMs: 5_000,
  maxFutureSkewMs: 300_000,
  maxEventBytes: 4_096,
  maxEventDepth: 64,
  validationRequired: ['user_id', 'timestamp'],
}
export const PARTITIONS = { source: 3, enriched: 4, letters: 2 }

/** A record of an output topic as the tests may change it. */
export type LogRecord = { -readonly [Name in keyof TopicRecord]: TopicRecord[Name] } & { headers: RecordHeader[] }

/** Topics in memory: for each name a log by partition. */
export class Topics implements TopicSource {
  readonly #logs = new Map<string, LogRecord[][]>()
  readonly maxBytes: Record<string, number> = {}

  create(topic: string, partitions: number): void {
    this.#logs.set(
      topic,
      Array.from({ length: partitions }, () => []),
    )
  }

  log(topic: string): LogRecord[][] {
    return this.#logs.get(topic) ?? []
  }

  all(topic: string): LogRecord[] {
    return this.log(topic).flat()
  }

  append(topic: string, record: Omit<LogRecord, 'offset'>): void {
    const log = this.log(topic)[record.partition] as LogRecord[]
    // Every tenth offset is a transaction's marker.
    const next = (log.at(-1)?.offset ?? 4) + 1
    log.push({ ...record, offset: next % 10 === 0 ? next + 1 : next })
  }

  /** Takes a record out of its log. */
  drop(topic: string, record: LogRecord): void {
    const log = this.log(topic)[record.partition] as LogRecord[]
    log.splice(log.indexOf(record), 1)
  }

  async readAll({ topic, onMessage, fromOffsets, toOffsets }: Parameters<TopicSource['readAll']>[0]) {
    for (const [partition, log] of this.log(topic).entries()) {
      if (toOffsets !== undefined && !toOffsets.has(partition)) continue
      const from = fromOffsets?.get(partition) ?? 0
      const to = toOffsets?.get(partition) ?? Number.POSITIVE_INFINITY
      for (const record of log) if (record.offset >= from && record.offset < to) onMessage(record)
    }
  }

  async partitionCount(topic: string) {
    return this.#logs.get(topic)?.length ?? null
  }

  async topicConfig(topic: string): Promise<Record<string, string>> {
    const bytes = this.maxBytes[topic]
    return bytes === undefined ? {} : { 'max.message.bytes': String(bytes) }
  }
}

/** A source topic with events of all kinds, and nothing in the output topics. */
export function sourceWorld(events: number, options: Partial<EventOptions> = {}): Topics {
  const topics = new Topics()
  topics.create(SOURCE, PARTITIONS.source)
  topics.create(ENRICHED, PARTITIONS.enriched)
  topics.create(LETTERS, PARTITIONS.letters)
  const shares = {
    ...{ missingOptional: 0.05, missingRequired: 0.02, brokenJson: 0.02, notUtf8: 0.02, duplicates: 0.02, late: 0.05 },
    ...{ future: 0.02, emptyValue: 0.02, invalidRequired: 0.02, tooDeep: 0.02, tooLarge: 0.02 },
  }
  const { maxEventBytes, maxEventDepth } = RULES
  const partitions = PARTITIONS.source
  const source = createEventSource({
    ...{ partitions, shares, users: 200, variedClients: 0.7, maxEventBytes, maxEventDepth },
    ...options,
  })
  for (let made = 0; made < events; made++) {
    const now = NOW + made * 20
    const { partition, key, value, headers } = source.next(now)
    topics.append(SOURCE, { partition, key, value, headers: [...headers], timestamp: now })
  }
  return topics
}

/** Runs the real task over each source partition and appends what it tells to the output topics. */
export function aggregate(topics: Topics, enrichment: Partial<EnrichOptions> = {}, userIdKeyId: string | null = null) {
  const place = { country: 'US', region: 'US-NY' }
  const options = { timeZone: 'UTC', geo: () => place, hashUserId: null, fields: null, ...enrichment }
  const enrich = createEnrichedText(options)
  const splice = options.fields === null ? createEnrichedSplice(options) : null
  const factory = createAggregateTaskFactory({
    ...taskSettings,
    ...RULES,
    chunkSize: 1 << 20,
    place: createPlaceReader(options.geo).placeOf,
    outputs: {
      sourceTopic: SOURCE,
      deadLetterPartitions: PARTITIONS.letters,
      deadLetterMaxBytes: topics.maxBytes[LETTERS] ?? 1 << 20,
      enriched: { enrich, splice, maxBytes: topics.maxBytes[ENRICHED] ?? 1 << 20, userIdKeyId },
    },
  })
  for (const [partition, log] of topics.log(SOURCE).entries()) {
    const task = factory.restore(partition, null, { start: 0, end: Number.MAX_SAFE_INTEGER }, NOW)
    task.process(new WireRecords([blockOf(log)], log.length, 0, (log.at(-1)?.offset ?? -1) + 1), NOW)
    for (;;) {
      const captured = task.capture({ now: NOW, sourcePartitions: PARTITIONS.source, idleAsOf: null })
      if (captured === null) break
      for (const record of recordsIn(captured)) tell(topics, record)
    }
  }
}

function tell(topics: Topics, { topic, partition, key, value, headers }: OutputRecord): void {
  if (topic !== 'enriched' && topic !== 'deadLetters') return
  const name = topic === 'enriched' ? ENRICHED : LETTERS
  const keyBytes = key === null ? null : Buffer.from(key)
  topics.append(name, {
    partition: partition ?? javaPartition(keyBytes as Buffer, topics.log(name).length),
    key: keyBytes,
    value: value === null ? null : Buffer.from(value),
    headers: [...(headers ?? [])],
    timestamp: NOW,
  })
}
