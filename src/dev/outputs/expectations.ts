import { Fingerprint, type Parts } from './parts.ts'

/** What is expected of one record of the source topic, and what was found of it so far. */
export type Expectation = {
  /** `accepted`, or the code of its dead letter. */
  readonly outcome: string
  /** Whether these parts say what is expected. */
  fits(parts: Parts): boolean
  /** How many records were found of it. */
  readonly found: number
  /** Counts another one. @returns false when it says another place than the first */
  count(place: string): boolean
}

const FIRST_SIZE = 1024
/** More are all one: only more than one matters. */
const MOST_FOUND = 255
const NONE = 0

/**
 * What is expected of each record of the source topic, in about 15 bytes a record: runs of hundreds of thousands of events
 * are judged in memory. Offsets of a partition are looked up by their distance from its first.
 */
export class Expectations {
  readonly #partitions = new Map<number, PartitionExpectations>()
  readonly #outcomes = new Names()
  readonly #places = new Names()
  readonly #fingerprint = new Fingerprint()
  /** Records for which there is more than one right answer. */
  readonly #others = new Map<string, readonly number[]>()

  /** Records of one partition come in offset order. */
  add(partition: number, offset: number, outcome: string, answers: readonly Parts[]): void {
    const table = this.#partitions.get(partition) ?? new PartitionExpectations(offset)
    this.#partitions.set(partition, table)
    const [first = 0, ...others] = answers.map(parts => this.#fingerprint.of(parts))
    table.add(offset, this.#outcomes.idOf(outcome), first)
    if (others.length > 0) this.#others.set(`${partition}/${offset}`, others)
  }

  /** Null when the source topic has no such record. */
  get(partition: number, offset: number): Expectation | null {
    const table = this.#partitions.get(partition)
    const at = table?.indexOf(offset) ?? -1
    if (table === undefined || at < 0) return null
    const [outcomes, places, others, fingerprint] = [this.#outcomes, this.#places, this.#others, this.#fingerprint]
    return {
      outcome: outcomes.nameOf(table.outcome[at]!),
      fits: parts => {
        const is = fingerprint.of(parts)
        return is === table.answer[at] || others.get(`${partition}/${offset}`)?.includes(is) === true
      },
      get found() {
        return table.found[at]!
      },
      count: place => {
        const id = places.idOf(place)
        const isFirst = table.found[at] === 0
        if (isFirst) table.place[at] = id
        if (table.found[at]! < MOST_FOUND) table.found[at]!++
        return isFirst || table.place[at] === id
      },
    }
  }

  /** Every record that was expected, partition by partition. */
  *all(): Generator<{ partition: number; offset: number; outcome: string; found: number }> {
    for (const [partition, table] of this.#partitions) {
      for (let at = 0; at < table.length; at++) {
        if (table.outcome[at] === NONE) continue
        const outcome = this.#outcomes.nameOf(table.outcome[at]!)
        yield { partition, offset: table.base + at, outcome, found: table.found[at]! }
      }
    }
  }
}

class PartitionExpectations {
  readonly base: number
  /** One past the last offset, counted from the first. */
  length = 0
  outcome = new Uint8Array(FIRST_SIZE)
  found = new Uint8Array(FIRST_SIZE)
  place = new Uint32Array(FIRST_SIZE)
  answer = new Float64Array(FIRST_SIZE)

  constructor(base: number) {
    this.base = base
  }

  add(offset: number, outcome: number, answer: number): void {
    const at = offset - this.base
    while (at >= this.outcome.length) this.#grow()
    this.outcome[at] = outcome
    this.answer[at] = answer
    this.length = at + 1
  }

  /** -1 when there is none. */
  indexOf(offset: number): number {
    const at = offset - this.base
    return at >= 0 && at < this.length && this.outcome[at] !== NONE ? at : -1
  }

  #grow(): void {
    const size = 2 * this.outcome.length
    const grown = <T extends Uint8Array | Uint32Array | Float64Array>(into: T, from: T): T => {
      into.set(from)
      return into
    }
    this.outcome = grown(new Uint8Array(size), this.outcome)
    this.found = grown(new Uint8Array(size), this.found)
    this.place = grown(new Uint32Array(size), this.place)
    this.answer = grown(new Float64Array(size), this.answer)
  }
}

/** Numbers for texts that come again and again, from 1 on. */
class Names {
  readonly #ids = new Map<string, number>()
  readonly #names: string[] = []

  idOf(name: string): number {
    let id = this.#ids.get(name)
    if (id === undefined) {
      id = this.#names.push(name)
      this.#ids.set(name, id)
    }
    return id
  }

  nameOf(id: number): string {
    return this.#names[id - 1] ?? ''
  }
}
