import { type ClockRules, PartitionClock } from '../audit/clock.ts'
import { recountDeviceType } from '../audit/devices.ts'
import {
  type EventFields,
  isMissing,
  isValid,
  knownText,
  OPTIONAL_FIELDS,
  type RecountedEvent,
  type RecountRecord,
} from '../audit/event.ts'
import type { Recounted } from '../audit/tally.ts'
import { keyAt, sizeText } from '../audit/windows.ts'

export type { RecountHeader, RecountHeaders, RecountRecord } from '../audit/event.ts'

/**
 * A second, naive implementation of what a core event is and where it counts: the judge of the real one. It is written from
 * the rules alone and shares nothing with src/events, src/aggregate or src/windows, so that no mistake can be in both.
 * Obvious before fast.
 */
export type RecountRules = ClockRules

/** 'accepted', 'late', or the code of a rejection (`not_json`, `missing_user_id`, ...). */
export type RecountOutcome = string

export type PartitionCount = {
  readonly records: number
  readonly accepted: number
  readonly late: number
  readonly rejected: Readonly<Record<string, number>>
  /** The partition's clock after its last record, epoch milliseconds; 0 before the first. */
  readonly clock: number
}

export type WindowCount = {
  readonly count: number
  readonly device_stats: Readonly<Record<string, number>>
  readonly location_stats: Readonly<Record<string, number>>
  readonly app_version_stats: Readonly<Record<string, number>>
  readonly quality: {
    readonly missing: Readonly<Record<string, number>>
    readonly invalid: Readonly<Record<string, number>>
  }
}

/** Both maps have sorted keys: partition numbers, and window keys as `10s/2023-09-12T00:12:30.000Z`. */
export type RecountResult = {
  readonly partitions: Readonly<Record<string, PartitionCount>>
  readonly windows: Readonly<Record<string, WindowCount>>
  /** All that the results must say, of every size, by the same keys; left out by a recount of the base windows alone. */
  readonly results?: Readonly<Record<string, Recounted>>
}

export type Recount = {
  /** Takes the next record of its partition. Records of one partition come in offset order, each once. */
  add(record: RecountRecord): RecountOutcome
  /** The same, and what was read; null of a record that was rejected. */
  take(record: RecountRecord): { readonly outcome: RecountOutcome; readonly event: RecountedEvent | null }
  result(): RecountResult
}

type Counts = Map<string, number>
type PartitionState = {
  records: number
  accepted: number
  late: number
  rejected: Counts
  readonly clock: PartitionClock
  nextOffset: number
}
type WindowState = { count: number; device: Counts; locale: Counts; version: Counts; missing: Counts; invalid: Counts }

export function createRecount(rules: RecountRules): Recount {
  const partitions = new Map<number, PartitionState>()
  const windows = new Map<number, WindowState>()

  const take: Recount['take'] = record => {
    const partition = getOrMake(partitions, record.partition, () => emptyPartition(rules))
    if (record.offset < partition.nextOffset) {
      throw new RangeError(
        `offset ${record.offset} of partition ${record.partition} came after ${partition.nextOffset - 1}`,
      )
    }
    partition.nextOffset = record.offset + 1
    partition.records++
    const judged = partition.clock.take(record)
    const { outcome, event } = judged
    if (event === null) increment(partition.rejected, outcome)
    else if (outcome === 'late') partition.late++
    else {
      partition.accepted++
      const index = Math.floor(event.time / rules.windowSizeMs)
      countEvent(getOrMake(windows, index, emptyWindow), event.fields)
    }
    return judged
  }

  const result = (): RecountResult => ({
    partitions: Object.fromEntries(
      [...partitions].sort(byNumber).map(([partition, state]) => [partition, describePartition(state)]),
    ),
    windows: Object.fromEntries(
      [...windows]
        .sort(byNumber)
        .map(([index, state]) => [windowKey(index, rules.windowSizeMs), describeWindow(state)]),
    ),
  })
  return { add: record => take(record).outcome, take, result }
}

function countEvent(window: WindowState, fields: EventFields): void {
  window.count++
  increment(window.device, recountDeviceType(knownText(fields, 'device_type')))
  increment(window.locale, knownText(fields, 'locale'))
  increment(window.version, knownText(fields, 'app_version'))
  for (const name of OPTIONAL_FIELDS) {
    if (isMissing(fields[name])) increment(window.missing, name)
    else if (!isValid(name, fields[name])) increment(window.invalid, name)
  }
}

/** The key of a result: `<size>/<window start>`, the size in its greatest whole unit. */
export function windowKey(index: number, windowSizeMs: number): string {
  return keyAt(sizeText(windowSizeMs), index * windowSizeMs)
}

function emptyPartition(rules: RecountRules): PartitionState {
  return { records: 0, accepted: 0, late: 0, rejected: new Map(), clock: new PartitionClock(rules), nextOffset: 0 }
}

function emptyWindow(): WindowState {
  const counts = { device: new Map(), locale: new Map(), version: new Map(), missing: new Map(), invalid: new Map() }
  return { count: 0, ...counts }
}

function describePartition({ records, accepted, late, rejected, clock }: PartitionState): PartitionCount {
  return { records, accepted, late, rejected: sorted(rejected), clock: clock.clock }
}

function describeWindow(window: WindowState): WindowCount {
  return {
    count: window.count,
    device_stats: sorted(window.device),
    location_stats: sorted(window.locale),
    app_version_stats: sorted(window.version),
    quality: { missing: sorted(window.missing), invalid: sorted(window.invalid) },
  }
}

function sorted(counts: Counts): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const byNumber = ([a]: readonly [number, unknown], [b]: readonly [number, unknown]) => a - b

function increment(counts: Counts, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function getOrMake<V>(map: Map<number, V>, key: number, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
