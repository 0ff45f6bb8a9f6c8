import { duration } from '../config/kinds.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import type { BatchSender } from '../dev/generator/batchSender.ts'
import { EXIT } from '../errors.ts'
import { createTopicReader, partitionsOfExisting, type TopicReader } from '../kafka/admin.ts'
import { createBatchSender } from '../kafka/batchSender.ts'
import { createKafka, untilReachable } from '../kafka/client.ts'
import { topicName } from '../kafka/names.ts'
import { covers } from '../results/covers.ts'
import { decodeResult } from '../results/decode.ts'
import type { Result } from '../results/result.ts'
import { parseTraceparent } from '../tasks/traceContext.ts'
import { openOtel } from '../telemetry/otel/openOtel.ts'
import type { Tracing } from '../telemetry/tracing/tracing.ts'
import { readVersion } from '../version.ts'
import { windowIndexOf, windowKey } from '../windows/windows.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { optionValue } from './options.ts'

/** The one event, and where the log has it. */
type Sent = {
  readonly partition: number
  readonly offset: number
  readonly windowKey: string
  /** The trace that begins with it; null when it begins none. */
  readonly traceId: string | null
}

/** The user of all probes: whoever counts users counts one more in the windows of probes. */
const PROBE_USER = 'tidemark-probe'
const LOOK_INTERVAL_MS = 500
const DEFAULT_TIMEOUT = '60s'

/** `tidemark probe`: one event all the way through, on the system that runs. */
export const command: CommandFile = {
  define: probe =>
    probe
      .option('--timeout <time>', 'how long to wait for the result', DEFAULT_TIMEOUT)
      .option('--wait <time>', 'how long to wait for a broker to answer', '0')
      .option('--json', 'print one JSON object'),
  run: async (context, options) => {
    const timeoutMs = optionValue('--timeout', duration('1s', '1h'), options.timeout)
    const waitMs = optionValue('--wait', duration('0', '1h', 'orZero'), options.wait)
    const settings = loadSettings(context.env, context.readFile)
    await untilReachable(settings.kafka, () => {}, waitMs)
    const otel = await openOtel({
      env: context.env,
      role: 'probe',
      version: readVersion(context.readFile),
      onTrouble: message => context.stderr.write(`OpenTelemetry: ${message}\n`),
    })
    const reader = createTopicReader(createKafka(settings.kafka, () => {}, { retries: 5 }))
    try {
      return await probe({ context, settings, reader, tracing: otel.tracing }, timeoutMs, options.json === true)
    } finally {
      await Promise.all([reader.close(), otel.close()])
    }
  },
}

type Parts = {
  readonly context: CommandContext
  readonly settings: Settings
  readonly reader: TopicReader
  /** Null while it is off. */
  readonly tracing: Tracing | null
}

async function probe(parts: Parts, timeoutMs: number, json: boolean): Promise<number> {
  const { context, settings, reader } = parts
  const resultsTopic = topicName(settings, 'results')
  await partitionsOfExisting(reader, resultsTopic)
  // Taken before the event is sent: its result can only come after this.
  const ends = await reader.readLogRanges(resultsTopic)
  const startedAt = performance.now()
  const sent = await send(parts)
  const result = await awaitResult(
    reader,
    resultsTopic,
    sent,
    ends.map(({ end }) => end),
    startedAt + timeoutMs,
  )
  const ms = Math.round(performance.now() - startedAt)
  const place = `${topicName(settings, 'source')}/${sent.partition} at offset ${sent.offset}`
  const traceText = sent.traceId === null ? '' : `; its trace is ${sent.traceId}`
  if (result === null) {
    context.stderr.write(
      `no result of ${sent.windowKey} vouches for the event at ${place} within ${timeoutMs / 1_000} s: ` +
        `do aggregate and reduce run and keep up? \`tidemark status\` shows their lag${traceText}\n`,
    )
    return EXIT.failed
  }
  const { status, revision, batch_size, exact } = result
  const { partition, offset, windowKey: window } = sent
  const trace = sent.traceId === null ? {} : { trace_id: sent.traceId }
  context.stdout.write(
    json
      ? `${JSON.stringify({ partition, offset, window, status, revision, batch_size, exact, ms, ...trace })}\n`
      : `the event at ${place} is counted in ${sent.windowKey} (${status}, revision ${revision}, ${batch_size} events) after ${ms} ms${traceText}\n`,
  )
  return EXIT.done
}

/** @returns the first result of the event's window that covers the event; null when none has come in time */
async function awaitResult(
  reader: TopicReader,
  topic: string,
  { partition, offset, windowKey: key }: Sent,
  ends: readonly number[],
  untilMs: number,
): Promise<Result | null> {
  const fromOffsets = new Map(ends.entries())
  for (;;) {
    let found: Result | null = null
    await reader.readAll({
      topic,
      readCommitted: true,
      fromOffsets,
      onMessage: message => {
        fromOffsets.set(message.partition, message.offset + 1)
        if (found !== null || message.value === null || message.key?.toString() !== key) return
        const result = decodeResult(message.value)
        if (result !== null && covers(result, partition, offset)) found = result
      },
    })
    if (found !== null || performance.now() + LOOK_INTERVAL_MS > untilMs) return found
    await new Promise(resolve => setTimeout(resolve, LOOK_INTERVAL_MS))
  }
}

async function send({ context, settings, reader, tracing }: Parts): Promise<Sent> {
  const topic = topicName(settings, 'source')
  const partitions = await partitionsOfExisting(reader, topic)
  const nowMs = Date.now()
  const partition = nowMs % partitions
  const event = {
    user_id: PROBE_USER,
    app_version: readVersion(context.readFile),
    device_type: 'other',
    // An address that documentation may use and nobody has.
    ip: '192.0.2.1',
    locale: 'en',
    device_id: PROBE_USER,
    timestamp: nowMs,
  }
  const plain = await createBatchSender(settings.kafka)
  const sender: BatchSender = tracing?.sender(plain) ?? plain
  try {
    const value = Buffer.from(JSON.stringify(event))
    const message = { key: Buffer.from(PROBE_USER), value, headers: [], timestamp: nowMs }
    const { baseOffset: offset, traceparent = '' } = await sender.send(topic, partition, [message])
    return {
      partition,
      offset,
      traceId: parseTraceparent(traceparent)?.traceId ?? null,
      windowKey: windowKey(windowIndexOf(nowMs, settings.windowSizeMs), settings.windowSizeMs),
    }
  } finally {
    await sender.close()
  }
}
