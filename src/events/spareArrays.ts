/** Smaller arrays cost little to make and to forget. */
const LEAST_BYTES = 64 * 1024
/** Arrays are made in steps of this, so that one fits the next who asks for about as much. */
const STEP_BYTES = 256 * 1024
/** Of the packs of several partitions, which are told at about the same time, and of requests. */
const MOST_SPARE_BYTES = 32 * 1024 * 1024

/**
 * Large arrays that are used again and again. Making one means that the system finds and clears its pages, and forgetting
 * one brings the collection of all garbage nearer.
 */
export class SpareArrays {
  readonly #spare: Uint8Array[] = []
  #bytes = 0

  /** How many bytes wait to be used again. */
  get bytes(): number {
    return this.#bytes
  }

  /** An array of at least so many bytes, which may hold anything: the smallest there is, as others ask for large ones. */
  take(least: number): Uint8Array {
    if (least < LEAST_BYTES) return new Uint8Array(least)
    let best = -1
    for (const [at, { length }] of this.#spare.entries()) {
      if (length >= least && (best < 0 || length < (this.#spare[best] as Uint8Array).length)) best = at
    }
    if (best < 0) return new Uint8Array(Math.ceil(least / STEP_BYTES) * STEP_BYTES)
    const [taken] = this.#spare.splice(best, 1) as [Uint8Array]
    this.#bytes -= taken.length
    return taken
  }

  /** Takes back an array that nobody will read or write any more; those that nobody has asked for longest make room for it. */
  give(array: Uint8Array): void {
    if (array.length < LEAST_BYTES || array.length > MOST_SPARE_BYTES) return
    this.#spare.push(array)
    this.#bytes += array.length
    while (this.#bytes > MOST_SPARE_BYTES) this.#bytes -= (this.#spare.shift() as Uint8Array).length
  }
}

/** The process's. */
export const SPARE_ARRAYS = new SpareArrays()
