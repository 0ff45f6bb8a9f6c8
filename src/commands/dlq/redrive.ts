import { setTimeout as sleep } from 'node:timers/promises'
import type { Settings } from '../../config/settings.ts'
import { EXIT, TidemarkError } from '../../errors.ts'
import type { TopicReader } from '../../kafka/admin.ts'
import type { KafkaClient } from '../../kafka/client.ts'
import { type DeadLetter, type Failure, letterId, readLetters } from '../../kafka/deadLetters.ts'
import {
  openRedriver,
  RedriveMarks,
  type Redriver,
  type Refusal,
  readMarks,
  recordBytes,
  refusalOf,
} from '../../kafka/redrive.ts'
import { readTopicFacts, type TopicFacts, verifyTopicsForRole } from '../../kafka/topics.ts'
import type { CommandContext } from '../command.ts'
import { untilSignalled } from '../signals.ts'
import { NamedLetters } from './named.ts'
import type { DlqOptions } from './options.ts'
import { say } from './output.ts'
import { jsonLine, printable } from './print.ts'

const REASONS: Readonly<Record<Refusal, string>> = {
  not_a_letter: 'it does not say which record it is',
  not_an_event: 'it holds no login event, but a partial or a batch that could not be read',
  cut: 'its value or headers were cut, so that the record is not whole',
  other_topic: 'its record comes from another topic than SOURCE_TOPIC',
  no_such_partition: 'the source topic no longer has its partition',
  too_large: "its record is larger than the source topic's max.message.bytes allows",
  already_redriven: 'its record was redriven before (--force does it again)',
  repeated: 'its record is that of another letter of this redrive',
}

/** A transaction holds at most this many records and about this many bytes. */
const BATCH_RECORDS = 500
const BATCH_BYTES = 512 * 1024
const BATCHES_PER_SECOND = 10

/** What a run has to do with the outside. */
export type RedrivePorts = {
  /** Null for a dry run. */
  readonly redriver: Pick<Redriver, 'redrive'> | null
  readonly marks: Pick<RedriveMarks, 'redrivenAt'>
  readonly sourceTopic: string
  readonly source: TopicFacts
  readonly context: Pick<CommandContext, 'stdout' | 'stderr'>
  readonly now: () => number
  /** Waits so many milliseconds, or less when the run is to end. */
  readonly pause: (ms: number) => Promise<unknown>
  readonly stopped: () => boolean
}

type Place = { readonly partition: number; readonly offset: number }
type RunOptions = Pick<DlqOptions, 'filter' | 'rate' | 'limit' | 'force' | 'json'>

/** One run over the letters that are meant. It holds the letters of one transaction, and which records it has redriven. */
export class RedriveRun {
  readonly #ports: RedrivePorts
  readonly #options: RunOptions
  readonly #named: NamedLetters
  readonly #batchRecords: number
  readonly #refused = new Map<Refusal, number>()
  readonly #own = new RedriveMarks()
  #batch: DeadLetter[] = []
  #batchBytes = 0
  #redriven = 0
  #late = 0
  #nextAt = 0
  #ended = false

  constructor(ports: RedrivePorts, options: RunOptions) {
    this.#ports = ports
    this.#options = options
    this.#named = new NamedLetters(options.filter)
    const { rate } = options
    this.#batchRecords = rate === 0 ? BATCH_RECORDS : Math.min(BATCH_RECORDS, Math.ceil(rate / BATCHES_PER_SECOND))
  }

  /** Takes one letter; resolves to whether it takes more. */
  async take(letter: DeadLetter): Promise<boolean> {
    this.#ended ||= this.#ports.stopped()
    if (this.#ended) return false
    this.#named.see(letter)
    const refusal = this.#refusalOf(letter)
    if (refusal !== null) {
      await this.#refuse(letter, refusal)
      return true
    }
    if (letter.failure !== null) this.#own.add(placeOf(letter.failure), this.#ports.now())
    const bytes = recordBytes(letter)
    const most = Math.min(BATCH_BYTES, this.#ports.source.maxMessageBytes)
    if (this.#batch.length > 0 && this.#batchBytes + bytes > most) await this.#send()
    this.#batch.push(letter)
    this.#batchBytes += bytes
    const { limit } = this.#options
    this.#ended = limit !== null && this.#redriven + this.#batch.length >= limit
    if (this.#ended || this.#batch.length >= this.#batchRecords) await this.#send()
    return !this.#ended
  }

  /** Sends what is still held; resolves to whether every letter that was meant has been redriven, or would be. */
  async finish(): Promise<boolean> {
    if (this.#batch.length > 0) await this.#send()
    // A run that ended before its time has not looked for them all.
    const allThere = this.#ended || this.#named.tellMissing(this.#ports.context.stderr)
    return allThere && this.#refused.size === 0
  }

  /** Says what became of the letters, at the end or when the run has failed. */
  summarize(): void {
    const { context, redriver } = this.#ports
    const refused = [...this.#refused.values()].reduce((a, b) => a + b, 0)
    const done = redriver === null ? 'would be redriven' : 'redriven'
    if (this.#options.json) {
      const counts = { redriven: this.#redriven, refused: Object.fromEntries(this.#refused) }
      context.stdout.write(`${jsonLine({ dry_run: redriver === null, ...counts })}\n`)
    } else {
      const reasons = [...this.#refused].map(([reason, count]) => `${reason} ${count}`).join(', ')
      context.stdout.write(`${this.#redriven} ${done}, ${refused} refused${refused > 0 ? ` (${reasons})` : ''}\n`)
    }
    if (this.#late > 0) {
      const why = 'a late event is late again when it comes back, unless ALLOWED_LATENESS has been raised since'
      context.stderr.write(`note: ${this.#late} of them failed as late: ${why}\n`)
    }
  }

  #refusalOf(letter: DeadLetter): Refusal | null {
    const { marks, source, sourceTopic } = this.#ports
    const refusal = refusalOf(letter, sourceTopic, source)
    if (refusal !== null) return refusal
    if (this.#own.redrivenAt(letter) !== null) return 'repeated'
    if (this.#options.force) return null
    return marks.redrivenAt(letter) === null ? null : 'already_redriven'
  }

  async #refuse(letter: DeadLetter, refusal: Refusal): Promise<void> {
    const { context, marks } = this.#ports
    this.#refused.set(refusal, (this.#refused.get(refusal) ?? 0) + 1)
    if (this.#options.json) {
      return await say(
        context.stdout,
        `${jsonLine({ letter: letterId(letter), outcome: 'refused', reason: refusal })}\n`,
      )
    }
    const at = refusal === 'already_redriven' ? marks.redrivenAt(letter) : null
    const when = at === null ? '' : `, at ${new Date(at).toISOString()}`
    await say(context.stderr, `refused ${letterId(letter)} ${refusal}: ${REASONS[refusal]}${when}\n`)
  }

  async #send(): Promise<void> {
    const { redriver, now, pause } = this.#ports
    const letters = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (redriver !== null) {
      await pause(this.#nextAt - now())
      // Never faster than the rate, also not to catch up after a wait for the brokers.
      const { rate } = this.#options
      if (rate > 0) this.#nextAt = now() + (letters.length * 1000) / rate
      const redriven = await redriver.redrive(letters, now())
      for (const { letter, partition, offset } of redriven)
        await this.#tell(letter, `${partition}@${offset}`, { partition, offset })
    } else {
      for (const letter of letters) await this.#tell(letter, String(letter.failure?.sourcePartition), null)
    }
    this.#redriven += letters.length
    this.#late += letters.filter(letter => letter.failure?.code === 'late').length
  }

  async #tell(letter: DeadLetter, place: string, to: Place | null): Promise<void> {
    const { context, sourceTopic } = this.#ports
    const outcome = to === null ? 'would be redriven' : 'redriven'
    const line = this.#options.json
      ? jsonLine({ letter: letterId(letter), outcome, to })
      : `${outcome} ${letterId(letter)} to ${printable(sourceTopic)}/${place}`
    await say(context.stdout, `${line}\n`)
  }
}

let signal: Promise<string> | null = null
/** A process has one first signal, however many redrives it runs. */
const firstSignal = () => {
  signal ??= untilSignalled()
  return signal
}

const placeOf = ({ sourcePartition, sourceOffset, sourceTimestamp }: Failure) => ({
  partition: sourcePartition,
  offset: sourceOffset,
  timestamp: sourceTimestamp,
})

/** `tidemark dlq redrive`: 0 when all was done, 1 when a letter was refused or another redrive has taken over. */
export async function redriveLetters(
  context: CommandContext,
  kafka: KafkaClient,
  reader: TopicReader,
  settings: Settings,
  options: DlqOptions,
): Promise<number> {
  await verifyTopicsForRole(kafka, settings, 'redrive')
  const { source } = await readTopicFacts(kafka, settings, ['source'])
  const redriver = options.dryRun ? null : await openRedriver(kafka, settings)
  try {
    const signalled = new AbortController()
    if (redriver !== null) void firstSignal().then(signal => signalled.abort(signal))
    const run = new RedriveRun(
      {
        redriver,
        marks: await readMarks(reader, settings),
        sourceTopic: settings.topics.source,
        source,
        context,
        now: Date.now,
        pause: ms => (ms > 0 ? sleep(ms, undefined, { signal: signalled.signal }).catch(() => {}) : Promise.resolve()),
        stopped: () => signalled.signal.aborted,
      },
      options,
    )
    return await drive(run, context, () =>
      readLetters(kafka, reader, settings.topics.deadLetters, options.filter, letter => run.take(letter)),
    )
  } finally {
    await redriver?.close()
  }
}

async function drive(run: RedriveRun, context: CommandContext, read: () => Promise<void>): Promise<number> {
  let complete: boolean
  try {
    await read()
    complete = await run.finish()
  } catch (error) {
    run.summarize()
    if (!(error instanceof TidemarkError && error.code === 'fenced')) throw error
    context.stderr.write('another redrive of this CONSUMER_GROUP has taken over: this one has ended\n')
    return EXIT.failed
  }
  run.summarize()
  return complete ? EXIT.done : EXIT.failed
}
