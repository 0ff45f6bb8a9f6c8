import type { TopicReader } from '../kafka/admin.ts'
import { decodeResult, resultKey } from '../results/decode.ts'
import { compareStanding, type Result } from '../results/result.ts'
import type { Level } from '../windows/levels.ts'

/** The newest windows of the base, newest first, and of each level the newest that is not provisional. */
export type NewestResults = {
  readonly base: readonly Result[]
  readonly finals: readonly Result[]
}

/** How many windows of the base are shown. */
export const BASE_SHOWN = 6
const FIRST_STEP = 64
/** For how long older records are looked through for the last final window of a long level. */
const SEARCH_LIMIT_MS = 2_000

const byNewest = (a: Result, b: Result) => Date.parse(b.window.start) - Date.parse(a.window.start)

/** Of many results the newest; the results of one window stand for themselves by compareStanding. */
export function newestOf(results: Iterable<Result>, sizes: readonly string[]): NewestResults {
  const all = [...results].sort(byNewest)
  return {
    base: all.filter(({ window }) => window.size === sizes[0]).slice(0, BASE_SHOWN),
    finals: sizes.flatMap(size => {
      return all.find(({ window, status }) => window.size === size && status !== 'provisional') ?? []
    }),
  }
}

/** Reads the results topic from its end backwards as far as it must, and from there on only what comes. */
export function createResultReader(reader: TopicReader, topic: string, levels: readonly Level[]) {
  const sizes = [...new Set(levels.map(({ size }) => size))]
  const next = new Map<number, number>()
  let kept = new Map<string, Result>()

  const take = async (from: ReadonlyMap<number, number>, to: ReadonlyMap<number, number>): Promise<void> => {
    await reader.readAll({
      topic,
      readCommitted: true,
      fromOffsets: from,
      toOffsets: to,
      onMessage: ({ value }) => {
        const result = value === null ? null : decodeResult(value)
        if (result === null) return
        const key = resultKey(result)
        const known = kept.get(key)
        if (known === undefined || compareStanding(result, known) >= 0) kept.set(key, result)
      },
    })
  }
  const prune = (): NewestResults => {
    const newest = newestOf(kept.values(), sizes)
    kept = new Map([...newest.base, ...newest.finals].map(result => [resultKey(result), result]))
    return newest
  }

  return {
    read: async (): Promise<NewestResults> => {
      const ranges = await reader.readLogRanges(topic)
      const ends = new Map(ranges.map(({ end }, partition) => [partition, end]))
      if (next.size > 0) {
        await take(next, ends)
      } else {
        const startedAt = performance.now()
        let to = ends
        for (let step = FIRST_STEP; performance.now() - startedAt < SEARCH_LIMIT_MS; step *= 4) {
          const from = new Map(ranges.map(({ start }, p) => [p, Math.max(start, (to.get(p) ?? 0) - step)]))
          await take(from, to)
          const { base, finals } = newestOf(kept.values(), sizes)
          const isRead = ranges.every(({ start }, p) => (from.get(p) ?? 0) <= start)
          if (isRead || (base.length >= BASE_SHOWN && finals.length === sizes.length)) break
          to = from
        }
      }
      for (const [partition, end] of ends) next.set(partition, end)
      return prune()
    },
  }
}
