import type { BodyPool } from './bodyPool.ts'

const LENGTH_BYTES = 4
/** What a length alone makes us set aside; more only as it comes, for what says it may be no broker's. */
const MOST_AHEAD_BYTES = 16 * 1024 * 1024
/**
 * What all connections read into while they wait for a response to begin: whoever is told of bytes takes them over at once. Small
 * responses come by it whole, and of large ones no more than this is copied.
 */
const HEADS = Buffer.allocUnsafeSlow(64 * 1024)

/** The error of a connection that has brought a length that nothing it was asked for can have. */
export function noResponse(length: number): Error {
  return new Error(`a response of ${length} bytes: the other end is no Kafka broker`)
}

/**
 * Puts responses together out of what a connection brings: each is its length (int32) and as many bytes, none of
 * them for an empty token of a sign-in. What was read into `room` stays where it is; all else is copied once.
 */
export class ResponseReader {
  readonly #pool: BodyPool
  readonly #usesPlaces: boolean
  readonly #length = Buffer.alloc(LENGTH_BYTES)
  #lengthFilled = 0
  #size = 0
  #body: Buffer | null = null
  #filled = 0

  /** @param usesPlaces whether large responses come to lie at places of the pool, for who is told of them to give back */
  constructor(pool: BodyPool, usesPlaces = false) {
    this.#pool = pool
    this.#usesPlaces = usesPlaces
  }

  /** Where the connection's next bytes are best read to, before they are given to `take`. Never empty. */
  get room(): Buffer {
    return this.#body === null ? HEADS : this.#bodyWithRoom(this.#body).subarray(this.#filled)
  }

  /**
   * @param chunk is free for other use afterwards, unless it was read into `room`
   * @param onResponse called for each response that is whole with this chunk, without its length
   * @throws Error when a length is negative, and what `onResponse` throws; nothing is to be taken after either
   */
  take(chunk: Uint8Array, onResponse: (response: Buffer) => void): void {
    for (let at = 0; at < chunk.length; ) {
      at += this.#body === null ? this.#takeLength(chunk, at) : this.#takeBody(this.#body, chunk, at)
      const body = this.#body
      if (body === null || this.#filled < this.#size) continue
      this.#body = null
      this.#lengthFilled = 0
      onResponse(body)
    }
  }

  /** Nothing comes any more. */
  end(): void {
    if (this.#body !== null && this.#body.length > 0) this.#pool.giveBack(this.#body)
    this.#body = null
    this.#lengthFilled = 0
  }

  #takeLength(chunk: Uint8Array, at: number): number {
    const count = Math.min(LENGTH_BYTES - this.#lengthFilled, chunk.length - at)
    this.#length.set(chunk.subarray(at, at + count), this.#lengthFilled)
    this.#lengthFilled += count
    if (this.#lengthFilled < LENGTH_BYTES) return count
    this.#size = this.#length.readInt32BE(0)
    if (this.#size < 0) throw noResponse(this.#size)
    const size = Math.min(this.#size, MOST_AHEAD_BYTES)
    this.#body = this.#usesPlaces ? this.#pool.takePlace(size) : this.#pool.take(size)
    this.#filled = 0
    return count
  }

  #takeBody(body: Buffer, chunk: Uint8Array, at: number): number {
    const room = this.#bodyWithRoom(body)
    const count = Math.min(room.length - this.#filled, chunk.length - at)
    const isInPlace = chunk.buffer === room.buffer && chunk.byteOffset + at === room.byteOffset + this.#filled
    if (!isInPlace) room.set(chunk.subarray(at, at + count), this.#filled)
    this.#filled += count
    return count
  }

  #bodyWithRoom(body: Buffer): Buffer {
    if (this.#filled < body.length) return body
    const grown = Buffer.allocUnsafe(Math.min(this.#size, 2 * body.length))
    grown.set(body)
    this.#body = grown
    return grown
  }
}
