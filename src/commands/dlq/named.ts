import { type DeadLetter, type LetterFilter, letterId } from '../../kafka/deadLetters.ts'

/** The letters that were asked for by name and have not been seen yet. */
export class NamedLetters {
  readonly #unseen: Set<string>

  constructor({ letters }: LetterFilter) {
    const ids = [...(letters ?? [])].flatMap(([partition, offsets]) =>
      [...offsets].map(offset => letterId({ partition, offset })),
    )
    this.#unseen = new Set(ids)
  }

  see(letter: DeadLetter): void {
    this.#unseen.delete(letterId(letter))
  }

  /** Says which were not there, once all has been read; false when there are any. */
  tellMissing(stderr: { write(text: string): unknown }): boolean {
    if (this.#unseen.size === 0) return true
    stderr.write(`not in the topic, or not meant by the other options: ${[...this.#unseen].join(', ')}\n`)
    return false
  }
}
