import type { DifferenceList } from './differences.ts'
import type { Expectations } from './expectations.ts'
import type { FoundRecord, Source } from './found.ts'
import { PartList } from './parts.ts'

/** What a run comes to in one output topic. */
export type TopicVerdict = {
  /** Source records that belong into the topic. */
  readonly expected: number
  /** How many of them are there. */
  readonly found: number
  readonly missing: number
  /** Further records of a source record that is there already. */
  readonly repeated: number
  /** Records that do not say what they must. */
  readonly wrong: number
  /** Records that stand behind one of a later source record of the same partition. */
  readonly disordered: number
  /** Records of no source record, or of one that does not belong into the topic. */
  readonly foreign: number
}

/** A record that does not say what was expected, or not all of it: its source record has to be read again. */
export type Suspect = Pick<FoundRecord, 'wholeBytes' | 'valueBytes'> & {
  readonly where: string
  readonly source: Source
  readonly list: PartList
}

export type TopicJudgeOptions = {
  /** What its records are called. */
  readonly name: string
  readonly sourceTopic: string
  readonly exactlyOnce: boolean
  /** Whether a source record of that outcome belongs into the topic. */
  belongs(outcome: string): boolean
  readonly expectations: Expectations
  readonly differences: DifferenceList
}

/** Holds what is found in one output topic against what is expected of the source records. */
export class TopicJudge {
  /** By source record: those that may have had to leave out something, and of the others as many as are told of. */
  readonly #suspects = new Map<string, readonly Suspect[]>()
  #detailed = 0
  #expected = 0
  #found = 0
  #repeated = 0
  #wrong = 0
  #disordered = 0
  #foreign = 0
  readonly #options: TopicJudgeOptions
  /** The last source offset by output and source partition; NaN behind a repeat, where the order tells nothing more. */
  readonly #last = new Map<string, number>()

  constructor(options: TopicJudgeOptions) {
    this.#options = options
  }

  belongs(outcome: string): boolean {
    return this.#options.belongs(outcome)
  }

  /** There is a source record of that outcome. */
  expect(outcome: string): void {
    if (this.belongs(outcome)) this.#expected++
  }

  /** @returns null for a record that does not belong here; else whether it is its source record's first, and as expected */
  add(found: FoundRecord): { readonly isFirst: boolean; readonly fits: boolean } | null {
    const { name, exactlyOnce, belongs, expectations } = this.#options
    const where = `${name} ${found.partition}/${found.offset}`
    const source = this.#sourceOf(found, where)
    if (source === null) return null
    const expectation = expectations.get(source.partition, source.offset)
    if (expectation === null || !belongs(expectation.outcome)) {
      const what = expectation === null ? 'does not exist' : `is ${expectation.outcome}`
      this.#strange(`${where}: its source record ${coordinates(source)} ${what}`)
      return null
    }
    const isFirst = expectation.found === 0
    const samePlace = expectation.count(found.place)
    if (isFirst) {
      this.#found++
      this.#checkOrder(found, source, where)
    } else {
      this.#repeated++
      if (exactlyOnce) this.#tell(`${where}: its source record ${coordinates(source)} is there already`)
      // Whoever wrote it went back: what follows may come anywhere.
      else this.#last.set(orderKey(found, source), Number.NaN)
    }
    if (!samePlace) this.wrong(`${where}: country or region are not those of the same record before`)
    const fits = found.wholeBytes === null && expectation.fits(found.parts)
    if (!fits) this.#suspect(found, source, where)
    return { isFirst, fits }
  }

  wrong(difference: string): void {
    this.#wrong++
    this.#tell(difference)
  }

  get suspects(): readonly Suspect[] {
    return [...this.#suspects.values()].flat()
  }

  /** Takes the suspects of a source record, to be convicted or not. */
  takeSuspects(source: Omit<Source, 'topic'>): readonly Suspect[] {
    const taken = this.#suspects.get(coordinates(source)) ?? []
    this.#suspects.delete(coordinates(source))
    return taken
  }

  /** @param fault what is wrong with it; null when it had to leave out what it lacks */
  convict({ where, source, wholeBytes }: Suspect, fault: string | null): void {
    if (fault !== null || wholeBytes === null) {
      this.wrong(`${where}: of ${coordinates(source)}: ${fault ?? 'not what is wanted'}`)
    }
  }

  verdict(): TopicVerdict {
    return {
      expected: this.#expected,
      found: this.#found,
      missing: this.#expected - this.#found,
      repeated: this.#repeated,
      wrong: this.#wrong,
      disordered: this.#disordered,
      foreign: this.#foreign,
    }
  }

  #sourceOf({ source }: FoundRecord, where: string): Source | null {
    if (source?.topic === this.#options.sourceTopic) return source
    this.#strange(`${where}: names no record of ${this.#options.sourceTopic} in its last headers`)
    return null
  }

  #checkOrder(found: FoundRecord, source: Source, where: string): void {
    const key = orderKey(found, source)
    const last = this.#last.get(key) ?? -1
    if (source.offset < last) {
      this.#disordered++
      this.#tell(`${where}: its source record ${coordinates(source)} comes after offset ${last}`)
    } else if (!Number.isNaN(last)) this.#last.set(key, source.offset)
  }

  #suspect({ wholeBytes, valueBytes, parts }: FoundRecord, source: Source, where: string): void {
    if (wholeBytes === null && ++this.#detailed > this.#options.differences.limit) {
      this.wrong(`${where}: does not say what its source record does`)
      return
    }
    const key = coordinates(source)
    const suspect = { where, source, wholeBytes, valueBytes, list: new PartList(parts) }
    this.#suspects.set(key, [...(this.#suspects.get(key) ?? []), suspect])
  }

  #strange(difference: string): void {
    this.#foreign++
    this.#tell(difference)
  }

  #tell(difference: string): void {
    this.#options.differences.add(difference)
  }
}

export const coordinates = ({ partition, offset }: Omit<Source, 'topic'>) => `${partition}/${offset}`

const orderKey = (found: FoundRecord, source: Source) => `${found.partition}<${source.partition}`
