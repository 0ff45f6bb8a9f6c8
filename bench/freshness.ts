import type { Result } from '../src/results/result.ts'
import { ascending } from './statistics.ts'
import type { LoadMessage } from './tools/load.ts'

type Runs = Extract<LoadMessage, { kind: 'runs' }>
/** At `at` a result was readable that counts all of the window's events below `through`. */
type Told = { readonly through: number; readonly at: number }

const BASE_WINDOW = '10s'
const BASE_WINDOW_MS = 10_000

/** Joins what lies where in the source topic with what the results say they count. All times: epoch milliseconds. */
export class Freshness {
  readonly #runs: Runs[] = []
  /** By `<window>/<partition>`, with `through` ascending. */
  readonly #told = new Map<string, Told[]>()
  readonly #plain: { readonly madeAt: number; readonly at: number; count: number }[] = []

  produced(runs: Runs): void {
    this.#runs.push(runs)
  }

  told({ window, coverage }: Result, at: number): void {
    if (window.size !== BASE_WINDOW) return
    const index = Date.parse(window.start) / BASE_WINDOW_MS
    for (const [partition, { through }] of Object.entries(coverage)) {
      const key = `${index}/${partition}`
      const list = this.#told.get(key) ?? []
      if (list.length === 0) this.#told.set(key, list)
      if (through > (list.at(-1)?.through ?? 0)) list.push({ through, at })
    }
  }

  plain(madeAt: number, at: number): void {
    const last = this.#plain.at(-1)
    if (last?.madeAt === madeAt && last.at === at) last.count++
    else this.#plain.push({ madeAt, at, count: 1 })
  }

  /** Of the events made from `from` until before `until`. */
  between(from: number, until: number) {
    const within = (madeAt: number) => madeAt >= from && madeAt < until
    const fresh: number[] = []
    let unseen = 0
    for (const { partition, baseOffset, runs } of this.#runs) {
      let offset = baseOffset
      for (const { count, madeAt, window } of runs) {
        const list = this.#told.get(`${window}/${partition}`) ?? []
        for (const end = offset + count; offset < end; offset++) {
          if (!within(madeAt)) continue
          const first = firstPast(list, offset)
          if (first === undefined) unseen++
          else fresh.push(first.at - madeAt)
        }
      }
    }
    const plain = this.#plain
      .filter(({ madeAt }) => within(madeAt))
      .flatMap(({ madeAt, at, count }) => Array.from({ length: count }, () => at - madeAt))
    return { fresh: ascending(fresh), plain: ascending(plain), unseen, produced: fresh.length + unseen }
  }
}

/** The earliest entry that covers the offset. */
function firstPast(list: readonly Told[], offset: number): Told | undefined {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((list[middle]?.through ?? 0) > offset) high = middle
    else low = middle + 1
  }
  return list[low]
}
