import { rename, writeFile } from 'node:fs/promises'
import { createRecount, type PartitionCount, type RecountRules, type WindowCount } from '../recount.ts'
import type { SentMessage } from './batchSender.ts'

/** What is known of one partition: what was acknowledged, and the naive recount of exactly that. */
export type LedgerPartition = Omit<PartitionCount, 'records'> & {
  readonly acknowledged: number
  readonly first_offset: number
  /** One past the last acknowledged message. */
  readonly next_offset: number
  /** Offset ranges [from, to) between our messages that others wrote, or that hold sends of unknown outcome. */
  readonly gaps: readonly (readonly [number, number])[]
}

export type UnknownSend = { readonly partition: number; readonly messages: number; readonly error: string }

export type LedgerContent = {
  readonly v: 1
  readonly topic: string
  readonly rules: RecountRules
  /** False while the generator still runs. */
  readonly finished: boolean
  /**
   * True when the ledger is the whole truth about the topic: every log began with our first message, nobody else wrote
   * between ours, and every send was acknowledged. Otherwise clocks, and with them lateness, may differ from the log's.
   */
  readonly complete: boolean
  readonly acknowledged: number
  readonly partitions: Readonly<Record<string, LedgerPartition>>
  readonly windows: Readonly<Record<string, WindowCount>>
  readonly unknown: readonly UnknownSend[]
}

type Range = { first: number; next: number; acknowledged: number; gaps: [number, number][] }

/** Keeps account of what Kafka has acknowledged, and of what it has not. */
export class Ledger {
  readonly #topic: string
  readonly #rules: RecountRules
  readonly #recount
  readonly #ranges = new Map<number, Range>()
  readonly #unknown: UnknownSend[] = []
  #acknowledged = 0

  constructor(topic: string, rules: RecountRules) {
    this.#topic = topic
    this.#rules = onlyRules(rules)
    this.#recount = createRecount(this.#rules)
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /**
   * The messages lie in the log from `baseOffset` on, one after the other.
   *
   * @returns false when the offset cannot be true; then they are entered as unknown
   */
  acknowledge(partition: number, baseOffset: number, messages: readonly SentMessage[]): boolean {
    const range = this.#ranges.get(partition)
    if (!Number.isSafeInteger(baseOffset) || baseOffset < (range?.next ?? 0)) {
      this.unknown(partition, messages.length, `acknowledged with the impossible offset ${baseOffset}`)
      return false
    }
    const next = baseOffset + messages.length
    if (range === undefined) {
      this.#ranges.set(partition, { first: baseOffset, next, acknowledged: messages.length, gaps: [] })
    } else {
      if (baseOffset > range.next) range.gaps.push([range.next, baseOffset])
      range.next = next
      range.acknowledged += messages.length
    }
    this.#acknowledged += messages.length
    messages.forEach(({ timestamp, value, headers }, index) => {
      this.#recount.add({ partition, offset: baseOffset + index, timestamp, value, headers })
    })
    return true
  }

  /** It is not known whether these messages are in the log. */
  unknown(partition: number, messages: number, error: string): void {
    this.#unknown.push({ partition, messages, error })
  }

  content(finished: boolean): LedgerContent {
    const { partitions, windows } = this.#recount.result()
    const ranges = [...this.#ranges].sort(([a], [b]) => a - b)
    const describe = ([partition, { first, next, acknowledged, gaps }]: [number, Range]) => {
      const { records: _, ...counts } = partitions[partition]!
      return [partition, { acknowledged, first_offset: first, next_offset: next, ...counts, gaps: [...gaps] }] as const
    }
    return {
      v: 1,
      topic: this.#topic,
      rules: this.#rules,
      finished,
      complete: this.#unknown.length === 0 && ranges.every(([, { first, gaps }]) => first === 0 && gaps.length === 0),
      acknowledged: this.#acknowledged,
      partitions: Object.fromEntries(ranges.map(describe)),
      windows,
      unknown: [...this.#unknown],
    }
  }
}

/** Of settings, which hold far more, only what the ledger is counted by. */
function onlyRules(rules: RecountRules): RecountRules {
  const { windowSizeMs, allowedLatenessMs, maxFutureSkewMs, maxEventBytes, maxEventDepth, validationRequired } = rules
  const kept = { windowSizeMs, allowedLatenessMs, maxFutureSkewMs, maxEventBytes, validationRequired }
  return maxEventDepth === undefined ? kept : { ...kept, maxEventDepth }
}

/** Writes beside the file and renames: a reader finds the old ledger or the new one, never half of one. */
export async function writeLedger(file: string, content: LedgerContent): Promise<void> {
  const fresh = `${file}.${process.pid}.tmp`
  await writeFile(fresh, `${JSON.stringify(content)}\n`)
  await rename(fresh, file)
}
