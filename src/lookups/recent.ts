/**
 * A function's results for the texts asked for of late, at least the last `size` and at most twice as many: a full
 * generation becomes the old one, and what is asked for again moves to the young. Cheaper than order by use, and no burst
 * of texts that come only once empties all of it at once.
 */
export class Recent<V> {
  readonly #size: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  /** @param size texts in a generation */
  constructor(size: number) {
    this.#size = size
  }

  /** `make`'s value for a text, made anew only when it is not among the recent. */
  get(text: string, make: (text: string) => V): V {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const value = this.#old.get(text) ?? make(text)
    if (this.#young.size >= this.#size) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, value)
    return value
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
