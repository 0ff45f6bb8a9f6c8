import type { DeviceStats, Result } from '../../src/results/result.ts'
import type { Commit } from '../../src/tasks/task.ts'
import type { Level } from '../../src/windows/levels.ts'
import type { Sender } from './broker.ts'
import { check } from './failure.ts'
import { FinalityJudge, type Marks } from './finality.ts'
import { countsOf, type GapJson, type Judge, named, type PartialJson, type ProgressJson } from './judge.ts'
import { WINDOW_MS } from './plan.ts'
import { addUp, isWhole } from './resultSums.ts'
import { Standing } from './standing.ts'
import { type Made, sameCounts, sumsOf } from './truth.ts'
import { checkUsers } from './users.ts'

/** A record's place in the partials of a level. */
type Place = { readonly level: number; readonly r: number; readonly position: number }
type HandUp = { readonly revision: number; readonly position: number }

/** What is known of one level. */
type LevelState = {
  readonly level: Level
  readonly standing: Standing
  readonly finality: FinalityJudge
  /** The latest result of each window and revision, as `window/revision`. */
  readonly told: Map<string, Result>
  /** What was handed up into this level, by window and the shorter window in it. */
  readonly handed: Map<number, Map<number, HandUp[]>>
  /** Shorter windows whose last result this level has not been handed, with the windows that lack it. */
  readonly owed: Map<number, Set<number>>
}

const FIRST: Marks = { final: -1, dropped: -1 }

/**
 * Judges the levels of longer windows: what is handed up to them, what they are told of progress, and what they make of
 * it. The base level's results are held against the log elsewhere; here they are what longer windows must add up to.
 */
export class RollupJudge {
  readonly #judge: Judge
  readonly #states: readonly LevelState[]
  readonly #marks = new Map<string, Marks>()
  #results: Result[] = []
  #devices: DeviceStats[] = []
  #progress: ProgressJson[] = []
  written = 0
  handUps = 0
  corrected = 0
  overclaimed = 0

  constructor(judge: Judge) {
    this.#judge = judge
    this.#states = judge.plan.levels.map(level => ({
      level,
      standing: new Standing(),
      finality: new FinalityJudge(judge, level),
      told: new Map(),
      handed: new Map(),
      owed: new Map(),
    }))
  }

  /** A result of any level, in its place among the records of its transaction. */
  published({ level: number, partition }: Sender, result: Result): void {
    const { level, standing, told } = this.#state(number)
    const window = windowOf(level, result)
    const what = nameOf(level, result)
    check('rollup-totals', window % this.#judge.plan.reducers === partition, () => `${what} comes from ${partition}`)
    standing.tell(what, window, result, this.#vague)
    told.set(`${window}/${result.revision}`, result)
    for (const above of level.above) {
      const { level: parent, handed, owed } = this.#state(above)
      for (const w of windowsAround(parent, level, window)) {
        const known = handed.get(w)?.get(window)?.at(-1)?.revision ?? -1
        if (known >= result.revision) continue
        const lacking = owed.get(window)
        if (lacking === undefined) owed.set(window, new Set([w]))
        else lacking.add(w)
      }
    }
    this.#results.push(result)
  }

  toldDevices(_sender: Sender, stats: DeviceStats): void {
    this.#devices.push(stats)
  }

  /** The clock that closes a longer window has first closed, and forgotten, all in it: none can come too late. */
  lettered({ name }: Sender, { w, p, through }: PartialJson): void {
    check('rollup-totals', false, () => `${name}: window ${p} through ${through} came too late for window ${w}`)
  }

  handedUp(sender: Sender, to: Place, partial: PartialJson): void {
    const { level, standing, told } = this.#state(sender.level)
    const { level: parent, handed, owed } = this.#state(to.level)
    const { w, p, from, through } = partial
    const what = `${sender.name}: window ${p} through ${through}, handed up to window ${w} of level ${to.level}`
    const placed = parent.below === level.number && to.r === w % this.#judge.plan.reducers && from === 0
    const inside = windowsAround(parent, level, p).includes(w)
    check('rollup-partial-true', placed && inside, () => `${what} belongs elsewhere`)
    const result = told.get(`${p}/${through}`)
    check('rollup-partial-true', result !== undefined, () => `${what}: no result has told this revision`)
    checkHandUp(what, partial, result)
    this.handUps++
    const children = handed.get(w) ?? new Map<number, HandUp[]>()
    handed.set(w, children)
    children.set(p, [...(children.get(p) ?? []), { revision: through, position: to.position }])
    if (through >= (standing.last.get(p)?.revision ?? 0)) owed.get(p)?.delete(w)
  }

  /** What the clock closes was handed up before it, in the order of the log. */
  progressed(sender: Sender, to: Place, progress: ProgressJson): void {
    const { p, of, through, clock, idleAsOf, gaps } = progress
    const { level } = this.#state(sender.level)
    const { reducers, latenessMs } = this.#judge.plan
    const what = `${sender.name}: progress through ${through} with the clock ${clock} to level ${to.level}`
    check('rollup-clock', p === sender.partition && of === reducers, () => `${what}: ${p} of ${of}`)
    for (const [window, lacking] of this.#state(to.level).owed) {
      if (window % reducers !== p || endOf(level, window) + latenessMs > clock) continue
      check('rollup-clock', lacking.size === 0, () => `${what}: window ${window} is not handed up to ${[...lacking]}`)
    }
    this.#checkGapsPassed(sender, what, through, gaps)
    this.#progress.push(progress)
    const claims = { silentAt: idleAsOf === null ? -1 : idleAsOf, gaps: [], passed: gaps }
    this.#judge.progressOf(to.level, to.r).push({ position: to.position, p, of, through, clock, ...claims })
  }

  /** Every gap that the sender has read of. */
  #checkGapsPassed({ level, partition }: Sender, what: string, through: number, gaps: readonly GapJson[]): void {
    for (const { position, passed } of this.#judge.progressOf(level, partition)) {
      if (position >= through) continue
      for (const { p, from, to } of passed) {
        const told = gaps.some(gap => gap.p === p && gap.from <= from && gap.to >= to)
        check('gaps-passed', told, () => `${what} says nothing of the gap ${from}-${to} of source ${p}`)
      }
    }
  }

  committed(sender: Sender, commit: Commit): void {
    const { f: final, d: dropped, r: replayFrom } = JSON.parse(commit.metadata)
    const { level, finality } = this.#state(sender.level)
    const what = `${sender.name}: commit ${commit.offset}`
    const before = this.#marks.get(sender.name) ?? FIRST
    this.#marks.set(sender.name, { final, dropped })
    if (level.below !== null) {
      check('commit-truth', replayFrom <= commit.offset, () => `${what}: replayFrom ${replayFrom}`)
      finality.moved(sender.partition, commit.offset, before, { final, dropped })
      if (final > before.final) this.#checkBaseMarks(`${what}: final ${final}`, level, final, 'final')
      if (dropped > before.dropped) this.#checkBaseMarks(`${what}: dropped ${dropped}`, level, dropped, 'dropped')
    }
    const [results, devices, progress] = [this.#results, this.#devices, this.#progress]
    this.#results = []
    this.#devices = []
    this.#progress = []
    for (const { through, clock } of progress) {
      const closed = Math.floor((clock - this.#judge.plan.latenessMs - level.sizeMs) / level.hopMs)
      check('rollup-clock', clock === 0 || closed <= final, () => `${what}: clock ${clock}, but final ${final}`)
      check('rollup-clock', through === commit.offset, () => `${what}: progress through ${through}`)
    }
    checkDevices(what, results, devices)
    for (const result of results) this.#result(sender, what, result, commit.offset, final)
  }

  #result(sender: Sender, what: string, result: Result, position: number, final: number): void {
    const { level, finality } = this.#state(sender.level)
    const window = windowOf(level, result)
    const told = `${what}: ${nameOf(level, result)}`
    check('rollup-final', window <= final === (result.status !== 'provisional'), () => `${told}, but final ${final}`)
    if (level.below === null) return
    this.written++
    if (result.status === 'corrected') this.corrected++
    this.#checkHanded(told, level, window, result, position)
    if (result.status !== 'final') return
    finality.justify(sender.partition, told, position, endOf(level, window) + this.#judge.plan.latenessMs)
    this.#checkBaseMarks(told, level, window, 'final')
  }

  /** A longer window's mark moves only behind those of all base windows in it. */
  #checkBaseMarks(what: string, level: Level, window: number, mark: keyof Marks): void {
    const { reducers } = this.#judge.plan
    for (const b of baseWindows(level, window)) {
      const reached = (this.#marks.get(`reduce/${b % reducers}`) ?? FIRST)[mark]
      check('rollup-final', reached >= b, () => `${what}: base window ${b} is not ${mark}, only ${reached} is`)
    }
  }

  /** A result adds up the greatest revisions of what was handed up below the position that its commit names. */
  #checkHanded(what: string, level: Level, window: number, result: Result, position: number): void {
    const children = this.#state(level.number).handed.get(window)
    const below = this.#state(level.below as number)
    const parts: Result[] = []
    let revision = 0
    for (const [child, handUps] of children ?? []) {
      const read = handUps.filter(handUp => handUp.position < position)
      if (read.length === 0) continue
      const greatest = Math.max(...read.map(handUp => handUp.revision))
      revision += greatest
      parts.push(below.told.get(`${child}/${greatest}`) as Result)
    }
    check('rollup-sums', result.revision === revision, () => `${what}: not revision ${revision}`)
    this.#checkAddsUp('rollup-sums', what, result, parts)
  }

  #checkAddsUp(name: string, what: string, result: Result, parts: readonly Result[]): void {
    const size = parts.reduce((sum, part) => sum + part.batch_size, 0)
    check(name, result.batch_size === size, () => `${what}: ${result.batch_size} events, not ${size}`)
    const sums = addUp(parts)
    if (isWhole(parts)) this.#judge.checkStats(name, what, result, sums)
    else {
      check(name, !result.exact, () => `${what} is exact, but not all of its parts keep all values`)
      check(name, sameCounts(result.hour_stats, sums.hours), () => `${what}: hours`)
      check(name, sameCounts(result.quality.missing, sums.missing), () => `${what}: missing`)
      check(name, sameCounts(result.quality.invalid, sums.invalid), () => `${what}: invalid`)
    }
  }

  /** After everything was told and time has passed: longer windows are what the base windows in them are. */
  checkAtEnd(): void {
    const base = this.#state(0).standing.last
    for (const { level, standing } of this.#states.slice(1)) {
      for (const [window, result] of standing.last) this.#checkTotals(level, window, result)
      for (const [b, { batch_size }] of base) {
        for (const w of windowsAround(level, this.#state(0).level, b)) {
          const there = batch_size === 0 || standing.last.has(w)
          check('rollup-totals', there, () => `window ${w} of ${level.name} is missing, but base window ${b} is not`)
        }
      }
    }
  }

  #checkTotals(level: Level, window: number, result: Result): void {
    const what = nameOf(level, result)
    check('final-comes-and-stays', result.status !== 'provisional', () => `${what} is still provisional`)
    const base = this.#state(0).standing.last
    const parts = baseWindows(level, window).flatMap(b => base.get(b) ?? [])
    this.#checkAddsUp('rollup-totals', what, result, parts)
    const vague = parts.find(part => !part.exact && !(isWhole([part]) && this.#isUntouched(level, window, part)))
    check('rollup-totals', !(result.exact && vague !== undefined), () => `${what} is exact, but one part is not`)
    if (parts.some(({ coverage }) => Object.values(coverage).some(({ gaps }) => gaps !== undefined))) return
    for (const part of parts) this.#checkCoverage(what, result, part)
    const events = parts.flatMap(part => this.#eventsOf(part))
    const whole = this.#judge.checkStats('rollup-totals', what, result, sumsOf(events))
    check('rollup-totals', whole || !result.exact, () => `${what} is exact, but cannot keep all values`)
    checkUsers(what, result, events, endOf(level, window), this.#judge.plan.userSample)
  }

  /** What a longer window covers holds all that it counts, and else only what was reported as come too late. */
  #checkCoverage(what: string, { coverage }: Result, part: Result): void {
    const window = windowOf(this.#state(0).level, part)
    for (const [p, { through }] of Object.entries(part.coverage)) {
      const truth = this.#judge.truth(Number(p))
      const own = coverage[p]
      for (const { offset } of truth.acceptedIn(truth.fold(), window, 0, Number.POSITIVE_INFINITY)) {
        const claimed = own !== undefined && own.from <= offset && offset < own.through
        if (claimed === offset < through) continue
        const late = claimed && this.#judge.results.isLettered(window, truth.partition, offset)
        check('rollup-coverage', late, () => `${what}: ${p}/${offset} of window ${window}, covered ${claimed}`)
        this.overclaimed++
      }
    }
  }

  /** Owners that find the same loss one after the other bound it ever more loosely: any of the bounds holds. */
  #isUntouched(level: Level, window: number, { coverage }: Result): boolean {
    const { reducers, latenessMs } = this.#judge.plan
    const told = Array.from({ length: reducers }, (_, r) => this.#judge.progressOf(0, r)).flat()
    return Object.entries(coverage).every(([p, { gaps = [] }]) => {
      return gaps.every(([from, to]) => {
        const same = told.flatMap(({ passed }) => passed).filter(gap => gap.from === from && gap.to === to)
        return same.some(gap => {
          const before = endOf(level, window) + latenessMs <= gap.clockBefore
          return gap.p === Number(p) && (before || window * level.hopMs > gap.untilMs)
        })
      })
    })
  }

  /** The events that a base result without gaps counts, by the log. */
  #eventsOf(result: Result): Made[] {
    const window = windowOf(this.#state(0).level, result)
    return Object.entries(result.coverage).flatMap(([p, { through }]) => {
      const truth = this.#judge.truth(Number(p))
      return truth.acceptedIn(truth.fold(), window, 0, through)
    })
  }

  #state(level: number): LevelState {
    return this.#states[level] as LevelState
  }

  get #vague(): boolean {
    return this.#judge.truths.some(truth => truth.hasGaps)
  }
}

/** A handed-up aggregate says what the result of its revision says. */
function checkHandUp(what: string, { aggregate, coverage }: PartialJson, result: Result): void {
  const { n, d, l, v, g, c, r, m, i, h = [] } = aggregate
  const hours = Object.fromEntries(h.flatMap((count, hour) => (count > 0 ? [[hour, count]] : [])))
  for (const [is, wanted] of [
    [{ n }, { n: result.batch_size }],
    [countsOf(d), result.device_stats],
    [countsOf(l), result.location_stats],
    [countsOf(v), result.app_version_stats],
    [countsOf(g), result.version_category_stats],
    [countsOf(c), result.country_stats],
    [countsOf(r), result.region_stats],
    [hours, result.hour_stats],
    [named(m), result.quality.missing],
    [named(i), result.quality.invalid],
  ] as const) {
    const same = sameCounts(is, wanted)
    check('rollup-partial-true', same, () => `${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`)
  }
  for (const [p, { through, gaps }] of Object.entries(result.coverage)) {
    // A longer window's result names a source with gaps of which nothing was handed up to it.
    if (gaps !== undefined) continue
    const covered = coverage?.find(each => each.p === Number(p))
    const reached = covered !== undefined && covered.through >= through
    check(
      'rollup-partial-true',
      reached,
      () => `${what}: source ${p} is covered to ${covered?.through}, not ${through}`,
    )
  }
}

/** Each result comes with the statistics of its users and devices. */
function checkDevices(what: string, results: readonly Result[], devices: readonly DeviceStats[]): void {
  check('device-stats', results.length === devices.length, () => `${what}: ${devices.length} for ${results.length}`)
  results.forEach((result, at) => {
    const { window, status, revision, users, device_stats, location_stats, day_part_stats, hour_stats } = result
    const wanted = {
      v: 1,
      generation: result.generation,
      window,
      status,
      revision,
      logins_per_user: users.logins_per_user,
      users: users.distinct,
      device_types: knownValues(device_stats),
      locations: knownValues(location_stats),
      logins_at_night: day_part_stats.night ?? 0,
      logins_in_the_morning: day_part_stats.morning ?? 0,
      logins_by_hour: hour_stats,
    }
    const told = JSON.stringify(devices[at])
    check('device-stats', told === JSON.stringify(wanted), () => `${what}: ${told}, not ${JSON.stringify(wanted)}`)
  })
}

function knownValues(counts: Readonly<Record<string, number>>): number {
  return Object.keys(counts).filter(value => value !== 'unknown' && value !== '(other)').length
}

function windowOf({ hopMs }: Level, { window }: Result): number {
  return Date.parse(window.start) / hopMs
}

function endOf({ sizeMs, hopMs }: Level, window: number): number {
  return window * hopMs + sizeMs
}

function nameOf(level: Level, result: Result): string {
  return `result ${windowOf(level, result)} of ${level.name}, ${result.status} ${result.revision}`
}

/** The base windows that lie in a window. */
function baseWindows(level: Level, window: number): number[] {
  const end = endOf(level, window)
  const found: number[] = []
  for (let start = window * level.hopMs; start < end; start += WINDOW_MS) found.push(start / WINDOW_MS)
  return found
}

/** The windows of `level` that a window of a shorter kind lies in, found by looking at all that may. */
function windowsAround(level: Level, child: Level, window: number): number[] {
  const [start, end] = [window * child.hopMs, endOf(child, window)]
  const found: number[] = []
  for (let w = Math.floor((start - level.sizeMs) / level.hopMs); w * level.hopMs <= start; w++) {
    if (end <= endOf(level, w)) found.push(w)
  }
  return found
}
