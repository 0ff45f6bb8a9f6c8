import type { Commit } from '../../src/tasks/task.ts'
import { check } from './failure.ts'
import type { Judge, PartialJson, Range, SeenProgress } from './judge.ts'
import { WINDOW_MS } from './plan.ts'
import { type Counts, type Made, sameCounts, sumsOf } from './truth.ts'

type CoverageJson = { from: number; clock_at_from: string; through: number; gaps?: [number, number][] }
type ResultJson = {
  generation: number
  window: { start: string }
  status: 'provisional' | 'final' | 'corrected'
  revision: number
  exact: boolean
  batch_size: number
  device_stats: Counts
  location_stats: Counts
  app_version_stats: Counts
  quality: { missing: Counts; invalid: Counts }
  coverage: Record<string, CoverageJson>
}

/** Why a window could be called final, and how much of each source it held then. */
type Final = {
  readonly window: number
  readonly through: Readonly<Record<string, number>>
  readonly silent: ReadonlySet<number>
  readonly expected: number
}

const RANK = { provisional: 0, final: 1, corrected: 2 } as const

/** Judges what reducers say: results, dead letters and commits, as their transactions become readable. */
export class ResultJudge {
  readonly last = new Map<number, ResultJson>()
  readonly #judge: Judge
  readonly #letters = new Map<string, Range[]>()
  readonly #signatures = new Map<string, string>()
  readonly #finals: Final[] = []
  readonly #marks = new Map<number, { final: number; dropped: number }>()
  #waiting: ResultJson[] = []
  #waitingLetters: PartialJson[] = []
  inexact = 0
  written = 0
  letters = 0
  corrected = 0

  constructor(judge: Judge) {
    this.#judge = judge
  }

  published(_r: number, result: ResultJson): void {
    this.#waiting.push(result)
  }

  lettered(_r: number, partial: PartialJson): void {
    this.#waitingLetters.push(partial)
  }

  committed(r: number, commit: Commit): void {
    const { f, d, r: replayFrom } = JSON.parse(commit.metadata)
    const mark = this.#marks.get(r) ?? { final: -1, dropped: -1 }
    const what = `commit ${commit.offset} of reducer ${r}`
    check('monotone-final', f >= mark.final && d >= mark.dropped, () => {
      return `${what}: final ${mark.final} -> ${f}, dropped ${mark.dropped} -> ${d}`
    })
    check('commit-truth', replayFrom <= commit.offset, () => `${what}: replayFrom ${replayFrom}`)
    this.#marks.set(r, { final: f, dropped: d })
    const results = this.#waiting
    const letters = this.#waitingLetters
    this.#waiting = []
    this.#waitingLetters = []
    for (const result of results) this.#result(r, result, commit.offset)
    for (const letter of letters) this.#letter(letter, d)
  }

  #result(r: number, result: ResultJson, position: number): void {
    const window = windowOf(result)
    const what = `result ${window} ${result.status} ${result.revision}`
    check('coverage', window % this.#judge.plan.reducers === r, () => `${what} comes from reducer ${r}`)
    this.written++
    const before = this.last.get(window)
    if (before !== undefined) {
      const grows = result.revision >= before.revision && RANK[result.status] >= RANK[before.status]
      check('revision-grows', grows, () => `${what} after ${before.status} ${before.revision}`)
    }
    this.last.set(window, result)
    this.#checkOnlyTruth(what, result)
    this.#checkCounts(what, window, result)
    if (!result.exact) this.inexact++
    if (result.status === 'corrected') this.corrected++
    if (result.status === 'final') this.#final(r, what, window, result, position)
  }

  #checkOnlyTruth(what: string, result: ResultJson): void {
    const { window, generation, revision, status } = result
    const key = `${window.start} ${generation} ${revision} ${status}`
    const { device_stats, location_stats, app_version_stats, quality } = result
    const signature = JSON.stringify([result.batch_size, device_stats, location_stats, app_version_stats, quality])
    const known = this.#signatures.get(key)
    check('no-two-truths', known === undefined || known === signature, () => `${what}: ${known} and ${signature}`)
    this.#signatures.set(key, signature)
  }

  /** What the coverage claims against the recount: exactly where it vouches, within bounds where it does not. */
  #checkCounts(what: string, window: number, result: ResultJson): void {
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

  #checkDimensions(what: string, counted: readonly Made[], result: ResultJson): void {
    const sums = sumsOf(counted)
    const { plan } = this.#judge
    this.#judge.checkDimension('coverage', what, result.device_stats, sums.devices)
    this.#judge.checkDimension('coverage', what, result.location_stats, sums.locales)
    this.#judge.checkDimension('coverage', what, result.app_version_stats, sums.versions)
    check('coverage', sameCounts(result.quality.missing, sums.missing), () => `${what}: missing`)
    check('coverage', sameCounts(result.quality.invalid, sums.invalid), () => `${what}: invalid`)
    const dimensions = [sums.devices, sums.locales, sums.versions]
    const whole = dimensions.every(counts => Object.keys(counts).length <= plan.maxDimensionValues)
    check('coverage', result.exact === whole, () => `${what}: exact ${result.exact}`)
  }

  /** A range that is not vouched for was lost to some owner, or was told by two partials that overlap. */
  #checkGaps(what: string, window: number, p: number, { gaps = [] }: CoverageJson): void {
    const truth = this.#judge.truth(p)
    const told = this.#judge.told.get(`${window}/${p}`) ?? []
    for (const [from, to] of gaps) {
      const lost = truth.folds().some(fold => fold.history.some(gap => gap[0] === from && gap[1] === to))
      const overlaps = (a: Range) => a.from < from && a.through >= to && told.some(b => b.from === from && b.through > to)
      check('coverage', lost || told.some(overlaps), () => `${what}: the gap ${from}-${to} of source ${p} is made up`)
    }
  }

  /**
   * How many events of a source may be counted where its coverage has gaps. Owners that lost records know another clock
   * than owners that did not, so an event counts for sure only when every line of owners accepts it.
   */
  #bounds(window: number, p: number, { through, gaps = [] }: CoverageJson): readonly [number, number] {
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

  /** All sources that the reducer could know of have passed the window, or were proven silent long enough. */
  #final(r: number, what: string, window: number, result: ResultJson, position: number): void {
    const latest = new Map<number, SeenProgress>()
    let expected = 0
    for (const seen of this.#judge.progress[r] ?? []) {
      if (seen.position >= position) continue
      expected = Math.max(expected, seen.of)
      const known = latest.get(seen.p)
      const newer = known === undefined || seen.through > known.through
      if (newer || (seen.through === known.through && seen.position > known.position)) latest.set(seen.p, seen)
    }
    const end = (window + 1) * WINDOW_MS + this.#judge.plan.latenessMs
    const silent = new Set<number>()
    for (let p = 0; p < expected; p++) {
      const seen = latest.get(p)
      check('final-justified', seen !== undefined, () => `${what}: source ${p} of ${expected} has told no progress`)
      if (seen.clock >= end) continue
      check('final-justified', seen.silentAt >= end, () => {
        return `${what}: source ${p} has clock ${seen.clock}, silent at ${seen.silentAt}, and the window closes at ${end}`
      })
      silent.add(p)
    }
    const through: Record<string, number> = {}
    for (const [p, coverage] of Object.entries(result.coverage)) through[p] = coverage.through
    this.#finals.push({ window, through, silent, expected })
  }

  #letter(letter: PartialJson, dropped: number): void {
    const { w, p, from, through } = letter
    const what = `dead letter (${w}, ${p}, ${from}) through ${through}`
    this.letters++
    check('dead-letters-true', w <= dropped, () => `${what}: only windows through ${dropped} were forgotten`)
    const told = this.#judge.checkAggregate('dead-letters-true', what, letter)
    const covered = this.last.get(w)?.coverage[p]?.through ?? 0
    const lost = told.filter(({ offset }) => offset >= covered)
    check('dead-letters-true', lost.length > 0, () => `${what}: all of it is counted below ${covered}`)
    const key = `${w}/${p}`
    const known = this.#letters.get(key)
    if (known === undefined) this.#letters.set(key, [{ from, through }])
    else known.push({ from, through })
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
        const claimed = this.#letters.get(`${spec.window}/${p}`)
        const told = claimed?.some(({ from, through }) => from <= offset && offset < through) ?? false
        check('totals', told, () => {
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
    for (const { window, through, silent, expected } of this.#finals) {
      for (const truth of this.#judge.truths) {
        const p = truth.partition
        if (silent.has(p) || p >= expected || truth.hasGaps) continue
        const later = truth.acceptedIn(truth.fold(), window, through[p] ?? 0, Number.POSITIVE_INFINITY)
        check('final-is-whole', later.length === 0, () => {
          return `window ${window} was final through ${through[p] ?? 0} of source ${p}, but ${later[0]?.offset} came`
        })
      }
    }
  }
}

function windowOf(result: ResultJson): number {
  return Date.parse(result.window.start) / WINDOW_MS
}
