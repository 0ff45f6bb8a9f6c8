/** Says nothing of no place. */
export const NO_PLACE = -1

/** Nobody has it; a thread other than the main one reads into it; whoever was told of what it holds has it. */
const FREE = 0
const FILLING = 1
const LENT = 2

/** Of each place, numbers (i32) that all threads share: its state, and where record batches begin that were found sound. */
const STATE = 0
const SOUND_COUNT = 1
const SOUND = 2
/** Of more batches in one response nothing is told. */
const MOST_SOUND = 254
const PLACE_INTS = SOUND + MOST_SOUND

/** What all threads have to share that use as many places. */
export function createPlaceStates(places: number): SharedArrayBuffer {
  return new SharedArrayBuffer(places * PLACE_INTS * Int32Array.BYTES_PER_ELEMENT)
}

/**
 * Parts of one memory, each for one large response, of which several threads take and give back: what a place holds is its
 * taker's, and whoever it is lent to, until somebody gives it back. Beside it stands what its taker has found there.
 */
export class Places {
  readonly #parts: readonly Buffer[]
  readonly #ints: Int32Array
  readonly #taken: typeof FILLING | typeof LENT

  /**
   * @param parts of which all bytes may be used, of the same size
   * @param states made by `createPlaceStates` for as many
   * @param isThread whether what is taken here is lost with its thread until it is lent
   */
  constructor(parts: readonly Buffer[], states: SharedArrayBuffer, isThread = false) {
    this.#parts = parts
    this.#ints = new Int32Array(states)
    this.#taken = isThread ? FILLING : LENT
  }

  /** Bytes of each. */
  get size(): number {
    return this.#parts[0]?.length ?? 0
  }

  /** Takes one that is free; the first ones first, so that few are ever touched where few are in use. */
  take(): number {
    for (let place = 0; place < this.#parts.length; place++) {
      const state = Atomics.compareExchange(this.#ints, place * PLACE_INTS + STATE, FREE, this.#taken)
      if (state !== FREE) continue
      this.#ints[place * PLACE_INTS + SOUND_COUNT] = 0
      return place
    }
    return NO_PLACE
  }

  /** The first bytes of it. */
  bytes(place: number, size: number): Buffer {
    return (this.#parts[place] as Buffer).subarray(0, size)
  }

  /** Its thread has filled it, and is about to tell of it. */
  lend(place: number): void {
    Atomics.store(this.#ints, place * PLACE_INTS + STATE, LENT)
  }

  /** Of no account where nobody on this side of the thread has it. */
  giveBack(place: number): void {
    Atomics.compareExchange(this.#ints, place * PLACE_INTS + STATE, this.#taken, FREE)
  }

  /** A thread has ended that filled places: nobody else is told of them. */
  takeBackFilling(): void {
    for (let place = 0; place < this.#parts.length; place++) {
      Atomics.compareExchange(this.#ints, place * PLACE_INTS + STATE, FILLING, FREE)
    }
  }

  /** Which one such bytes lie in; NO_PLACE for none. */
  placeOf({ buffer, byteOffset }: Uint8Array): number {
    return this.#parts.findIndex(part => {
      return part.buffer === buffer && byteOffset >= part.byteOffset && byteOffset < part.byteOffset + part.length
    })
  }

  /**
   * For its taker, before it is lent: the record batch that begins there (an offset in the memory) is sound, its checksum and
   * its records, unless they are packed.
   */
  tellSound(place: number, at: number): void {
    const first = place * PLACE_INTS
    const count = this.#ints[first + SOUND_COUNT] as number
    if (count === MOST_SOUND) return
    this.#ints[first + SOUND + count] = at
    this.#ints[first + SOUND_COUNT] = count + 1
  }

  /** Whether it was told that the batch is sound which begins there in these bytes. */
  isSound(bytes: Uint8Array, start: number): boolean {
    const place = this.placeOf(bytes)
    if (place === NO_PLACE) return false
    const first = place * PLACE_INTS
    const from = first + SOUND
    const found = this.#ints.indexOf(bytes.byteOffset + start, from)
    return found !== -1 && found < from + (this.#ints[first + SOUND_COUNT] as number)
  }
}
