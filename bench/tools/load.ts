import type { Settings } from '../../src/config/settings.ts'
import type { SentMessage } from '../../src/dev/generator/batchSender.ts'
import { NO_SHARES } from '../../src/dev/generator/eventOptions.ts'
import { createEventSource, type EventSource } from '../../src/dev/generator/eventSource.ts'
import { runGenerator } from '../../src/dev/generator/generator.ts'
import { Ledger } from '../../src/dev/generator/ledger.ts'
import { Random } from '../../src/dev/generator/random.ts'
import { createEventParser, emptyEvent } from '../../src/events/parse.ts'
import { createBatchSender } from '../../src/kafka/batchSender.ts'
import { windowIndexOf } from '../../src/windows/windows.ts'

/** What the tool is asked to do, its one argument as JSON. */
export type LoadTask = {
  readonly settings: Settings
  /** Events a second; 0 for as many as possible. */
  readonly rate: number
  /** How many; null for no end. */
  readonly events: number | null
  /** Tell what lies where, see `LoadMessage`. */
  readonly tellRuns: boolean
  readonly shape: LoadShape
}

/** What kind of events. */
export type LoadShape = {
  readonly users: number
  /** About the length that each value is brought to; null leaves it as it is, some 175 bytes. */
  readonly bytes: number | null
  /** Each record has a `traceparent`, and this share of them is sampled; null for no headers. */
  readonly tracedShare: number | null
}

/**
 * Consecutive offsets of a partition from `baseOffset` on: `count` events each that were made at `madeAt` (epoch
 * milliseconds, as in the record's timestamp) and belong into the same window.
 */
export type LoadRun = { readonly count: number; readonly madeAt: number; readonly window: number }
export type LoadMessage =
  | { readonly kind: 'runs'; readonly partition: number; readonly baseOffset: number; readonly runs: LoadRun[] }
  | { readonly kind: 'done'; readonly acknowledged: number; readonly seconds: number }

const tell = (message: LoadMessage) => void process.send?.(message)

/** Keeps no account, which costs more than making the events, but tells where they came to lie. */
class Teller extends Ledger {
  readonly #task: LoadTask
  readonly #parse
  readonly #event = emptyEvent()
  #count = 0

  constructor(task: LoadTask) {
    super(task.settings.topics.source, task.settings)
    this.#task = task
    this.#parse = createEventParser(task.settings)
  }

  override get acknowledged(): number {
    return this.#count
  }

  override acknowledge(partition: number, baseOffset: number, messages: readonly SentMessage[]): boolean {
    this.#count += messages.length
    if (this.#task.tellRuns) tell({ kind: 'runs', partition, baseOffset, runs: this.#runsOf(messages) })
    return true
  }

  #runsOf(messages: readonly SentMessage[]): LoadRun[] {
    const runs: { count: number; madeAt: number; window: number }[] = []
    for (const { timestamp: madeAt, value } of messages) {
      if (value === null) throw new Error('the generator makes no empty events')
      this.#parse(value, 0, value.length, this.#event)
      const window = windowIndexOf(this.#event.timeMs, this.#task.settings.windowSizeMs)
      const last = runs.at(-1)
      if (last?.madeAt === madeAt && last.window === window) last.count++
      else runs.push({ count: 1, madeAt, window })
    }
    return runs
  }
}

/** The value as it is written: `{"user_id":"<36 characters>",…}`. */
const ID_START = '{"user_id":"'.length
/** Of a user's id so much may go: twelve digits still tell all users apart. */
const SPARE_ID_BYTES = 24

/** Brings values to about `bytes`: by a shorter user id, or by one more field that nobody knows. */
function resized(value: Buffer, bytes: number): Buffer {
  if (bytes < value.length) {
    const cut = Math.min(SPARE_ID_BYTES, value.length - bytes)
    return Buffer.concat([value.subarray(0, ID_START), value.subarray(ID_START + cut)])
  }
  const filler = 'x'.repeat(Math.max(0, bytes - value.length - ',"filler":""'.length))
  return Buffer.concat([value.subarray(0, -1), Buffer.from(`,"filler":"${filler}"}`)])
}

function shapedSource({ settings, shape: { users, bytes, tracedShare } }: LoadTask): EventSource {
  const options = { partitions: settings.topics.sourcePartitions, users, variedClients: 0, shares: NO_SHARES }
  const source = createEventSource(options)
  const random = new Random(1)
  return {
    next: now => {
      const event = source.next(now)
      const value = bytes === null || event.value === null ? event.value : resized(event.value, bytes)
      if (tracedShare === null) return { ...event, value }
      const sampled = random.unit() < tracedShare ? '01' : '00'
      return { ...event, value, headers: [['traceparent', `00-${random.hex(32)}-${random.hex(16)}-${sampled}`]] }
    },
  }
}

const task = JSON.parse(process.argv[2] ?? '') as LoadTask
const { settings, rate, events } = task
const source = shapedSource(task)
const end = new AbortController()
process.on('SIGTERM', () => end.abort())
// Whoever asked for the load has gone.
process.on('disconnect', () => process.exit(1))
const sender = await createBatchSender(settings.kafka)
const options = { topic: settings.topics.source, rate, events, seconds: null }
const { acknowledged, seconds } = await runGenerator(options, source, sender, new Teller(task), end.signal)
tell({ kind: 'done', acknowledged, seconds })
await sender.close()
process.disconnect?.()
