import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { EXIT, exitCodeOf, TidemarkError } from '../errors.ts'
import { createKafka, type KafkaClient, untilReachable } from '../kafka/client.ts'
import { chooseDecoder } from '../kafka/decoder.ts'
import { followTopic } from '../kafka/followTopic.ts'
import { topicName } from '../kafka/names.ts'
import { readTopicFacts } from '../kafka/topics.ts'
import { watchKafka } from '../kafka/watch.ts'
import { limitBatchBytes } from '../kafka/wire/fetchedBatch.ts'
import { withinTime } from '../kafka/withinTime.ts'
import { type Log, type SampledLog, sampled } from '../telemetry/log.ts'
import { openOtel } from '../telemetry/otel/openOtel.ts'
import type { Otel } from '../telemetry/otel/otel.ts'
import { readVersion } from '../version.ts'
import { ResultStore } from '../web/resultStore.ts'
import { createServer, listen } from '../web/server.ts'
import { ServeTelemetry } from '../web/telemetry.ts'
import { levelsOf } from '../windows/levels.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { openRoleLog } from './roleLog.ts'
import { untilSignalled } from './signals.ts'

const OBSERVE_INTERVAL_MS = 250
/** Requests take milliseconds; one that is still being sent after this is cut off. */
const DRAIN_LIMIT_MS = 10_000

/** `tidemark serve`: the read API over the results topic of this generation. */
export const command: CommandFile = { run: serve }

/**
 * Reads, answers until a signal or a fault, drains, leaves.
 * @returns 0 when drained
 */
async function serve(context: CommandContext): Promise<number> {
  const settings = loadSettings(context.env, context.readFile)
  const port = portOf(settings)
  const log = openRoleLog(settings, 'serve')
  const version = readVersion(context.readFile)
  const onTrouble = (message: string) => log.warn('tracing_trouble', { message })
  const otel = await openOtel({ env: context.env, role: 'serve', version, onTrouble })
  try {
    return await serveResults({ settings, port, version, log, otel })
  } finally {
    await otel.close()
  }
}

type ServeParts = {
  readonly settings: Settings
  readonly port: number
  readonly version: string
  readonly log: Log
  readonly otel: Otel
}

async function serveResults({ settings, port, version, log, otel }: ServeParts): Promise<number> {
  const lines = { often: sampled(log), seldom: sampled(log, 10_000) }
  const kafkaLog = (level: 'warn', message: string, details: Readonly<Record<string, unknown>>) => {
    lines.seldom.write(level, 'kafka_client', { message, ...details })
  }
  limitBatchBytes(settings.maxBatchBytes)
  chooseDecoder(settings.kafkaDecoder)
  await untilReachable(settings.kafka, kafkaLog, settings.kafkaWaitMs)
  const kafka = createKafka(settings.kafka, kafkaLog)
  const topic = topicName(settings, 'results')
  await readTopicFacts(kafka, settings, ['results'])

  const reading = startReading({ kafka, topic, settings, version, log, lines })
  const { app, telemetry } = reading
  otel.tellMetrics(telemetry.metricSource())
  try {
    log.info('starting', { topic, generation: settings.generation, port: await listen(app, port) })
    const signal = await Promise.race([untilSignalled(), reading.failure])
    log.info('draining', { signal })
    telemetry.draining()
    // No longer taken: new connections. Finished: requests that have come.
    await withinTime(app.close(), DRAIN_LIMIT_MS)
    log.info('drained')
    return EXIT.done
  } catch (error) {
    log.fatal('ended', { err: error, exit_code: exitCodeOf(error) })
    throw error
  } finally {
    await reading.stop()
    lines.seldom.flush()
    lines.often.flush()
  }
}

type Reading = {
  readonly app: ReturnType<typeof createServer>
  readonly telemetry: ServeTelemetry
  /** Rejects when the results have to be read anew, by a new process. */
  readonly failure: Promise<never>
  stop(): Promise<void>
}

type ReadingOptions = {
  readonly kafka: KafkaClient
  readonly topic: string
  readonly settings: Settings
  readonly version: string
  readonly log: Log
  readonly lines: { readonly often: SampledLog; readonly seldom: SampledLog }
}

/** Puts the parts together: the topic is followed into the store, which the server answers from. */
function startReading({ kafka, topic, settings, version, log, lines }: ReadingOptions): Reading {
  const store = new ResultStore(storeOptions(settings))
  const startedMs = performance.now()
  const { promise: failure, reject: fail } = Promise.withResolvers<never>()
  // It may come before anyone waits for it.
  failure.catch(() => {})
  const telemetry: ServeTelemetry = new ServeTelemetry({
    settings,
    version,
    store,
    partitions: () => follower.partitions(),
    onReady: () => {
      const windows = Object.fromEntries(store.sizes.map(held => [held.sizeText, held.size]))
      log.info('ready', { windows, after_ms: Math.round(performance.now() - startedMs) })
    },
  })
  watchKafka(telemetry.metrics.kafka)
  const follower = followTopic({
    kafka,
    topic,
    onRecords: records => {
      for (const { partition, offset, accepted } of store.acceptAll(records)) {
        telemetry.metrics.accepted(accepted)
        if (accepted === 'foreign') lines.often.write('warn', 'foreign_record', { topic, partition, offset })
      }
    },
    onLooked: () => telemetry.looked(),
    onPartitions: partitions => telemetry.partitionsFound(partitions),
    onTrouble: ({ code, message }) => {
      telemetry.metrics.trouble()
      lines.seldom.write('warn', 'read_failed', { code, reason: message })
    },
    onCorrupt: (partition, { from, to, reason }) => {
      telemetry.corrupt(partition, from)
      lines.often.write('error', 'corrupt_batch', { topic, partition, from, to, reason })
    },
    onFatal: fail,
  })
  const app = createServer({
    context: { store, sizesMs: levelsOf(settings).map(({ sizeMs }) => sizeMs) },
    pages: telemetry.pages(),
    isReady: () => telemetry.ready,
    version,
    onAnswered: telemetry.metrics.answered,
    onFault: (route, err) => lines.often.write('error', 'request_failed', { route, err }),
  })
  const observing = setInterval(() => telemetry.observe(), OBSERVE_INTERVAL_MS)
  const stop = async () => {
    clearInterval(observing)
    await follower.stop()
  }
  return { app, telemetry, failure, stop }
}

function portOf({ httpPort }: Settings): number {
  if (httpPort !== null) return httpPort
  throw new TidemarkError('bad_setting', 'HTTP_PORT is "0": serve answers over HTTP; allowed is 1 to 65535')
}

function storeOptions({
  windowSizeMs,
  rollupsMs,
  resultRetention,
}: Settings): ConstructorParameters<typeof ResultStore>[0] {
  return { tilingMs: [windowSizeMs, ...rollupsMs], retentionMs: resultRetention }
}
