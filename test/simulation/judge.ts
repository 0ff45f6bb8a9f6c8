import type { Commit, OutputRecord } from '../../src/tasks/task.ts'
import type { BrokerListener, Log, LogRecord } from './broker.ts'
import { EventJudge, headerOf } from './eventJudge.ts'
import { check } from './failure.ts'
import { IDLE_MS, type Plan } from './plan.ts'
import { ResultJudge } from './resultJudge.ts'
import { type Counts, type Fold, type History, type Made, sameCounts, sumsOf, Truth } from './truth.ts'

export type Range = { readonly from: number; readonly through: number }

/** Progress as a reducer can read it. */
export type SeenProgress = {
  readonly position: number
  readonly p: number
  readonly of: number
  readonly through: number
  readonly clock: number
  /** min(asOf, the broker's time), or -1 when it claims no silence. */
  readonly silentAt: number
  readonly gaps: History
}

type CounterJson = { c: Counts; o?: [number, string] }
export type PartialJson = {
  w: number
  p: number
  from: number
  clockAtFrom: number
  through: number
  last: number
  aggregate: { n: number; d: CounterJson; l: CounterJson; v: CounterJson; m: number[]; i: number[] }
}
type GapJson = { from: number; to: number }
type ProgressJson = {
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
  readonly progress: SeenProgress[][] = []
  readonly #positions = new Map<string, number>()

  constructor(plan: Plan) {
    this.plan = plan
    this.results = new ResultJudge(this)
    this.events = new EventJudge(plan)
    for (let r = 0; r < plan.reducers; r++) this.progress.push([])
  }

  addPartition(log: Log): void {
    this.truths.push(new Truth(log, this.plan.latenessMs))
  }

  truth(p: number): Truth {
    return this.truths[p] as Truth
  }

  published(_slot: string, log: Log, record: LogRecord, output: OutputRecord): void {
    if (output.topic === 'enriched' || headerOf(output, 'source.topic') === 'source') {
      this.events.published(this.truth(Number(headerOf(output, 'source.partition'))), output)
      return
    }
    const json = JSON.parse(decoder.decode(record.value as Uint8Array))
    if (output.topic === 'results') this.results.published(log.number, json)
    else if (output.topic === 'deadLetters') {
      this.results.lettered(log.number, json, Number(headerOf(output, 'source.offset')))
    } else if (json.kind === 'partial') this.#partial(log.number, json)
    else this.#progressed(log.number, json, record)
  }

  committed(slot: string, commit: Commit): void {
    const [stage, number] = slot.split('/')
    const before = this.#positions.get(slot) ?? 0
    this.#positions.set(slot, commit.offset)
    // With transactions an earlier owner cannot commit any more once its successor has read the commit.
    const backwards = commit.offset < before && (stage === 'reduce' || this.plan.exactlyOnce)
    check('commit-goes-on', !backwards, () => `${slot} committed ${commit.offset} after ${before}`)
    if (stage === 'aggregate') this.#aggregatorCommitted(Number(number), commit)
    else this.results.committed(Number(number), commit)
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
    ] as const) {
      const told = stored.o === undefined ? stored.c : { ...stored.c, '(other)': stored.o[0] }
      this.checkDimension(name, what, told, expected)
    }
    check(name, sameCounts(named(aggregate.m), sums.missing), () => `${what}: missing ${aggregate.m}`)
    check(name, sameCounts(named(aggregate.i), sums.invalid), () => `${what}: invalid ${aggregate.i}`)
    return counted
  }

  /** Counts by value; past the bound the kept ones are exact and the rest is summed up. */
  checkDimension(name: string, what: string, told: Counts, expected: Counts): void {
    const limit = this.plan.maxDimensionValues
    const { '(other)': other = 0, ...kept } = told
    const keys = Object.keys(kept)
    const sum = (counts: Counts) => Object.values(counts).reduce((total, count) => total + count, 0)
    const whole = Object.keys(expected).length <= limit
    const same = whole
      ? sameCounts(told, expected)
      : keys.length <= limit &&
        keys.every(key => kept[key] === expected[key]) &&
        sum(told) === sum(expected) &&
        other > 0
    check(name, same, () => `${what}: ${JSON.stringify(told)}, not ${JSON.stringify(expected)}`)
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
    this.progress[r]?.push({ position: record.offset, p, of, through, clock, silentAt, gaps: fold.history })
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

export function historyOf(gaps: readonly GapJson[]): History {
  return gaps.map(({ from, to }) => [from, to] as const)
}

function named(counts: readonly number[]): Counts {
  const byName: Counts = {}
  counts.forEach((count, i) => {
    if (count > 0) byName[FIELDS[i] as string] = count
  })
  return byName
}
