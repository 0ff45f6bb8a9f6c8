import { type Command, InvalidArgumentError } from 'commander'
import { duration, type Kind, wholeNumber } from '../config/kinds.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import type { BatchSender } from '../dev/generator/batchSender.ts'
import { DEFAULT_EVENT_OPTIONS, type EventOptions, NO_SHARES, type Shares } from '../dev/generator/eventOptions.ts'
import { createEventSource } from '../dev/generator/eventSource.ts'
import { type GeneratorOptions, runGenerator } from '../dev/generator/generator.ts'
import { Ledger, writeLedger } from '../dev/generator/ledger.ts'
import { EXIT, TidemarkError } from '../errors.ts'
import { createTopicReader, partitionsOfExisting } from '../kafka/admin.ts'
import { createBatchSender } from '../kafka/batchSender.ts'
import { checkReachable, createKafka } from '../kafka/client.ts'
import { withinTime } from '../kafka/withinTime.ts'
import { openOtel } from '../telemetry/otel/openOtel.ts'
import { readVersion } from '../version.ts'
import type { CommandContext, CommandFile } from './command.ts'

/** The options as commander gives them, each parsed by its kind. */
type Flags = {
  readonly rate: number
  readonly events?: number
  readonly seconds?: number
  readonly seed: number
  readonly users: number
  readonly variedClients?: number
  readonly jitter: number
  readonly partitions?: number
  readonly clean?: boolean
  readonly skewedPartition?: number
  readonly skewedShare: number
  readonly silentPartition?: number
  readonly ledger?: string
  readonly ledgerEvery: number
  readonly json?: boolean
} & Partial<Shares>

const CLOSE_MS = 5_000
const COUNT = wholeNumber(1, Number.MAX_SAFE_INTEGER)
const NUMBER = wholeNumber(0, Number.MAX_SAFE_INTEGER)
const PARTITION = wholeNumber(0, 9_999)
const SHARE: Kind<number> = {
  allowed: 'a share from 0 to 1, as 0.01',
  parse: text => (/^(0?\.\d+|[01](\.0+)?|0)$/.test(text) ? Number(text) : undefined),
}

const SHARE_FLAGS: Readonly<Record<keyof Shares, readonly [flag: string, what: string]>> = {
  missingOptional: ['missing-optional', 'an optional field missing or of a wrong type'],
  missingRequired: ['missing-required', 'user_id or timestamp missing'],
  brokenJson: ['broken-json', 'no JSON object'],
  notUtf8: ['not-utf8', 'bytes that are no UTF-8'],
  emptyValue: ['empty-value', 'no value, or an empty one'],
  invalidRequired: ['invalid-required', 'a user_id or timestamp of a wrong type or out of its bounds'],
  tooDeep: ['too-deep', 'objects and arrays nested deeper than MAX_EVENT_DEPTH'],
  tooLarge: ['too-large', 'more bytes than MAX_EVENT_BYTES, which must be at most 256KiB for it'],
  duplicates: ['duplicates', 'the bytes of an earlier event again'],
  late: ['late', 'a time 1-10 minutes back'],
  future: ['future', 'a time a day to a year ahead'],
}

/** `tidemark generate`: synthetic logins into the source topic, with a ledger of what Kafka has acknowledged. */
export const command: CommandFile = {
  define,
  run: async (context, options) => {
    const flags = options as unknown as Flags
    const settings = loadSettings(context.env, context.readFile)
    const partitions = await usedPartitions(settings, flags)
    const events = eventOptions(flags, settings, partitions)
    const otel = await openOtel({
      env: context.env,
      role: 'generate',
      version: readVersion(context.readFile),
      onTrouble: message => context.stderr.write(`OpenTelemetry: ${message}\n`),
    })
    const sender = await createBatchSender(settings.kafka)
    const stop = abortOnSignals()
    try {
      return await generate(context, settings, flags, events, otel.tracing?.sender(sender) ?? sender, stop.signal)
    } finally {
      stop.forget()
      // While no broker answers, a send that was given up would keep it waiting.
      await Promise.all([withinTime(sender.close(), CLOSE_MS), otel.close()])
    }
  },
}

function define(generate: Command): void {
  generate
    .option('--rate <n>', 'events a second; 0 for as many as possible', parsed(NUMBER), 1_000)
    .option('--events <n>', 'end after so many events', parsed(COUNT))
    .option('--seconds <n>', 'end after so many seconds', parsed(COUNT))
    .option('--seed <n>', 'the same seed gives the same users and kinds of events', parsed(NUMBER), 1)
    .option('--users <n>', 'how many users log in', parsed(wholeNumber(1, 10_000_000)), DEFAULT_EVENT_OPTIONS.users)
    .option(
      '--varied-clients <share>',
      `share of apps that send CloudEvents, headers or more fields (default: ${DEFAULT_EVENT_OPTIONS.variedClients})`,
      parsed(SHARE),
    )
    .option('--jitter <time>', 'an event is up to this old', parsed(duration('1ms', '1h', 'orZero')), 3_000)
    .option('--partitions <n>', 'use the first n partitions; all of the topic by default', parsed(COUNT))
    .option('--skewed-partition <p>', 'the partition that gets --skewed-share of all events', parsed(PARTITION))
    .option('--skewed-share <share>', 'how much the skewed partition gets', parsed(SHARE), 0.5)
    .option('--silent-partition <p>', 'a partition that gets nothing', parsed(PARTITION))
    .option('--ledger <file>', 'write what was acknowledged, counted naively, as JSON')
    .option('--ledger-every <time>', 'how often to write it while running', parsed(duration('100ms', '1h')), 5_000)
    .option('--clean', 'nothing unusual: every share is 0 unless given, and all apps write the plain form')
    .option('--json', 'print one JSON object at the end')
  for (const [name, [flag, what]] of Object.entries(SHARE_FLAGS)) {
    const standard = DEFAULT_EVENT_OPTIONS.shares[name as keyof Shares]
    generate.option(`--${flag} <share>`, `share of events with ${what} (default: ${standard})`, parsed(SHARE))
  }
}

async function generate(
  context: CommandContext,
  settings: Settings,
  flags: Flags,
  events: EventOptions,
  sender: BatchSender,
  signal: AbortSignal,
): Promise<number> {
  const topic = settings.topics.source
  const ledger = new Ledger(topic, settings)
  const save = saver(flags.ledger, ledger)
  // A full disk must not end in a ledger that lies still: it is told at the end, by the last write.
  const timer = setInterval(() => void save(false).catch(() => {}), flags.ledgerEvery)
  const options: GeneratorOptions = {
    topic,
    rate: flags.rate,
    events: flags.events ?? null,
    seconds: flags.seconds ?? null,
  }
  try {
    const summary = await runGenerator(options, createEventSource(events), sender, ledger, signal)
    const rate = Math.round(summary.acknowledged / Math.max(summary.seconds, 0.001))
    context.stdout.write(
      flags.json === true
        ? `${JSON.stringify({ topic, ...summary, events_per_second: rate })}\n`
        : `${summary.acknowledged} events to ${topic} in ${summary.seconds.toFixed(1)} s (${rate} a second)\n`,
    )
  } finally {
    clearInterval(timer)
    await save(true)
  }
  return EXIT.done
}

/** Writes the ledger, one write after the other, so that the last one asked for is the one that stays. */
function saver(file: string | undefined, ledger: Ledger): (finished: boolean) => Promise<void> {
  if (file === undefined) return () => Promise.resolve()
  let last: Promise<unknown> = Promise.resolve()
  return finished => {
    const written = last.then(() => writeLedger(file, ledger.content(finished)))
    last = written.catch(() => {})
    return written
  }
}

/** @throws TidemarkError 'refused_topic' without the topic, 'usage' when it has fewer partitions than asked for */
async function usedPartitions(settings: Settings, flags: Flags): Promise<number> {
  await checkReachable(settings.kafka, () => {})
  const topic = settings.topics.source
  const reader = createTopicReader(createKafka(settings.kafka, () => {}))
  try {
    const existing = await partitionsOfExisting(reader, topic)
    if (flags.partitions !== undefined && flags.partitions > existing) {
      throw new TidemarkError('usage', `--partitions ${flags.partitions}: ${topic} has ${existing}`)
    }
    return flags.partitions ?? existing
  } finally {
    await reader.close()
  }
}

function eventOptions(flags: Flags, settings: Settings, partitions: number): EventOptions {
  const shares: Record<keyof Shares, number> = { ...(flags.clean ? NO_SHARES : DEFAULT_EVENT_OPTIONS.shares) }
  for (const name of Object.keys(SHARE_FLAGS) as (keyof Shares)[]) shares[name] = flags[name] ?? shares[name]
  const { skewedPartition, skewedShare } = flags
  return {
    seed: flags.seed,
    partitions,
    users: flags.users,
    variedClients: flags.variedClients ?? (flags.clean ? 0 : DEFAULT_EVENT_OPTIONS.variedClients),
    shares,
    maxEventBytes: settings.maxEventBytes,
    maxEventDepth: settings.maxEventDepth,
    jitterMs: flags.jitter,
    skewed: skewedPartition === undefined ? null : { partition: skewedPartition, share: skewedShare },
    silentPartition: flags.silentPartition ?? null,
  }
}

/** The first signal ends the job in order, a second one the process. */
function abortOnSignals(): { readonly signal: AbortSignal; forget(): void } {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.crashed)
    controller.abort()
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  return {
    signal: controller.signal,
    forget: () => void process.off('SIGTERM', onSignal).off('SIGINT', onSignal),
  }
}

/** A parser for commander, which names the option and the value itself. */
function parsed<T>(kind: Kind<T>): (text: string) => T {
  return text => {
    const value = kind.parse(text)
    if (value === undefined) throw new InvalidArgumentError(`Allowed is ${kind.allowed}.`)
    return value
  }
}
