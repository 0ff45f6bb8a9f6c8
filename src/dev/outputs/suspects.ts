import { listHeaders } from '../../audit/event.ts'
import { bytesText, headerBytes, headersText, PartList, type Parts } from './parts.ts'
import type { Suspect } from './topicJudge.ts'
import { type TopicRecord, type TopicSize, wantedLetter } from './wanted.ts'

/** How far below its topic's limit a letter may stay and still be cut: our own headers, and lengths that are estimates. */
const CUT_MARGIN = 16 * 1024
/** Parts that may be shown: they tell nothing of a person. */
const SHOWN: ReadonlySet<string> = new Set([
  ...['partition', 'error.code', 'source.timestamp', 'failed.at', 'field timestamp', 'field readable_timestamp'],
  ...[
    'field processed_timestamp',
    'field hour_of_day',
    'field day_part',
    'field version_category',
    'field device_type',
  ],
])

/** What a suspect says otherwise than wanted, without personal data; null when nothing. */
export function faultOf(suspect: Suspect, wanted: Parts): string | null {
  const list = new PartList(wanted)
  const names = list.differences(suspect.list)
  const describe = (name: string) => {
    if (!SHOWN.has(name)) return name
    return `${name} is ${suspect.list.texts.get(name) ?? 'absent'}, not ${list.texts.get(name) ?? 'absent'}`
  }
  return names.length === 0 ? null : names.map(describe).join(', ')
}

/** The same of a dead letter, which may hold only a part of what its topic has no room for. */
export function faultOfLetter(suspect: Suspect, record: TopicRecord, code: string, topic: TopicSize): string | null {
  if (suspect.wholeBytes === null) return faultOf(suspect, wantedLetter(record, code, topic.partitions))
  const headers = listHeaders(record.headers)
  const whole = record.value?.length ?? 0
  const around = (record.key?.length ?? 0) + headerBytes(headers)
  if (suspect.wholeBytes !== whole) return 'value.bytes'
  if (whole + around + CUT_MARGIN <= topic.maxBytes) return 'value.bytes, though the topic has room for all of it'
  const texts = suspect.list.texts
  const lacksAll = texts.get('key') === bytesText(null) && texts.get('headers') === headersText([])
  const isBare = lacksAll && around + CUT_MARGIN > topic.maxBytes
  const left: TopicRecord = {
    ...record,
    ...(isBare ? { key: null, headers: [] } : {}),
    value: record.value?.subarray(0, suspect.valueBytes) ?? null,
  }
  return faultOf(suspect, wantedLetter(left, code, topic.partitions))
}
