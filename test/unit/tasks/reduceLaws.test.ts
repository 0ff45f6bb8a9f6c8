import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Message } from '../../../src/tasks/messages.ts'
import { SEED } from '../support.ts'
import { partial, progress, Reducing } from './reduceSupport.ts'

const CHUNK = 8
/** The window of each event of a source, by offset. */
type History = readonly number[]
/** Source `p` says what it knows when it stands at `position`. */
type Saying = { readonly p: number; readonly position: number }

/** The true partials about the chunk that ends at or after `position`. */
function sayings(histories: readonly History[], { p, position }: Saying): Message[] {
  const history = histories[p]!
  const through = Math.min(position, history.length)
  const from = Math.floor(Math.max(through - 1, 0) / CHUNK) * CHUNK
  const offsets = new Map<number, number[]>()
  for (let o = from; o < through; o++) offsets.set(history[o]!, [...(offsets.get(history[o]!) ?? []), o])
  return [...offsets].map(([w, list]) => partial(w, p, [from, through], list))
}

/** Every chunk of every source, told at its end. */
function lastWords(histories: readonly History[]): Message[] {
  return histories.flatMap((history, p) => {
    const ends = Array.from({ length: Math.ceil(history.length / CHUNK) }, (_, i) => (i + 1) * CHUNK)
    return ends.flatMap(position => sayings(histories, { p, position }))
  })
}

/** Events by window, over all sources. */
function truth(histories: readonly History[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const w of histories.flat()) counts[w] = (counts[w] ?? 0) + 1
  return counts
}

/** The last result of each window: `<status> <count> <revision> <devices>`. */
function heard(into: Map<string, string>, reducing: Reducing): Map<string, string> {
  for (const result of reducing.capture()?.results ?? []) {
    const index = String(Date.parse(result.window.start) / reducing.settings.level.hopMs)
    const { status, batch_size, revision, exact, device_stats } = result
    into.set(index, [status, batch_size, revision, exact, JSON.stringify(device_stats)].join(' '))
  }
  return into
}

const toldOf = (messages: readonly Message[]) => heard(new Map(), new Reducing().read(messages))
const history = (windows: number) => fc.array(fc.nat(windows - 1), { maxLength: 30 })
const histories = fc.tuple(history(6), history(6))
const saying = fc.record({ p: fc.nat(1), position: fc.integer({ min: 1, max: 30 }) })
const sorted = (results: ReadonlyMap<string, string>) => [...results].sort()

describe('a-repeat-changes-nothing', () => {
  it('whatever is said, how often and in which order, the last words alone decide', () => {
    fc.assert(
      fc.property(histories, fc.array(saying, { maxLength: 30 }), fc.infiniteStream(fc.nat()), (all, more, keys) => {
        const said = [...lastWords(all), ...more.flatMap(one => sayings(all, one)), ...lastWords(all)]
        const shuffled = said.map(message => [keys.next().value!, message] as const).sort(([a], [b]) => a - b)
        const results = toldOf(shuffled.map(([, message]) => message))
        expect(sorted(results)).toEqual(sorted(toldOf(lastWords(all))))
        const counts = [...results].map(([index, text]) => [index, Number(text.split(' ')[1])])
        expect(Object.fromEntries(counts)).toEqual(truth(all))
      }),
      { seed: SEED, numRuns: 150 },
    )
  })

  it('nor is anything told for it: no result while it is held, no dead letter once it is forgotten', () => {
    fc.assert(
      fc.property(
        histories,
        fc.array(saying, { maxLength: 20 }),
        fc.constantFrom(0, 9_000, 99_000),
        (all, more, clock) => {
          const through = 32
          const told = [progress(0, 2, clock, { through }), progress(1, 2, clock, { through })]
          const reducing = new Reducing().read([...lastWords(all), ...told])
          reducing.capture()
          const repeats = [...more.flatMap(one => sayings(all, one)), ...told]
          expect(reducing.read(repeats).capture() ?? { results: [], letters: [] }).toMatchObject({
            results: [],
            letters: [],
          })
        },
      ),
      { seed: SEED, numRuns: 150 },
    )
  })
})

describe('a-zombie-changes-nothing', () => {
  it('an owner of the past repeats, after the new one, what was true then', () => {
    fc.assert(
      fc.property(histories, fc.array(saying, { maxLength: 20 }), (all, zombie) => {
        const reducing = new Reducing().read(lastWords(all))
        const results = heard(new Map(), reducing)
        const before = sorted(results)
        reducing.read(zombie.flatMap(one => sayings(all, one)))
        // Its progress is old, too: it takes nothing back.
        reducing.read([progress(0, 2, 9_000, { through: 30 }), progress(1, 2, 9_000, { through: 30 })])
        reducing.read(zombie.map(({ p, position }) => progress(p, 1, position, { through: position - 1 })))
        const final = before.map(([index, text]) => [index, text.replace('provisional', 'final')])
        expect(sorted(heard(results, reducing))).toEqual(final)
      }),
      { seed: SEED, numRuns: 150 },
    )
  })
})

describe('parked-windows-are-told-whole', () => {
  const far = fc.tuple(history(40), history(40))
  const cuts = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 10 })
  const restarts = fc.infiniteStream(fc.boolean())

  it('with room for 7 of 40 windows, in any order, over flushes and restarts, all end final and right', () => {
    fc.assert(
      fc.property(far, cuts, restarts, fc.infiniteStream(fc.nat()), (all, parts, restart, keys) => {
        const messages = lastWords(all).map(message => [keys.next().value!, message] as const)
        const log = messages.sort(([a], [b]) => a - b).map(([, message]) => message)
        const reducing = new Reducing()
        const results = new Map<string, string>()
        for (const part of parts) {
          reducing.read(log.splice(0, part))
          goOn(reducing, results, restart)
        }
        const through = 64
        reducing.read([...log, progress(0, 2, 99_000, { through }), progress(1, 2, 99_000, { through })])
        for (let rounds = 0; goOn(reducing, results, restart); rounds++) expect(rounds).toBeLessThan(200)
        const counts = [...results].map(([index, text]) => [index, Number(text.split(' ')[1])])
        expect(Object.fromEntries(counts)).toEqual(truth(all))
        expect([...results.values()].filter(text => !text.startsWith('final'))).toEqual([])
      }),
      { seed: SEED, numRuns: 150 },
    )
  })

  /** One flush, and reading again what it asks for; sometimes the owner dies after it. False once all is told. */
  function goOn(reducing: Reducing, results: Map<string, string>, restart: Iterator<boolean>): boolean {
    const before = reducing.lastCommit
    heard(results, reducing)
    expect(reducing.task.windows).toBeLessThanOrEqual(reducing.settings.maxWindows)
    const seekTo = reducing.task.takeSeek()
    if (restart.next().value === true) reducing.restore()
    reducing.read()
    return seekTo !== null || reducing.lastCommit !== before
  }
})
