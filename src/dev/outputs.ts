import { readEvent } from '../audit/event.ts'
import { DifferenceList } from './outputs/differences.ts'
import { Expectations } from './outputs/expectations.ts'
import { readEnriched, readLetter } from './outputs/found.ts'
import { faultOf, faultOfLetter } from './outputs/suspects.ts'
import { coordinates, TopicJudge, type TopicVerdict } from './outputs/topicJudge.ts'
import {
  createWantedEnriched,
  enrichedNames,
  type TopicRecord,
  type TopicSize,
  wantedLetter,
} from './outputs/wanted.ts'
import { createRecount, type RecountRules } from './recount.ts'
import type { EnrichedRules } from './recountEnriched.ts'

/** Reads a topic from its start, or from given offsets, to given ends; records of a partition come in their order. */
export type TopicSource = {
  readAll(options: {
    readonly topic: string
    readonly readCommitted: boolean
    onMessage(record: TopicRecord): void
    readonly fromOffsets?: ReadonlyMap<number, number>
    readonly toOffsets?: ReadonlyMap<number, number>
  }): Promise<void>
  partitionCount(topic: string): Promise<number | null>
  topicConfig(topic: string): Promise<Record<string, string>>
}

export type OutputJudgeOptions = {
  readonly reader: TopicSource
  readonly topics: { readonly source: string; readonly enriched: string; readonly deadLetters: string }
  readonly rules: RecountRules
  /** Null when accepted events are only counted: then the enriched topic must hold nothing. */
  readonly enriched: EnrichedRules | null
  /** True: a repeat is a difference. False: repeats are counted, and must say the same but for the moment of writing. */
  readonly exactlyOnce: boolean
}

export type OutputVerdict = {
  readonly enriched: TopicVerdict
  /** `byCode`: source records found in the topic, by the code that their letters carry. */
  readonly deadLetters: TopicVerdict & { readonly byCode: Readonly<Record<string, number>> }
  /** One line each, at most MAX_DIFFERENCES, without personal data; their whole number is `differenceCount`. */
  readonly differences: readonly string[]
  readonly differenceCount: number
}

const MAX_DIFFERENCES = 20
const ACCEPTED = 'accepted'
const DEFAULT_MAX_BYTES = 1024 * 1024
const NO_RULES: EnrichedRules = { fields: null, timeZone: 'UTC', userIdKey: null }

/**
 * Holds each record of the source topic against the enriched topic and the dead letters: exactly one of the two has it, says
 * of it what the naive reading says, and in its order. All of the source topic must be processed, and nobody write to it.
 */
export async function judgeOutputs(options: OutputJudgeOptions): Promise<OutputVerdict> {
  const { reader, topics } = options
  const sizeOf = async (topic: string): Promise<TopicSize> => {
    const maxBytes = Number((await reader.topicConfig(topic))['max.message.bytes'] ?? DEFAULT_MAX_BYTES)
    return { partitions: (await reader.partitionCount(topic)) ?? 1, maxBytes }
  }
  const judge = new OutputJudge(options, await sizeOf(topics.enriched), await sizeOf(topics.deadLetters))
  const read = (topic: string, onMessage: (record: TopicRecord) => void) =>
    reader.readAll({ topic, readCommitted: true, onMessage })
  await read(topics.source, record => judge.expect(record))
  await read(topics.enriched, record => judge.enriched(record))
  await read(topics.deadLetters, record => judge.letter(record))
  judge.tellMissing()
  const ranges = judge.suspectRanges()
  if (ranges.from.size > 0) {
    const [fromOffsets, toOffsets] = [ranges.from, ranges.to]
    const onMessage = (record: TopicRecord) => judge.source(record)
    await reader.readAll({ topic: topics.source, readCommitted: true, fromOffsets, toOffsets, onMessage })
  }
  return judge.verdict()
}

/** The steps of a judgement, in the order in which `judgeOutputs` takes them. */
class OutputJudge {
  readonly #rules: RecountRules
  readonly #hashed: boolean
  readonly #letterSize: TopicSize
  readonly #recount
  readonly #wantedEnriched
  readonly #names
  readonly #expectations = new Expectations()
  readonly #differences = new DifferenceList(MAX_DIFFERENCES)
  readonly #enriched: TopicJudge
  readonly #letters: TopicJudge
  readonly #byCode = new Map<string, number>()
  /** A code has one message: if a part of a value were in it, there would be several. */
  readonly #messages = new Map<string, string>()

  constructor({ rules, enriched, topics, exactlyOnce }: OutputJudgeOptions, size: TopicSize, letterSize: TopicSize) {
    this.#rules = rules
    this.#hashed = enriched !== null && enriched.userIdKey !== null
    this.#letterSize = letterSize
    this.#recount = createRecount(rules)
    this.#wantedEnriched = createWantedEnriched(enriched ?? NO_RULES, size)
    this.#names = enrichedNames(enriched ?? NO_RULES)
    const common = {
      sourceTopic: topics.source,
      exactlyOnce,
      expectations: this.#expectations,
      differences: this.#differences,
    }
    const belongs = (outcome: string) => enriched !== null && outcome === ACCEPTED
    this.#enriched = new TopicJudge({ ...common, name: 'enriched', belongs })
    this.#letters = new TopicJudge({ ...common, name: 'dead letter', belongs: outcome => outcome !== ACCEPTED })
  }

  expect(record: TopicRecord): void {
    const { outcome, event } = this.#recount.take(record)
    const isAccepted = outcome === ACCEPTED && event !== null
    const answers = isAccepted
      ? this.#wantedEnriched(record, event)
      : [wantedLetter(record, outcome, this.#letterSize.partitions)]
    this.#expectations.add(record.partition, record.offset, outcome, answers)
    for (const judge of [this.#enriched, this.#letters]) judge.expect(outcome)
  }

  enriched(record: TopicRecord): void {
    this.#enriched.add(readEnriched(record, this.#names, this.#hashed))
  }

  letter(record: TopicRecord): void {
    const letter = readLetter(record)
    const { code, message } = letter
    const added = this.#letters.add(letter)
    if (added?.isFirst) this.#byCode.set(code, (this.#byCode.get(code) ?? 0) + 1)
    if (!added?.fits) return
    const known = this.#messages.get(code) ?? message
    this.#messages.set(code, known)
    if (message !== known || message === '') {
      this.#letters.wrong(`dead letter ${coordinates(record)}: error.message is not that of other letters of ${code}`)
    }
  }

  tellMissing(): void {
    for (const { partition, offset, outcome, found } of this.#expectations.all()) {
      if (found > 0) continue
      if (this.#enriched.belongs(outcome)) this.#differences.add(`enriched: nothing of ${partition}/${offset}`)
      if (this.#letters.belongs(outcome)) {
        this.#differences.add(`dead letter: none of ${partition}/${offset}, which is ${outcome}`)
      }
    }
  }

  /** Where the source records of all suspects lie: first offsets and ends by partition. */
  suspectRanges(): { readonly from: Map<number, number>; readonly to: Map<number, number> } {
    const from = new Map<number, number>()
    const to = new Map<number, number>()
    for (const { source } of [...this.#enriched.suspects, ...this.#letters.suspects]) {
      const { partition, offset } = source
      from.set(partition, Math.min(offset, from.get(partition) ?? offset))
      to.set(partition, Math.max(offset + 1, to.get(partition) ?? 0))
    }
    return { from, to }
  }

  /** Holds the suspects of a source record against it. */
  source(record: TopicRecord): void {
    const expectation = this.#expectations.get(record.partition, record.offset)
    if (expectation === null) return
    for (const suspect of this.#enriched.takeSuspects(record)) {
      const event = readEvent(record, this.#rules)
      const [whole] = typeof event === 'string' ? [] : this.#wantedEnriched(record, event)
      if (whole !== undefined) this.#enriched.convict(suspect, faultOf(suspect, whole))
    }
    for (const suspect of this.#letters.takeSuspects(record)) {
      this.#letters.convict(suspect, faultOfLetter(suspect, record, expectation.outcome, this.#letterSize))
    }
  }

  verdict(): OutputVerdict {
    for (const judge of [this.#enriched, this.#letters]) {
      for (const suspect of judge.suspects) judge.convict(suspect, 'its source record is gone')
    }
    const { lines, count } = this.#differences
    const byCode = Object.fromEntries([...this.#byCode].sort(([a], [b]) => (a < b ? -1 : 1)))
    return {
      enriched: this.#enriched.verdict(),
      deadLetters: { ...this.#letters.verdict(), byCode },
      differences: lines,
      differenceCount: count,
    }
  }
}
