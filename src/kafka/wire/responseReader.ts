const LENGTH_BYTES = 4
/** What a length alone makes us set aside; more only as it comes, for what says it may be no broker's. */
const MOST_AHEAD_BYTES = 16 * 1024 * 1024

/** The error of a connection that has brought a length that nothing it was asked for can have. */
export function noResponse(length: number): Error {
  return new Error(`a response of ${length} bytes: the other end is no Kafka broker`)
}

/**
 * Puts responses together out of what a connection brings: each is its length (int32) and as many bytes, none of
 * them for an empty token of a sign-in. Bytes are copied once, to where they stay, so that a connection can read into one buffer again and again.
 */
export class ResponseReader {
  readonly #length = Buffer.alloc(LENGTH_BYTES)
  #lengthFilled = 0
  #size = 0
  #body: Buffer | null = null
  #filled = 0

  /**
   * @param chunk is free for other use afterwards
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

  #takeLength(chunk: Uint8Array, at: number): number {
    const count = Math.min(LENGTH_BYTES - this.#lengthFilled, chunk.length - at)
    this.#length.set(chunk.subarray(at, at + count), this.#lengthFilled)
    this.#lengthFilled += count
    if (this.#lengthFilled < LENGTH_BYTES) return count
    this.#size = this.#length.readInt32BE(0)
    if (this.#size < 0) throw noResponse(this.#size)
    this.#body = Buffer.allocUnsafe(Math.min(this.#size, MOST_AHEAD_BYTES))
    this.#filled = 0
    return count
  }

  #takeBody(body: Buffer, chunk: Uint8Array, at: number): number {
    let room = body
    if (this.#filled === room.length) {
      room = Buffer.allocUnsafe(Math.min(this.#size, 2 * room.length))
      room.set(body)
      this.#body = room
    }
    const count = Math.min(room.length - this.#filled, chunk.length - at)
    room.set(chunk.subarray(at, at + count), this.#filled)
    this.#filled += count
    return count
  }
}
