import { NO_PLACE, type Places } from './places.ts'

/** Memory for less is cheap to make. */
const LEAST_BYTES = 64 * 1024
/** A place costs nothing, but there are few. Less is copied soon. */
const LEAST_PLACED_BYTES = 4 * 1024
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
 * Whoever takes a body and never gives it back leaves it to the collector; a place, which is memory that is there anyway, is
 * then lost.
 */
export class BodyPool {
  readonly #free: ArrayBuffer[] = []
  readonly #lent = new WeakSet<ArrayBufferLike>()
  readonly #places: Places | null

  constructor(places: Places | null = null) {
    this.#places = places
  }

  /** As many bytes, of any content. */
  take(size: number): Buffer {
    const fits = size >= LEAST_BYTES && size <= BODY_BYTES
    const known = fits ? this.#free.pop() : undefined
    if (known === undefined && (!fits || size < LEAST_NEW_BYTES)) return Buffer.allocUnsafe(size)
    const memory = known ?? new ArrayBuffer(BODY_BYTES)
    this.#lent.add(memory)
    return Buffer.from(memory, 0, size)
  }

  /** As `take`, but at a place if one is free that is large enough, and the bytes are many: whoever takes it gives it back. */
  takePlace(size: number): Buffer {
    const places = this.#places
    const place = places === null || size < LEAST_PLACED_BYTES || size > places.size ? NO_PLACE : places.take()
    return places === null || place === NO_PLACE ? this.take(size) : places.bytes(place, size)
  }

  /**
   * Nobody reads the body any more. Who does so by mistake finds it detached, without a byte, and never with those of another
   * response; at a place nothing but `FetchedBatch.release` tells.
   * @param part of a body that was taken, not empty; any other is left alone
   */
  giveBack(part: Uint8Array): void {
    const place = this.placeOf(part)
    if (place !== NO_PLACE) {
      this.#places?.giveBack(place)
      return
    }
    const memory = part.buffer
    if (!this.#lent.delete(memory) || this.#free.length >= MOST_FREE) return
    this.#free.push((memory as ArrayBuffer).transfer())
  }

  /** The same bytes, good for as long as somebody holds them: copied if they are at a place, which is given back. */
  keep(body: Buffer): Buffer {
    if (this.placeOf(body) === NO_PLACE) return body
    const kept = Buffer.from(body)
    this.giveBack(body)
    return kept
  }

  /** Which place they lie at; NO_PLACE for none. */
  placeOf(part: Uint8Array): number {
    return this.#places?.placeOf(part) ?? NO_PLACE
  }
}
