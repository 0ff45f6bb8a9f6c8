/** A seeded source of chance (sfc32): the same seed gives the same run, on every machine. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 4_294_967_296) >>> 0
    this.#c = 0x9e3779b9
    for (let i = 0; i < 15; i++) this.#next()
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return this.#next() % n
  }

  /** A whole number in [from, to]. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  chance(probability: number): boolean {
    return this.#next() < probability * 4_294_967_296
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  /** The index of a weight, each as likely as it is heavy; at least one must be positive. */
  weighted(weights: readonly number[]): number {
    let sum = 0
    for (const weight of weights) sum += weight
    let at = (this.#next() / 4_294_967_296) * sum
    for (let i = 0; i < weights.length; i++) {
      at -= weights[i] as number
      if (at < 0) return i
    }
    return weights.findLastIndex(weight => weight > 0)
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter++) >>> 0
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0
    this.#b = (this.#c + (this.#c << 3)) >>> 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0
    return sum
  }
}
