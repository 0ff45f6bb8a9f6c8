/** Numbers that a sample keeps of each user, beside the hash. */
export const ROW = 4

/** What the users of a sample stand in: what is in it counts for nothing to who takes it, but that it may be read. */
export type SampleRoom = {
  readonly hashes: Float64Array
  readonly rows: Float64Array
  /** Twice as many as users at least, a power of two. */
  readonly slots: Int32Array
}

/** Of who has no users. There is nothing to write to. */
export const NO_ROOM: SampleRoom = {
  hashes: new Float64Array(0),
  rows: new Float64Array(0),
  slots: new Int32Array(1),
}

/** Bytes of each user: a hash, a row, and two slots or up to four. */
const USER_BYTES = 8 * (1 + ROW) + 4 * 4
const MOST_SPARE_BYTES = 4 * 1024 * 1024

/**
 * Room that is used again and again: every chunk of every partition begins a new sample, and room made anew for each costs
 * the collector more than its users cost to count.
 */
class SampleRooms {
  readonly #spare = new Map<number, SampleRoom[]>()
  #users = 0

  take(users: number): SampleRoom {
    const spare = this.#spare.get(users)?.pop()
    if (spare === undefined) return createRoom(users)
    this.#users -= users
    return spare
  }

  /** Nobody may read or write it any more. */
  give(room: SampleRoom): void {
    const users = room.hashes.length
    if (users === 0 || (this.#users + users) * USER_BYTES > MOST_SPARE_BYTES) return
    this.#users += users
    const known = this.#spare.get(users)
    if (known === undefined) this.#spare.set(users, [room])
    else known.push(room)
  }
}

function createRoom(users: number): SampleRoom {
  return {
    hashes: new Float64Array(users),
    rows: new Float64Array(ROW * users),
    slots: new Int32Array(2 ** Math.ceil(Math.log2(2 * users))),
  }
}

/** The process's. */
export const SAMPLE_ROOMS = new SampleRooms()
