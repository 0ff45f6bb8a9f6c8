/** The record batches that cannot be read, at which partitions wait: by their first offset. */
export class UnreadableBatches {
  readonly #offsets = new Map<number, number>()

  /** The partition waits there; may be told at each try. */
  met(partition: number, offset: number): void {
    this.#offsets.set(partition, offset)
  }

  forget(partition: number): void {
    this.#offsets.delete(partition)
  }

  /** @returns whether the partition waited, and its position says that it no longer does; told once */
  isPast(partition: number, position: number): boolean {
    const offset = this.#offsets.get(partition)
    if (offset === undefined || position <= offset) return false
    return this.#offsets.delete(partition)
  }
}
