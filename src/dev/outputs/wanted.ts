import { listHeaders, type RecountedEvent, type RecountHeader, type RecountRecord } from '../../audit/event.ts'
import { javaPartition } from '../generator/murmur2.ts'
import {
  CONTRACT_FIELDS,
  createWantedRecord,
  type EnrichedRules,
  NO_ADDRESS,
  OPEN,
  type WantedRecord,
} from '../recountEnriched.ts'
import { headerBytes, headersText, type PartSink, type Parts } from './parts.ts'

/** A record of a topic, whole. */
export type TopicRecord = RecountRecord & { readonly key: Uint8Array | null }

/** What an output topic is: how many partitions, and the longest record batch that it takes. */
export type TopicSize = { readonly partitions: number; readonly maxBytes: number }

/** What fields an enriched record has, and under which names. */
export type EnrichedNames = {
  /** Null when all are written, each under its own name. */
  readonly chosen: EnrichedRules['fields']
  /** The fields whose values the log does not tell, by the names that they are written under. */
  readonly open: ReadonlyMap<string, string>
  /** The name of the masked address; null when it is not written. */
  readonly ip: string | null
}

const OPEN_FIELDS = ['processed_timestamp', 'country', 'region']
/** A record may leave out what is not of the contract when it comes near the longest that its topic takes. */
const NEAR = 4

export function enrichedNames({ fields }: EnrichedRules): EnrichedNames {
  const choices = fields ?? [...OPEN_FIELDS, 'ip'].map(field => ({ field, as: field }))
  const open = choices.filter(({ field }) => OPEN_FIELDS.includes(field)).map(({ field, as }) => [as, field] as const)
  return { chosen: fields, open: new Map(open), ip: choices.find(({ field }) => field === 'ip')?.as ?? null }
}

/**
 * Compiles what an accepted event's enriched record must say. Mostly one answer; where the record may be too long for its
 * topic several, the whole one first.
 */
export function createWantedEnriched(
  rules: EnrichedRules,
  topic: TopicSize,
): (record: TopicRecord, event: RecountedEvent) => readonly Parts[] {
  const read = createWantedRecord(rules)
  const names = enrichedNames(rules)
  return (record, event) => {
    const wanted = read(event)
    const key = Buffer.from(wanted.userId)
    const headers = listHeaders(record.headers)
    const partsOf =
      (kept: readonly RecountHeader[], withOthers: boolean): Parts =>
      sink => {
        sink.text('partition', String(javaPartition(key, topic.partitions)))
        sink.bytes('key', key)
        sink.text('headers', headersText(kept))
        if (rules.userIdKey !== null) sink.text('user_id.key', rules.userIdKey.id)
        writeFields(wanted, names, withOthers, sink)
      }
    const bytes = (record.value?.length ?? 0) + headerBytes(headers)
    if (bytes * NEAR < topic.maxBytes) return [partsOf(headers, true)]
    return [partsOf(headers, true), partsOf(headers, false), partsOf([], true), partsOf([], false)]
  }
}

function writeFields({ contract, others }: WantedRecord, names: EnrichedNames, withOthers: boolean, sink: PartSink) {
  const placeKnown = names.ip !== null && contract.ip === NO_ADDRESS
  const write = (name: string, field: string) => {
    const value = contract[field]
    if (value !== OPEN) sink.field(name, value)
    else sink.field(name, placeKnown && field !== 'processed_timestamp' ? NO_ADDRESS : undefined)
  }
  if (names.chosen === null) {
    for (const name of CONTRACT_FIELDS) write(name, name)
    if (withOthers) for (const name of Object.keys(others)) sink.field(name, others[name])
    return
  }
  for (const { field, as } of names.chosen) {
    if (Object.hasOwn(contract, field)) write(as, field)
    else if (withOthers && Object.hasOwn(others, field)) sink.field(as, others[field])
  }
}

export type LetterContent = {
  readonly partition: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** The original ones. */
  readonly headers: readonly RecountHeader[]
  readonly code: string
  readonly timestamp: string
}

/** What the dead letter of a record must say. */
export function wantedLetter(record: TopicRecord, code: string, partitions: number): Parts {
  return letterParts({
    partition: record.partition % partitions,
    key: record.key,
    value: record.value,
    headers: listHeaders(record.headers),
    code,
    timestamp: String(record.timestamp),
  })
}

export function letterParts({ partition, key, value, headers, code, timestamp }: LetterContent): Parts {
  return sink => {
    sink.text('partition', String(partition))
    sink.bytes('key', key)
    sink.bytes('value', value)
    sink.text('headers', headersText(headers))
    sink.text('error.code', code)
    sink.text('source.timestamp', timestamp)
  }
}
