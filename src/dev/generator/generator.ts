import { setTimeout as sleep } from 'node:timers/promises'
import { TidemarkError } from '../../errors.ts'
import type { BatchSender } from './batchSender.ts'
import type { EventKind, EventSource } from './eventSource.ts'
import type { Ledger } from './ledger.ts'
import { type Batch, Outbox } from './outbox.ts'

export type GeneratorOptions = {
  readonly topic: string
  /** Events a second; 0 for as many as possible. */
  readonly rate: number
  /** How many events to make, null for no end. */
  readonly events: number | null
  /** How long to go on, null for no end. */
  readonly seconds: number | null
}

export type GeneratorSummary = {
  /** Events handed to Kafka and acknowledged. */
  readonly acknowledged: number
  readonly made: Readonly<Partial<Record<EventKind, number>>>
  readonly seconds: number
}

const BATCH_SIZE = 3_000
/** With one event of the largest size on top it stays below the 1 MiB that brokers take by default. */
const BATCH_BYTES = 600 * 1024
const LINGER_MS = 50
/** Flat out, larger batches matter more than the age of a message. */
const FLAT_OUT_LINGER_MS = 250
/** Events made between two looks at the outbox; keeps the process awake to signals and acknowledgements. */
const SLICE = 3_000
const TICK_MS = 5
/** After a signal the send under way gets this long before its outcome counts as unknown. */
const LAST_SEND_MS = 10_000

/**
 * Makes events, sends them and enters what was acknowledged into the ledger, until the number or time is reached or the signal
 * is given. One send is under way at any moment, while the next events are made. After the signal nothing more is sent.
 *
 * @throws TidemarkError 'delivery_failed' when the outcome of a send is unknown; the ledger says so
 */
export async function runGenerator(
  options: GeneratorOptions,
  source: EventSource,
  sender: BatchSender,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<GeneratorSummary> {
  const outbox = new Outbox(BATCH_SIZE, BATCH_BYTES, options.rate === 0 ? FLAT_OUT_LINGER_MS : LINGER_MS)
  const maker = new EventMaker(options, source, outbox)
  const delivery = new Delivery(options.topic, sender, ledger, signal)
  try {
    while (!signal.aborted) {
      const made = maker.fill()
      const batch = outbox.take(Date.now(), maker.finished)
      if (batch !== null) await delivery.send(batch)
      else if (maker.finished) break
      else if (made === 0) await sleep(TICK_MS)
    }
  } finally {
    await delivery.end()
  }
  return { acknowledged: ledger.acknowledged, made: Object.fromEntries(maker.made), seconds: maker.elapsedMs() / 1000 }
}

/** Fills the outbox at the wanted rate. */
class EventMaker {
  readonly made = new Map<EventKind, number>()
  readonly #options: GeneratorOptions
  readonly #source: EventSource
  readonly #outbox: Outbox
  readonly #start = performance.now()
  #count = 0

  constructor(options: GeneratorOptions, source: EventSource, outbox: Outbox) {
    this.#options = options
    this.#source = source
    this.#outbox = outbox
  }

  elapsedMs(): number {
    return performance.now() - this.#start
  }

  /** No further event will be made. */
  get finished(): boolean {
    const { events, seconds } = this.#options
    return (events !== null && this.#count >= events) || (seconds !== null && this.elapsedMs() >= seconds * 1000)
  }

  /** Makes the events that are due, up to a slice or a full batch. @returns how many */
  fill(): number {
    if (this.finished) return 0
    const due = Math.min(SLICE, this.#due(), (this.#options.events ?? Number.POSITIVE_INFINITY) - this.#count)
    const now = Date.now()
    for (let made = 1; made <= due; made++) {
      const { partition, key, value, headers, kind } = this.#source.next(now)
      this.made.set(kind, (this.made.get(kind) ?? 0) + 1)
      this.#count++
      if (this.#outbox.add(partition, { key, value, headers, timestamp: now })) return made
    }
    return Math.max(0, due)
  }

  #due(): number {
    const { rate } = this.#options
    return rate === 0 ? SLICE : Math.floor((this.elapsedMs() * rate) / 1000) - this.#count
  }
}

/** Sends one batch after the other: two at once could come to lie in the log in another order. */
class Delivery {
  readonly #topic: string
  readonly #sender: BatchSender
  readonly #ledger: Ledger
  readonly #signal: AbortSignal
  #underWay: Promise<void> = Promise.resolve()
  #giveUp: () => void = () => {}
  #failure: TidemarkError | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(topic: string, sender: BatchSender, ledger: Ledger, signal: AbortSignal) {
    this.#topic = topic
    this.#sender = sender
    this.#ledger = ledger
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  readonly #onAbort = () => {
    this.#timer = setTimeout(() => this.#giveUp(), LAST_SEND_MS)
  }

  /** Waits for the batch before this one, not for this one. */
  async send(batch: Batch): Promise<void> {
    await this.#settled()
    if (this.#signal.aborted) return
    this.#underWay = new Promise(resolve => {
      this.#giveUp = () => {
        this.#fail(batch, 'not acknowledged before the end', null)
        resolve()
      }
      void this.#deliver(batch).then(resolve)
    })
  }

  /** Waits for the last batch; not for long after the signal. */
  async end(): Promise<void> {
    try {
      await this.#settled()
    } finally {
      clearTimeout(this.#timer)
      this.#signal.removeEventListener('abort', this.#onAbort)
    }
  }

  async #settled(): Promise<void> {
    await this.#underWay
    if (this.#failure !== null) throw this.#failure
  }

  /** Never rejects. What is told after a failure is not entered: the ledger has called it unknown. */
  async #deliver(batch: Batch): Promise<void> {
    try {
      const { baseOffset } = await this.#sender.send(this.#topic, batch.partition, batch.messages)
      if (this.#failure !== null || this.#ledger.acknowledge(batch.partition, baseOffset, batch.messages)) return
      this.#failure = failureOf(batch, this.#topic, `the offset ${baseOffset} cannot be`, null)
    } catch (error) {
      if (this.#failure === null) this.#fail(batch, error instanceof Error ? error.message : String(error), error)
    }
  }

  #fail(batch: Batch, reason: string, cause: unknown): void {
    this.#ledger.unknown(batch.partition, batch.messages.length, reason)
    this.#failure = failureOf(batch, this.#topic, reason, cause)
  }
}

function failureOf({ partition, messages }: Batch, topic: string, reason: string, cause: unknown): TidemarkError {
  const message = `It is unknown whether ${messages.length} events are in ${topic}/${partition}: ${reason}`
  return new TidemarkError('delivery_failed', message, { cause })
}
