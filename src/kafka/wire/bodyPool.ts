/** Memory for less is cheap to make. */
const LEAST_BYTES = 64 * 1024
/** For less no body is made, only one that is free is taken: it would be larger by far than what it is for. */
const LEAST_NEW_BYTES = 1024 * 1024
/** What a fetch of 2 MiB comes to, with room for what a response says beside its records. */
const BODY_BYTES = 2 * 1024 * 1024 + 64 * 1024
/** Free bodies that are kept, of all that were ever in use at the same time. */
const MOST_FREE = 6

/**
 * The memory that large responses are read into, used again and again. Memory made anew for each costs more than the
 * reading: its pages are faulted in one by one, and V8 marks its whole heap for every few dozen MiB of it.
 *
 * Whoever takes a body and never gives it back leaves it to the collector.
 */
export class BodyPool {
  readonly #free: ArrayBuffer[] = []
  readonly #lent = new WeakSet<ArrayBufferLike>()

  /** As many bytes, of any content. */
  take(size: number): Buffer {
    const fits = size >= LEAST_BYTES && size <= BODY_BYTES
    const known = fits ? this.#free.pop() : undefined
    if (known === undefined && (!fits || size < LEAST_NEW_BYTES)) return Buffer.allocUnsafe(size)
    const memory = known ?? new ArrayBuffer(BODY_BYTES)
    this.#lent.add(memory)
    return Buffer.from(memory, 0, size)
  }

  /**
   * Nobody reads the body any more. Who does so by mistake finds it detached: without a byte, and never with those of
   * another response.
   * @param memory of a body that was taken; any other is left alone
   */
  giveBack(memory: ArrayBufferLike): void {
    if (!this.#lent.delete(memory) || this.#free.length >= MOST_FREE) return
    this.#free.push((memory as ArrayBuffer).transfer())
  }
}

/** Of all connections of this process. */
export const bodies: BodyPool = new BodyPool()
