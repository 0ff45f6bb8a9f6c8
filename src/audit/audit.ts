import { TidemarkError } from '../errors.ts'
import type { TopicReader } from '../kafka/admin.ts'
import { compareStanding, type DeviceStats, type Result } from '../results/result.ts'
import { compareDeviceStats, compareResult, type Difference } from './compare.ts'
import type { PlaceLookup } from './login.ts'
import { piecesOf, type Range, type Run, runsOf } from './ranges.ts'
import { type AuditRules, type WantedRange, type WantedWindow, WindowsRecount } from './windowsRecount.ts'

/** Offsets that a result covers and the log of partition `partition`, [start, end), does not hold. */
export type Missing = {
  readonly partition: number
  readonly from: number
  readonly through: number
  readonly start: number
  readonly end: number
}

export type LogRanges = readonly { readonly start: number; readonly end: number }[]

/** What came of one window. */
export type Audited = {
  readonly key: string
  readonly result: Result
  /** None when the window is equal, and of a window that the log no longer holds. */
  readonly differences: readonly Difference[]
  /** Not empty: the window cannot be recounted. */
  readonly missing: readonly Missing[]
  /** Whether `user-device-stats` of the same revision were there to be compared. */
  readonly deviceStats: boolean
}

export type Auditor = {
  readonly reader: Pick<TopicReader, 'readAll'>
  readonly sourceTopic: string
  readonly rules: AuditRules
  readonly placeOf: PlaceLookup
  /** The log of every source partition as it is at the call. */
  logsNow(): Promise<LogRanges>
}

/** Windows that are counted at the same time: each takes memory for its users. */
const WINDOWS_AT_ONCE = 64

/** What a result covers that the log does not hold, by partition. */
export function missingOf(result: Result, logs: LogRanges): Missing[] {
  return [...coverageOf(result)]
    .map(([partition, { from, through }]) => {
      const { start, end } = logs[partition] ?? { start: 0, end: 0 }
      return { partition, from, through, start, end }
    })
    .filter(({ from, through, start, end }) => from < through && (from < start || through > end))
}

/**
 * Recounts the windows from the source topic and compares every number.
 * @param onAudited called for each window, in groups of those that lie beside each other
 * @throws TidemarkError `refused_replay_lost` when records are in the log that cannot be read
 */
export async function auditResults(
  auditor: Auditor,
  results: readonly Result[],
  deviceStats: ReadonlyMap<string, DeviceStats>,
  onAudited: (audited: Audited) => void | Promise<void>,
): Promise<void> {
  const sorted = [...results].sort((a, b) => lengthOf(a) - lengthOf(b) || (a.window.start < b.window.start ? -1 : 1))
  for (let i = 0; i < sorted.length; i += WINDOWS_AT_ONCE) {
    const group = sorted.slice(i, i + WINDOWS_AT_ONCE)
    const before = await auditor.logsNow()
    const recount = await recountOf(
      auditor,
      group.filter(result => missingOf(result, before).length === 0),
    )
    // What retention has removed while it was being read was perhaps not read.
    const after = await auditor.logsNow()
    for (const result of group) {
      const key = keyOf(result)
      const missing = missingOf(result, after)
      const stats = deviceStats.get(key)
      const isSame = stats !== undefined && compareStanding(stats, result) === 0
      const compared = missing.length > 0 ? [] : compareWindow(recount, result, isSame ? stats : null)
      await onAudited({ key, result, differences: compared, missing, deviceStats: isSame && missing.length === 0 })
    }
  }
}

function compareWindow(recount: WindowsRecount, result: Result, stats: DeviceStats | null): Difference[] {
  const key = keyOf(result)
  const recounted = recount.recounted(key)
  const ofDevices = stats === null ? [] : compareDeviceStats(stats, recounted)
  return [
    ...compareResult(result, recounted),
    ...ofDevices.map(difference => ({ ...difference, field: `user-device-stats ${difference.field}` })),
    ...recount.clockFaults(key),
  ]
}

/** Reads everything first; only when that cannot be done, all but the gaps that results have told of. */
async function recountOf(auditor: Auditor, results: readonly Result[]): Promise<WindowsRecount> {
  const gaps = gapsOf(results)
  try {
    return await readWindows(auditor, results, new Map())
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'corrupt_batch') throw error
    try {
      return await readWindows(auditor, results, gaps)
    } catch (again) {
      if (!(again instanceof TidemarkError) || again.code !== 'corrupt_batch') throw again
      throw new TidemarkError('refused_replay_lost', `the log cannot be read: ${again.message}`, { cause: again })
    }
  }
}

async function readWindows(
  { reader, sourceTopic, rules, placeOf }: Auditor,
  results: readonly Result[],
  gaps: ReadonlyMap<number, readonly Range[]>,
): Promise<WindowsRecount> {
  const wanted = results.map(wantedWindow)
  const recount = new WindowsRecount(rules, placeOf, wanted)
  const pieces = runsOf(wanted).flatMap(run => piecesOfRun(run, gaps.get(run.partition) ?? []))
  const queues = Map.groupBy(pieces, ({ partition }) => partition)
  for (;;) {
    const next = [...queues.values()].flatMap(queue => queue.shift() ?? [])
    if (next.length === 0) return recount
    for (const { partition, range, clock } of next) if (clock !== null) recount.begin(partition, range[0], clock)
    await reader.readAll({
      topic: sourceTopic,
      readCommitted: true,
      fromOffsets: new Map(next.map(({ partition, range: [from] }) => [partition, from])),
      toOffsets: new Map(next.map(({ partition, range: [, to] }) => [partition, to])),
      onMessage: message => recount.add(message),
    })
  }
}

/** `clock` is null of a piece before which the partition's clock goes on as it is. */
type Piece = { readonly partition: number; readonly range: Range; readonly clock: number | null }

function piecesOfRun(run: Run, gaps: readonly Range[]): Piece[] {
  const { partition, clock } = run
  return piecesOf(run, gaps).map((range, i) => ({ partition, range, clock: i === 0 ? clock : null }))
}

function gapsOf(results: readonly Result[]): Map<number, Range[]> {
  const gaps = new Map<number, Range[]>()
  for (const { coverage } of results) {
    for (const [p, covered] of Object.entries(coverage)) {
      gaps.set(Number(p), [...(gaps.get(Number(p)) ?? []), ...(covered.gaps ?? [])])
    }
  }
  return gaps
}

function wantedWindow(result: Result): WantedWindow {
  const { start, end } = result.window
  return { key: keyOf(result), startMs: Date.parse(start), endMs: Date.parse(end), coverage: coverageOf(result) }
}

function coverageOf({ coverage }: Result): Map<number, WantedRange> {
  const ranges = Object.entries(coverage).map(([p, { from, through, clock_at_from }]) => {
    return [Number(p), { from, through, clock: Date.parse(clock_at_from) }] as const
  })
  return new Map(ranges)
}

const keyOf = ({ window }: Result) => `${window.size}/${window.start}`
const lengthOf = ({ window }: Result) => Date.parse(window.end) - Date.parse(window.start)
