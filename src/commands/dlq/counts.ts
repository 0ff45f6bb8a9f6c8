import { CODE_MEANINGS } from '../../events/codes.ts'
import type { DeadLetter } from '../../kafka/deadLetters.ts'

/** What stands for codes that are not ours: whoever writes into the topic could make up any number of them. */
const OTHER = 'other'

/** Letters by partition and code: bounded by the topic's partitions and the closed list of codes. */
export class LetterCounts {
  readonly #byPartition = new Map<number, Map<string, number>>()
  #total = 0

  get total(): number {
    return this.#total
  }

  add({ partition, failure }: DeadLetter): void {
    const code = failure !== null && Object.hasOwn(CODE_MEANINGS, failure.code) ? failure.code : OTHER
    const codes = this.#byPartition.get(partition) ?? new Map<string, number>()
    this.#byPartition.set(partition, codes.set(code, (codes.get(code) ?? 0) + 1))
    this.#total++
  }

  /** Most frequent first. */
  byCode(): readonly (readonly [code: string, count: number])[] {
    const sums = new Map<string, number>()
    for (const codes of this.#byPartition.values()) {
      for (const [code, count] of codes) sums.set(code, (sums.get(code) ?? 0) + count)
    }
    return sorted(sums)
  }

  /** Partitions that hold any, in their order. */
  byPartition(): readonly (readonly [partition: number, codes: readonly (readonly [code: string, count: number])[]])[] {
    return [...this.#byPartition]
      .sort(([a], [b]) => a - b)
      .map(([partition, codes]) => [partition, sorted(codes)] as const)
  }
}

function sorted(counts: ReadonlyMap<string, number>): (readonly [string, number])[] {
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
}
