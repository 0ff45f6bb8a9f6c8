import type { DeviceStats, Result } from '../../src/results/result.ts'
import type { Commit, OutputRecord } from '../../src/tasks/task.ts'
import type { BrokerListener, Log, LogRecord, Sender } from './broker.ts'
import { EventJudge, headerOf } from './eventJudge.ts'
import { check } from './failure.ts'
import { IDLE_MS, type Plan } from './plan.ts'
import { ResultJudge } from './resultJudge.ts'
import { RollupJudge } from './rollupJudge.ts'
import { type Counts, type Fold, type History, type Made, type Sums, sameCounts, sumsOf, Truth } from './truth.ts'

export type Range = { readonly from: number; readonly through: number }

/** Progress as a reducer of some level can read it. */
export type SeenProgress = {
  readonly position: number
  readonly p: number
  readonly of: number
  readonly through: number
  readonly clock: number
  /** min(asOf, the broker's time), or -1 when it claims no silence. */
  readonly silentAt: number
  readonly gaps: History
  /** Gaps of the source partitions that a level below speaks for. */
  readonly passed: readonly GapJson[]
}

type CounterJson = { c: Counts; o?: [number, string] }
export type AggregateJson = Record<'d' | 'l' | 'v' | 'g' | 'c' | 'r', CounterJson> & {
  n: number
  m: number[]
  i: number[]
  h?: number[]
}
export type CoveredJson = { p: number; from: number; clockAtFrom: number; through: number }
export type PartialJson = {
  w: number
  p: number
  from: number
  clockAtFrom: number
  through: number
  last: number
  aggregate: AggregateJson
  coverage: CoveredJson[] | null
}
export type GapJson = { p: number; from: number; to: number; clockBefore: number; untilMs: number }
export type ProgressJson = {
  p: number
  of: number
  through: number
  clock: number
  idleAsOf: number | null
  totals: { accepted: number; late: number; rejected: Counts }
  gaps: GapJson[]
}

const FIELDS = ['device_type', 'device_id', 'locale', 'app_version', 'ip']
const decoder = new TextDecoder()

/** Watches everything that becomes readable and compares it with the naive recount. */
export class Judge implements BrokerListener {
  readonly plan: Plan
  readonly truths: Truth[] = []
  readonly results: ResultJudge
  readonly events: EventJudge
  /** What partials told, by window and source, in the order in which they became readable. */
  readonly told = new Map<string, Range[]>()
  readonly rollups: RollupJudge
  /** By level and partition. */
  readonly #progress: SeenProgress[][][] = []
  readonly #positions = new Map<string, number>()
  #read: { readonly value: Uint8Array | null; readonly json: { kind: string } & ProgressJson & PartialJson } | null =
    null

  constructor(plan: Plan) {
    this.plan = plan
    this.results = new ResultJudge(this)
    this.events = new EventJudge(plan)
    for (const _ of plan.levels) this.#progress.push(Array.from({ length: plan.reducers }, () => []))
    this.rollups = new RollupJudge(this)
  }

  addPartition(log: Log): void {
    this.truths.push(new Truth(log, this.plan.latenessMs))
  }

  truth(p: number): Truth {
    return this.truths[p] as Truth
  }

  progressOf(level: number, r: number): SeenProgress[] {
    return this.#progress[level]?.[r] ?? []
  }

  published(sender: Sender, log: Log, record: LogRecord, output: OutputRecord): void {
    if (output.topic === 'enriched' || headerOf(output, 'source.topic') === 'source') {
      this.events.published(this.truth(Number(headerOf(output, 'source.partition'))), output)
      return
    }
    // What goes to all partitions is the same bytes.
    const { value } = record
    const json = value === this.#read?.value ? this.#read?.json : JSON.parse(decoder.decode(value as Uint8Array))
    this.#read = { value, json }
    if (sender.stage === 'reduce') this.#reducerPublished(sender, log, record, output, json)
    else if (json.kind === 'partial') this.#partial(log.number, json)
    else this.#progressed(log.number, json, record)
  }

  #reducerPublished(sender: Sender, log: Log, record: LogRecord, output: OutputRecord, json: unknown): void {
    const position = record.offset
    if (output.topic === 'results') {
      if (sender.level === 0) this.results.published(log.number, json as Result)
      this.rollups.published(sender, json as Result)
    } else if (output.topic === 'deviceStats') this.rollups.toldDevices(sender, json as DeviceStats)
    else if (output.topic === 'deadLetters') {
      if (sender.level > 0) this.rollups.lettered(sender, json as PartialJson)
      else this.results.lettered(log.number, json as PartialJson, Number(headerOf(output, 'source.offset')))
    } else {
      const message = json as { kind: string }
      const to = { level: output.level ?? 0, r: log.number, position }
      if (message.kind === 'partial') this.rollups.handedUp(sender, to, json as PartialJson)
      else this.rollups.progressed(sender, to, json as ProgressJson)
    }
  }

  committed(sender: Sender, commit: Commit): void {
    const { name: slot, stage, level, partition } = sender
    const before = this.#positions.get(slot) ?? 0
    this.#positions.set(slot, commit.offset)
    // With transactions an earlier owner cannot commit any more once its successor has read the commit.
    const backwards = commit.offset < before && (stage === 'reduce' || this.plan.exactlyOnce)
    check('commit-goes-on', !backwards, () => `${slot} committed ${commit.offset} after ${before}`)
    if (stage === 'aggregate') this.#aggregatorCommitted(partition, commit)
    else {
      if (level === 0) this.results.committed(partition, commit)
      this.rollups.committed(sender, commit)
    }
  }

  #partial(r: number, partial: PartialJson): void {
    const { w, p, from, through } = partial
    const name = `partial (${w}, ${p}, ${from}) through ${through}`
    check('partial-true', w % this.plan.reducers === r, () => `${name} lies in partition ${r}`)
    this.checkAggregate('partial-true', name, partial)
    const key = `${w}/${p}`
    const ranges = this.told.get(key)
    if (ranges === undefined) this.told.set(key, [{ from, through }])
    else ranges.push({ from, through })
  }

  /** A partial's aggregate against the recount of its own range. */
  checkAggregate(name: string, what: string, partial: PartialJson): readonly Made[] {
    const { w, p, from, through, clockAtFrom, last, aggregate } = partial
    const truth = this.truth(p)
    const clocks = truth.folds().map(fold => truth.clockAt(fold, from))
    check(name, clocks.includes(clockAtFrom), () => `${what}: clock ${clockAtFrom} at from, not ${clocks}`)
    const counted = truth.recount(w, from, through, clockAtFrom)
    check(name, aggregate.n === counted.length, () => `${what}: ${aggregate.n} events, not ${counted.length}`)
    const end = (counted.at(-1)?.offset ?? -1) + 1
    check(name, last === end, () => `${what}: last ${last}, not ${end}`)
    const sums = sumsOf(counted)
    for (const [stored, expected] of [
      [aggregate.d, sums.devices],
      [aggregate.l, sums.locales],
      [aggregate.v, sums.versions],
      [aggregate.g, sums.categories],
      [aggregate.c, sums.countries],
      [aggregate.r, sums.regions],
    ] as const) {
      this.checkDimension(name, what, countsOf(stored), expected)
    }
    check(name, sameCounts(named(aggregate.m), sums.missing), () => `${what}: missing ${aggregate.m}`)
    check(name, sameCounts(named(aggregate.i), sums.invalid), () => `${what}: invalid ${aggregate.i}`)
    return counted
  }

  /** Counts by value; past the bound the kept ones are exact and the rest is summed up. */
  checkDimension(name: string, what: string, told: Readonly<Counts>, expected: Counts): void {
    const limit = this.plan.maxDimensionValues
    const { '(other)': other = 0, ...kept } = told as Counts
    const keys = Object.keys(kept)
    const sum = (counts: Readonly<Counts>) => Object.values(counts).reduce((total, count) => total + count, 0)
    const whole = Object.keys(expected).length <= limit
    const same = whole
      ? sameCounts(told, expected)
      : keys.length <= limit &&
        keys.every(key => kept[key] === expected[key]) &&
        sum(told) === sum(expected) &&
        other > 0
    check(name, same, () => `${what}: ${JSON.stringify(told)}, not ${JSON.stringify(expected)}`)
  }

  /** All counts of a result; tells whether each dimension has few enough values for all to be kept. */
  checkStats(name: string, what: string, result: Result, sums: Sums): boolean {
    const dimensions = [
      [result.device_stats, sums.devices],
      [result.location_stats, sums.locales],
      [result.app_version_stats, sums.versions],
      [result.version_category_stats, sums.categories],
      [result.country_stats, sums.countries],
      [result.region_stats, sums.regions],
    ] as const
    for (const [told, expected] of dimensions) this.checkDimension(name, what, told, expected)
    check(name, sameCounts(result.hour_stats, sums.hours), () => `${what}: hours ${JSON.stringify(result.hour_stats)}`)
    check(name, sameCounts(result.quality.missing, sums.missing), () => `${what}: missing`)
    check(name, sameCounts(result.quality.invalid, sums.invalid), () => `${what}: invalid`)
    return dimensions.every(([, counts]) => Object.keys(counts).length <= this.plan.maxDimensionValues)
  }

  #progressed(r: number, progress: ProgressJson, record: LogRecord): void {
    const { p, of, through, clock, idleAsOf } = progress
    const truth = this.truth(p)
    const fold = truth.fold(historyOf(progress.gaps))
    const what = `progress(${p}, ${through}) in partition ${r}`
    this.#checkTally(what, truth, fold, through, progress.totals)
    const expected = truth.clockAt(fold, through)
    check('stream-totals', clock === expected, () => `${what}: clock ${clock}, not ${expected}`)
    const below = truth.countBelow(through)
    this.#checkTold('progress-truth', what, truth, fold, fold.toldBelow[r] ?? 0, below, r)
    fold.toldBelow[r] = Math.max(fold.toldBelow[r] ?? 0, below)
    const silentAt = idleAsOf === null ? -1 : Math.min(idleAsOf, record.appendedAt)
    if (idleAsOf !== null && !this.plan.jumps) this.#checkIdle(what, truth, through, idleAsOf)
    const passed = progress.gaps
    this.progressOf(0, r).push({ position: record.offset, p, of, through, clock, silentAt, gaps: fold.history, passed })
  }

  /** Nothing was appended for IDLE_TIMEOUT before `asOf`, and all that was appended lies below `through`. */
  #checkIdle(what: string, truth: Truth, through: number, asOf: number): void {
    const below = truth.countBelow(through)
    const next = truth.records[below]
    check('idle-true', next === undefined || next.appendedAt >= asOf, () => {
      return `${what}: silent at ${asOf}, but ${next?.offset} was appended at ${next?.appendedAt}`
    })
    const last = truth.records[below - 1]
    const emptied = last === undefined || last.offset < truth.log.start
    check('idle-true', emptied || last.appendedAt <= asOf - IDLE_MS, () => {
      return `${what}: silent at ${asOf}, but ${last?.offset} was appended at ${last?.appendedAt}`
    })
  }

  #aggregatorCommitted(p: number, commit: Commit): void {
    const { r, c, f, t, g } = JSON.parse(commit.metadata)
    const truth = this.truth(p)
    const fold = truth.fold(g.map(([from, to]: number[]) => [from, to]))
    const { offset } = commit
    const what = `commit ${offset} of source ${p}`
    this.#checkTally(what, truth, fold, offset, { accepted: t[0], late: t[1], rejected: t[2] })
    for (const [at, clock] of [[offset, c], r, f]) {
      const expected = truth.clockAt(fold, at)
      check('commit-truth', clock === expected, () => `${what}: clock ${clock} at ${at}, not ${expected}`)
    }
    const chunk = Math.floor(offset / this.plan.chunkSize) * this.plan.chunkSize
    check('replay-bounded', r[0] <= offset && r[0] >= chunk, () => `${what}: replayFrom ${r[0]}, chunk ${chunk}`)
    const below = truth.countBelow(offset)
    this.#checkTold('commit-truth', what, truth, fold, fold.committedBelow, below, null)
    this.events.checkTold(what, truth, fold, fold.committedBelow, below)
    fold.committedBelow = Math.max(fold.committedBelow, below)
  }

  #checkTally(what: string, truth: Truth, fold: Fold, offset: number, told: ProgressJson['totals']): void {
    const expected = truth.tallyBelow(fold, offset)
    const same =
      told.accepted === expected.accepted && told.late === expected.late && sameCounts(told.rejected, expected.rejected)
    check('stream-totals', same, () => `${what}: ${JSON.stringify(told)}, not ${JSON.stringify(expected)}`)
  }

  /** Every accepted event in the records [from, to) has been told; for a reducer, in its partition. */
  #checkTold(name: string, what: string, truth: Truth, fold: Fold, from: number, to: number, r: number | null): void {
    for (let i = from; i < to; i++) {
      if (fold.outcomes[i] !== 'accepted') continue
      const { offset, spec } = truth.records[i] as Made
      if (r !== null && spec.window % this.plan.reducers !== r) continue
      const told = this.isTold(spec.window, truth.partition, offset)
      check(name, told, () => `${what}: the event at ${offset} of window ${spec.window} is in no partial`)
    }
  }

  isTold(window: number, p: number, offset: number): boolean {
    const ranges = this.told.get(`${window}/${p}`)
    return ranges?.some(({ from, through }) => from <= offset && offset < through) ?? false
  }
}

export function historyOf(gaps: readonly { readonly from: number; readonly to: number }[]): History {
  return gaps.map(({ from, to }) => [from, to] as const)
}

/** With what was not kept, as results tell it. */
export function countsOf({ c, o }: CounterJson): Counts {
  return o === undefined ? c : { ...c, '(other)': o[0] }
}

export function named(counts: readonly number[]): Counts {
  const byName: Counts = {}
  counts.forEach((count, i) => {
    if (count > 0) byName[FIELDS[i] as string] = count
  })
  return byName
}
