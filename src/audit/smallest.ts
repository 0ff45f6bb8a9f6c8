/**
 * A map that need only be right about the keys of the `limit` smallest ranks. It forgets the others now and then, so that
 * it never holds more than twice as many; what is forgotten can never come back, as ranks do not change.
 */
export class SmallestKept<K, V> {
  /** True once there were more than `limit` keys. */
  overflown = false
  readonly #kept = new Map<K, V>()
  readonly #limit: number
  readonly #compare: (a: K, b: K) => number
  /** It and all keys beyond it are forgotten. */
  #cut: { readonly key: K } | null = null

  constructor(limit: number, compare: (a: K, b: K) => number) {
    this.#limit = limit
    this.#compare = compare
  }

  /** The key's value, made if it is new; null when the key is not among the smallest. */
  get(key: K, make: () => V): V | null {
    const known = this.#kept.get(key)
    if (known !== undefined) return known
    if (this.#cut !== null && this.#compare(key, this.#cut.key) >= 0) return null
    const made = make()
    this.#kept.set(key, made)
    if (this.#kept.size > this.#limit) this.overflown = true
    if (this.#kept.size >= 2 * this.#limit + 1) this.#forget()
    return this.#kept.get(key) ?? null
  }

  /** The smallest keys in their order, at most `limit`. */
  smallest(): (readonly [K, V])[] {
    return [...this.#kept].sort(([a], [b]) => this.#compare(a, b)).slice(0, this.#limit)
  }

  #forget(): void {
    const sorted = [...this.#kept].sort(([a], [b]) => this.#compare(a, b))
    for (const [key] of sorted.slice(this.#limit)) this.#kept.delete(key)
    this.#cut = { key: sorted[this.#limit]![0] }
  }
}
