/** A seeded source of pseudo-random numbers (sfc32): the same seeds give the same numbers on every machine. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** `stream` tells apart independent sequences of one seed. */
  constructor(seed: number, stream = 0) {
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 2 ** 32) >>> 0
    this.#c = stream >>> 0
    // The first outputs of neighbouring seeds are alike: they are thrown away.
    for (let round = 0; round < 15; round++) this.uint32()
  }

  /** A whole number, 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.uint32() / 2 ** 32
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }

  /** `digits` hexadecimal digits. */
  hex(digits: number): string {
    let text = ''
    while (text.length < digits) text += this.uint32().toString(16).padStart(8, '0')
    return text.slice(0, digits)
  }
}

/** Draws an index with a probability in proportion to its weight, in constant time (Vose's alias method). */
export class WeightedChoice {
  readonly #threshold: Float64Array
  readonly #alias: Uint32Array

  constructor(weights: readonly number[]) {
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    this.#threshold = new Float64Array(weights.length).fill(1)
    this.#alias = new Uint32Array(weights.length)
    const scaled = weights.map(weight => (weight * weights.length) / total)
    const small: number[] = []
    const large: number[] = []
    scaled.forEach((weight, index) => {
      ;(weight < 1 ? small : large).push(index)
    })
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop()!
      const rich = large.pop()!
      this.#threshold[poor] = scaled[poor]!
      this.#alias[poor] = rich
      scaled[rich] = scaled[rich]! + scaled[poor]! - 1
      ;(scaled[rich]! < 1 ? small : large).push(rich)
    }
  }

  draw(random: Random): number {
    const index = random.below(this.#threshold.length)
    return random.unit() < this.#threshold[index]! ? index : this.#alias[index]!
  }
}
