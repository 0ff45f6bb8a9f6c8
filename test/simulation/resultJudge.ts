import type { Coverage, Result } from '../../src/results/result.ts'
import type { Commit } from '../../src/tasks/task.ts'
import type { Level } from '../../src/windows/levels.ts'
import { check } from './failure.ts'
import { FinalityJudge, type Marks } from './finality.ts'
import type { Judge, PartialJson, Range } from './judge.ts'
import { WINDOW_MS } from './plan.ts'
import { Standing } from './standing.ts'
import { type History, type Made, sumsOf } from './truth.ts'
import { checkUsers } from './users.ts'

/** A result that must admit what a source has lost, when events of its window are among it. */
type Owed = { readonly window: number; readonly p: number; readonly gaps: History }

/** Judges what the base level's reducers say: results, dead letters and commits, as their transactions become readable. */
export class ResultJudge {
  readonly #standing = new Standing()
  readonly #judge: Judge
  readonly #letters = new Map<string, Range[]>()
  readonly #finality: FinalityJudge
  readonly #marks = new Map<number, Marks & { readonly position: number }>()
  readonly #owed: Owed[] = []
  #waiting: Result[] = []
  #waitingLetters: PartialJson[] = []
  inexact = 0
  written = 0
  letters = 0
  emptyLetters = 0
  corrected = 0

  constructor(judge: Judge) {
    this.#judge = judge
    this.#finality = new FinalityJudge(judge, judge.plan.levels[0] as Level)
  }

  /** The last result of every window. */
  get last(): ReadonlyMap<number, Result> {
    return this.#standing.last
  }

  published(_r: number, result: Result): void {
    this.#waiting.push(result)
  }

  /** @param position where the partial stands in the partials log */
  lettered(r: number, partial: PartialJson, position: number): void {
    const { w, p, last } = partial
    for (const seen of this.#judge.progressOf(0, r)) {
      const repeat = seen.p === p && seen.position < position && seen.through >= last
      check('dead-letters-true', !repeat, () => `the partial at ${position} of window ${w} repeats what was told`)
    }
    const read = this.#marks.get(r)?.position ?? 0
    check('dead-letters-true', position >= read, () => `the partial at ${position} was judged before ${read}`)
    this.#waitingLetters.push(partial)
  }

  committed(r: number, commit: Commit): void {
    const { f, d, r: replayFrom } = JSON.parse(commit.metadata)
    const mark = this.#marks.get(r) ?? { final: -1, dropped: -1, position: 0 }
    const what = `commit ${commit.offset} of reducer ${r}`
    check('commit-truth', replayFrom <= commit.offset, () => `${what}: replayFrom ${replayFrom}`)
    this.#finality.moved(r, commit.offset, mark, { final: f, dropped: d })
    this.#marks.set(r, { final: f, dropped: d, position: commit.offset })
    this.#oweLosses(r, mark.position, commit.offset, mark.dropped)
    const results = this.#waiting
    const letters = this.#waitingLetters
    this.#waiting = []
    this.#waitingLetters = []
    for (const result of results) this.#result(r, result, commit.offset)
    for (const letter of letters) this.#letter(letter, d)
  }

  #result(r: number, result: Result, position: number): void {
    const window = windowOf(result)
    const what = `result ${window} ${result.status} ${result.revision}`
    check('coverage', window % this.#judge.plan.reducers === r, () => `${what} comes from reducer ${r}`)
    this.written++
    // What a source has lost is bounded more closely later: a result told again for a gap may not be touched by it after all.
    const vague = this.#judge.truths.some(truth => truth.hasGaps)
    this.#standing.tell(what, window, result, vague)
    this.#checkCounts(what, window, result)
    if (!result.exact) this.inexact++
    if (result.status === 'corrected') this.corrected++
    if (result.status !== 'final') return
    const through: Record<string, number> = {}
    for (const [p, coverage] of Object.entries(result.coverage)) through[p] = coverage.through
    this.#finality.final(r, what, window, through, position)
  }

  /** What the coverage claims against the recount: exactly where it vouches, within bounds where it does not. */
  #checkCounts(what: string, window: number, result: Result): void {
    const counted: Made[] = []
    let least = 0
    let most = 0
    let vouched = true
    for (const [p, coverage] of Object.entries(result.coverage)) {
      const truth = this.#judge.truth(Number(p))
      if (coverage.gaps === undefined) {
        const records = truth.acceptedIn(truth.fold(), window, 0, coverage.through)
        counted.push(...records)
        least += records.length
        most += records.length
        const early = records.find(({ offset }) => offset < coverage.from)
        check('coverage', early === undefined, () => `${what}: source ${p} has ${early?.offset} below ${coverage.from}`)
        const clocks = truth.folds().map(fold => truth.clockAt(fold, coverage.from))
        const clock = Date.parse(coverage.clock_at_from)
        check('coverage', clocks.includes(clock), () => `${what}: source ${p} has clock ${clock}, not ${clocks}`)
      } else {
        vouched = false
        this.#checkGaps(what, window, Number(p), coverage)
        const [low, high] = this.#bounds(window, Number(p), coverage)
        least += low
        most += high
      }
    }
    const size = result.batch_size
    check('coverage', least <= size && size <= most, () => {
      return `${what}: ${size} events, not ${least}..${most}; ${JSON.stringify(result.coverage)}`
    })
    if (vouched) this.#checkDimensions(what, counted, result)
    else check('coverage', !result.exact, () => `${what} claims to be exact in spite of gaps`)
  }

  #checkDimensions(what: string, counted: readonly Made[], result: Result): void {
    const whole = this.#judge.checkStats('coverage', what, result, sumsOf(counted))
    check('coverage', result.exact === whole, () => `${what}: exact ${result.exact}`)
    checkUsers(what, result, counted, Date.parse(result.window.end), this.#judge.plan.userSample)
  }

  /** A range that is not vouched for was lost to some owner, or was told by two partials that overlap. */
  #checkGaps(what: string, window: number, p: number, { gaps = [] }: Coverage): void {
    const truth = this.#judge.truth(p)
    const told = this.#judge.told.get(`${window}/${p}`) ?? []
    for (const [from, to] of gaps) {
      const lost = truth.folds().some(fold => fold.history.some(gap => gap[0] === from && gap[1] === to))
      const overlaps = (a: Range) =>
        a.from < from && a.through >= to && told.some(b => b.from === from && b.through > to)
      check('coverage', lost || told.some(overlaps), () => `${what}: the gap ${from}-${to} of source ${p} is made up`)
    }
  }

  /**
   * How many events of a source may be counted where its coverage has gaps. Owners that lost records know another clock
   * than owners that did not, so an event counts for sure only when every line of owners accepts it.
   */
  #bounds(window: number, p: number, { through, gaps = [] }: Coverage): readonly [number, number] {
    const truth = this.#judge.truth(p)
    const folds = truth.folds()
    let least = 0
    let most = 0
    for (let i = 0; i < truth.countBelow(through); i++) {
      const { offset, spec } = truth.records[i] as Made
      if (spec.code !== null || spec.window !== window) continue
      const times = gaps.filter(([from, to]) => from <= offset && offset < to).length
      if (times === 0 && folds.every(fold => fold.outcomes[i] === 'accepted' || fold.outcomes[i] === 'lost')) least++
      most += 1 + times
    }
    return [least, most]
  }

  #letter(letter: PartialJson, dropped: number): void {
    const { w, p, from, through } = letter
    const what = `dead letter (${w}, ${p}, ${from}) through ${through}`
    this.letters++
    check('dead-letters-true', w <= dropped, () => `${what}: only windows through ${dropped} were forgotten`)
    const told = this.#judge.checkAggregate('dead-letters-true', what, letter)
    const covered = this.last.get(w)?.coverage[p]?.through ?? 0
    // A partial that came twice, without progress between, may claim nothing; it is no lie.
    if (told.every(({ offset }) => offset < covered)) this.emptyLetters++
    const key = `${w}/${p}`
    const known = this.#letters.get(key)
    if (known === undefined) this.#letters.set(key, [{ from, through }])
    else known.push({ from, through })
  }

  /** Whether a dead letter claims the event. */
  isLettered(window: number, p: number, offset: number): boolean {
    const claims = this.#letters.get(`${window}/${p}`)
    return claims?.some(({ from, through }) => from <= offset && offset < through) ?? false
  }

  /** After everything was delivered and told: every accepted event is in its window's last result or in a dead letter. */
  checkTotals(): void {
    for (const truth of this.#judge.truths) {
      const p = truth.partition
      const folds = truth.folds()
      truth.records.forEach(({ offset, spec }, i) => {
        // Where owners lost records, they may differ on what was late.
        if (!folds.every(fold => fold.outcomes[i] === 'accepted')) return
        const covered = this.last.get(spec.window)?.coverage[p]?.through ?? 0
        if (offset < covered) return
        check('totals', this.isLettered(spec.window, p, offset), () => {
          return `the event at ${offset} of source ${p} is neither in the result of window ${spec.window} (covered below ${covered}) nor in a dead letter`
        })
      })
    }
  }

  /** After time has passed: every window is final, and lacks only what no source could have been waited for. */
  checkFinals(): void {
    for (const [window, result] of this.last) {
      check('final-comes-and-stays', result.status !== 'provisional', () => `window ${window} is still provisional`)
    }
    this.#finality.checkWhole()
    this.#checkLosses()
  }

  /** A reducer that reads of a gap tells so in the results that it can still correct. */
  #oweLosses(r: number, from: number, to: number, dropped: number): void {
    for (const { p, position, gaps } of this.#judge.progressOf(0, r)) {
      if (gaps.length === 0 || position < from || position >= to) continue
      for (const window of this.last.keys()) {
        if (window > dropped && window % this.#judge.plan.reducers === r) this.#owed.push({ window, p, gaps })
      }
    }
  }

  #checkLosses(): void {
    for (const { window, p, gaps } of this.#owed) {
      if (this.last.get(window)?.coverage[p]?.gaps !== undefined) continue
      const truth = this.#judge.truth(p)
      for (const [from, to] of gaps) {
        const lost = truth.acceptedIn(truth.fold(), window, from, to)
        const untold = lost.find(({ offset }) => !this.#judge.isTold(window, p, offset))
        check('loss-admitted', untold === undefined, () => {
          return `the event at ${untold?.offset} of source ${p} was lost, and the result of window ${window} does not say so`
        })
      }
    }
  }
}

function windowOf(result: Result): number {
  return Date.parse(result.window.start) / WINDOW_MS
}
