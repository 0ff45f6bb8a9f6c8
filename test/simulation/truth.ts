import type { Log } from './broker.ts'
import { WINDOW_MS } from './plan.ts'
import type { Spec } from './workload.ts'

/** A record as it was appended, whatever became of it later. */
export type Made = {
  readonly offset: number
  readonly timestamp: number
  /** The broker's time when it came. */
  readonly appendedAt: number
  readonly spec: Spec
}

/** Offset ranges that a line of owners never read, as `from-to`, in order. */
export type History = readonly (readonly [from: number, to: number])[]

export type Tally = { accepted: number; late: number; rejected: Record<string, number> }

/** `accepted`, `late`, `lost` (in a gap of the history) or a code. */
type Outcome = string

/** The naive recount of one partition under one history; it grows with the log. */
export class Fold {
  readonly history: History
  readonly outcomes: Outcome[] = []
  readonly clocks: number[] = []
  readonly accepted: number[] = []
  readonly late: number[] = []
  /** Indexes of accepted records by window. */
  readonly windows = new Map<number, number[]>()
  /** How many records were seen to be told: in all, and by progress for each reducer. */
  committedBelow = 0
  readonly toldBelow: number[] = []

  constructor(history: History) {
    this.history = history
  }

  catchUp(records: readonly Made[], latenessMs: number): void {
    for (let i = this.outcomes.length; i < records.length; i++) {
      const { offset, timestamp, spec } = records[i] as Made
      const clock = this.clocks[i - 1] ?? 0
      const outcome = this.#outcome(offset, spec, clock, latenessMs)
      this.outcomes.push(outcome)
      const counts = outcome === 'accepted' || outcome === 'late'
      this.clocks.push(counts ? Math.max(clock, Math.min(spec.timeMs, timestamp)) : clock)
      this.accepted.push((this.accepted[i - 1] ?? 0) + (outcome === 'accepted' ? 1 : 0))
      this.late.push((this.late[i - 1] ?? 0) + (outcome === 'late' ? 1 : 0))
      if (outcome !== 'accepted') continue
      const known = this.windows.get(spec.window)
      if (known === undefined) this.windows.set(spec.window, [i])
      else known.push(i)
    }
  }

  #outcome(offset: number, spec: Spec, clock: number, latenessMs: number): Outcome {
    if (this.history.some(([from, to]) => from <= offset && offset < to)) return 'lost'
    return outcomeOf(spec, clock, latenessMs)
  }
}

export function outcomeOf(spec: Spec, clock: number, latenessMs: number): Outcome {
  if (spec.code !== null) return spec.code
  return (spec.window + 1) * WINDOW_MS + latenessMs > clock ? 'accepted' : 'late'
}

/** All that one source partition was ever given, and what it adds up to. */
export class Truth {
  readonly log: Log
  readonly partition: number
  readonly records: Made[] = []
  readonly #latenessMs: number
  readonly #folds = new Map<string, Fold>()

  constructor(log: Log, latenessMs: number) {
    this.log = log
    this.partition = log.number
    this.#latenessMs = latenessMs
  }

  /** How many records have offsets below `offset`. */
  countBelow(offset: number): number {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.records[middle] as Made).offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  fold(history: History = []): Fold {
    const key = history.join(' ')
    let fold = this.#folds.get(key)
    if (fold === undefined) {
      fold = new Fold(history)
      this.#folds.set(key, fold)
    }
    fold.catchUp(this.records, this.#latenessMs)
    return fold
  }

  /** One fold for each history that was ever committed, and the one without a gap first. */
  folds(): Fold[] {
    const whole = this.fold()
    return [whole, ...[...this.#folds.values()].filter(fold => fold !== whole).map(fold => this.fold(fold.history))]
  }

  /** Whether a line of owners ever lost records. */
  get hasGaps(): boolean {
    return this.#folds.size > 1
  }

  clockAt(fold: Fold, offset: number): number {
    return fold.clocks[this.countBelow(offset) - 1] ?? 0
  }

  /** Accepted, late and rejected records below `offset`. */
  tallyBelow(fold: Fold, offset: number): Tally {
    const count = this.countBelow(offset)
    const rejected: Record<string, number> = {}
    for (let i = 0; i < count; i++) {
      const outcome = fold.outcomes[i] as Outcome
      if (outcome === 'accepted' || outcome === 'late' || outcome === 'lost') continue
      rejected[outcome] = (rejected[outcome] ?? 0) + 1
    }
    return { accepted: fold.accepted[count - 1] ?? 0, late: fold.late[count - 1] ?? 0, rejected }
  }

  /** Records accepted into the window at offsets [from, through). */
  acceptedIn(fold: Fold, window: number, from: number, through: number): Made[] {
    const found: Made[] = []
    for (const index of fold.windows.get(window) ?? []) {
      const record = this.records[index] as Made
      if (record.offset >= from && record.offset < through) found.push(record)
    }
    return found
  }

  /** The records of one window that a fold from `from` with the clock `clock` accepts in [from, through). */
  recount(window: number, from: number, through: number, clock: number): Made[] {
    const found: Made[] = []
    let now = clock
    for (let i = this.countBelow(from); i < this.records.length; i++) {
      const record = this.records[i] as Made
      if (record.offset >= through) break
      const { spec, timestamp } = record
      const outcome = outcomeOf(spec, now, this.#latenessMs)
      if (spec.window === window && outcome === 'accepted') found.push(record)
      if (spec.code === null) now = Math.max(now, Math.min(spec.timeMs, timestamp))
    }
    return found
  }
}

export type Counts = Record<string, number>

/** What records add up to, by value and field. */
export type Sums = Record<'devices' | 'locales' | 'versions' | 'categories' | 'countries' | 'regions', Counts> &
  Record<'hours' | 'missing' | 'invalid', Counts>

export function sumsOf(records: readonly Made[]): Sums {
  const sums = emptySums()
  for (const { spec } of records) {
    addOne(sums.devices, spec.device)
    addOne(sums.locales, spec.locale)
    addOne(sums.versions, spec.version)
    addOne(sums.categories, spec.version.split('.').slice(0, 2).join('.'))
    addOne(sums.countries, spec.country)
    addOne(sums.regions, 'unknown')
    addOne(sums.hours, String(Math.floor(spec.timeMs / WINDOW_MS) % 24))
    for (const name of spec.missing) addOne(sums.missing, name)
    for (const name of spec.invalid) addOne(sums.invalid, name)
  }
  return sums
}

function emptySums(): Sums {
  const dimensions = { devices: {}, locales: {}, versions: {}, categories: {}, countries: {}, regions: {} }
  return { ...dimensions, hours: {}, missing: {}, invalid: {} }
}

function addOne(counts: Counts, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

export function sameCounts(a: Readonly<Counts>, b: Readonly<Counts>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}
