import { setTimeout as sleep } from 'node:timers/promises'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { EXIT, exitCodeOf, TidemarkError } from '../errors.ts'
import { createTopicReader, type TopicReader } from '../kafka/admin.ts'
import { createKafka, type KafkaClient, untilReachable } from '../kafka/client.ts'
import { chooseDecoder } from '../kafka/decoder.ts'
import { lanesOfTopic } from '../kafka/lanes.ts'
import { createMembership } from '../kafka/membership.ts'
import { groupName, topicName } from '../kafka/names.ts'
import { verifyTopicsForRole } from '../kafka/topics.ts'
import { limitBatchBytes } from '../kafka/wire/fetchedBatch.ts'
import { Worker, type WorkerListener } from '../runtime/worker.ts'
import { openDatabase } from '../sinks/openDatabase.ts'
import { persistently } from '../sinks/persistence.ts'
import { rebuild } from '../sinks/rebuild.ts'
import { ResultDatabase, type ResultDatabaseListener } from '../sinks/resultDatabase.ts'
import { SinkLane } from '../sinks/sinkLane.ts'
import { createSinkTaskFactory, type SinkTask } from '../tasks/sinkTask.ts'
import { createLogger, type Log, sampled, traceFields } from '../telemetry/log.ts'
import { openOtel } from '../telemetry/otel/openOtel.ts'
import type { Otel } from '../telemetry/otel/otel.ts'
import { SinkTelemetry } from '../telemetry/sinkTelemetry.ts'
import type { Tracing } from '../telemetry/tracing/tracing.ts'
import { readVersion } from '../version.ts'
import { levelsOf } from '../windows/levels.ts'
import type { CommandContext, CommandFile } from './command.ts'
import { openRoleLog } from './roleLog.ts'
import { untilSignalled } from './signals.ts'

const PRUNE_INTERVAL_MS = 60_000
/** A database that says nothing must not hold us up until we are killed: what it does not take, the next owner writes. */
const DRAIN_LIMIT_MS = 8_000

/** What one life of a sink is made of. */
type Parts = {
  readonly settings: Settings
  readonly log: Log
  readonly kafka: KafkaClient
  readonly reader: TopicReader
  readonly database: ResultDatabase
  readonly telemetry: SinkTelemetry
  readonly topic: string
}

/** `tidemark sink`: writes the results topic into a database, or fills an empty one. */
export const command: CommandFile = {
  define: sub => {
    sub
      .option('--rebuild', 'fill an empty database from the start of the topic, and exit')
      .option('--yes', 'with --rebuild: delete what the database holds first')
  },
  run: (context, options) => {
    if (options.rebuild === true) return runRebuild(context, options.yes === true)
    if (options.yes === true) throw new TidemarkError('usage', '--yes is for --rebuild: nothing else deletes')
    return runSink(context)
  },
}

async function runSink(context: CommandContext): Promise<number> {
  const settings = loadSettings(context.env, context.readFile)
  const log = openRoleLog(settings, 'sink')
  const telemetry = new SinkTelemetry({ settings, log, version: readVersion(context.readFile) })
  const signalled = untilSignalled()
  await telemetry.open()
  const { promise: failure, reject: fail } = Promise.withResolvers<never>()
  // Whoever waits for it is told; until somebody does it is nobody's.
  failure.catch(() => {})
  let parts: Parts | null = null
  let worker: Worker<SinkTask> | null = null
  let otel: Otel | null = null
  try {
    otel = await openSinkOtel(context, log)
    otel.tellMetrics(telemetry.metricSource())
    parts = await openParts(settings, log, telemetry)
    if (!(await prepare(parts, signalled))) return EXIT.done
    worker = createWorker(parts, otel.tracing, fail)
    const { topic, database } = parts
    const group = groupName(settings, 'sink')
    log.info('starting', { topic, group, generation: settings.generation, database: database.where })
    await Promise.race([worker.start(), signalled, failure])
    const pruning = setInterval(pruner(parts), PRUNE_INTERVAL_MS).unref()
    const signal = await Promise.race([signalled, failure])
    clearInterval(pruning)
    log.info('draining', { signal })
    telemetry.draining()
    const isDrained = await Promise.race([
      worker.drain().then(() => true),
      sleep(DRAIN_LIMIT_MS, false, { ref: false }),
    ])
    if (!isDrained) await worker.leave()
    log.info(isDrained ? 'drained' : 'left_undrained')
    return EXIT.done
  } catch (error) {
    log.fatal('ended', { err: error, exit_code: exitCodeOf(error) })
    await worker?.leave()
    throw error
  } finally {
    await parts?.database.close()
    await Promise.all([telemetry.close(), otel?.close()])
    void parts?.reader.close()
  }
}

function openSinkOtel({ env, readFile }: CommandContext, log: Log): Promise<Otel> {
  const onTrouble = (message: string) => log.warn('tracing_trouble', { message })
  return openOtel({ env, role: 'sink', version: readVersion(readFile), onTrouble })
}

async function openParts(settings: Settings, log: Log, telemetry: SinkTelemetry): Promise<Parts> {
  const quiet = sampled(log, 10_000)
  const kafkaLog = (level: 'warn', message: string, details: Readonly<Record<string, unknown>>) => {
    quiet.write(level, 'kafka_client', { message, ...details })
  }
  limitBatchBytes(settings.maxBatchBytes)
  chooseDecoder(settings.kafkaDecoder)
  await untilReachable(settings.kafka, kafkaLog, settings.kafkaWaitMs)
  const kafka = createKafka(settings.kafka, kafkaLog)
  await verifyTopicsForRole(kafka, settings, 'sink')
  const often = sampled(log)
  const on: ResultDatabaseListener = {
    up: () => telemetry.databaseUp(),
    down: error => telemetry.databaseDown(error),
    refused: (key, { message }, { partition, context = null }) => {
      telemetry.metrics.refusedResult()
      often.write('error', 'refused_result', { partition, window: key, reason: message, ...traceFields(context) })
    },
  }
  const database = new ResultDatabase(await openDatabase(settings), settings.generation, on)
  return {
    settings,
    log,
    kafka,
    reader: createTopicReader(kafka),
    database,
    telemetry,
    topic: topicName(settings, 'results'),
  }
}

/** Waits for the database as long as it takes. @returns false when a signal came first */
async function prepare({ settings, log, database }: Parts, signalled: Promise<string>): Promise<boolean> {
  const waiting = new AbortController()
  const isReady = persistently(() => database.prepare(levelsOf(settings)), waiting.signal).then(versions => {
    if (versions.length > 0) log.info('schema_applied', { versions, database: database.where })
    return true
  })
  isReady.catch(() => {})
  const done = await Promise.race([isReady, signalled.then(() => false)])
  if (!done) waiting.abort()
  return done
}

function createWorker(parts: Parts, tracing: Tracing | null, fail: (error: unknown) => void): Worker<SinkTask> {
  const { settings, kafka, reader, database, telemetry, topic } = parts
  const group = groupName(settings, 'sink')
  const lanes = new Map<number, SinkLane>()
  return new Worker<SinkTask>({
    factory: createSinkTaskFactory(topic, tracing !== null),
    flushIntervalMs: settings.flushIntervalMs,
    idleTimeoutMs: settings.idleTimeoutMs,
    flushMaxBytes: settings.flushMaxBytes,
    flushMaxEvents: 0,
    corruptBatches: 'wait',
    join: listener => createMembership({ kafka, groupId: group, lanes: lanesOfTopic(topic), settings, ...listener }),
    readCommit: async partition => (await lanes.get(partition)?.readCommit()) ?? null,
    readLogRanges: async () => {
      const ranges = await reader.readLogRanges(topic)
      telemetry.looked(ranges)
      return ranges
    },
    createDelivery: (partition, commitThroughGroup) => {
      const lane = new SinkLane({
        database,
        at: { topic, partition },
        commitThroughGroup,
        onWritten: (written, results, ms, trace) => telemetry.metrics.wrote(written, results, ms / 1000, trace),
      })
      lanes.set(partition, lane)
      return tracing?.delivery(lane, { topic, partition, group, topicOf: null }) ?? lane
    },
    on: listen(parts, fail),
  })
}

function listen({ log, telemetry, topic }: Parts, fail: (error: unknown) => void): WorkerListener {
  const often = sampled(log)
  return {
    assigned: (epoch, partitions) => {
      log.info('assigned', { epoch, partitions })
      telemetry.assigned(partitions)
    },
    restored: (partition, position, committed) => {
      log.info('restored', { partition, position, committed })
      telemetry.restored(partition, position, committed)
    },
    live: partition => telemetry.live(partition),
    delivered: (partition, { commit: { offset } }, ms, trace) => {
      log.debug('flushed', { partition, offset, ms, ...traceFields(trace) })
      telemetry.delivered(partition, offset, ms)
    },
    notice: (partition, { kind, ...details }, trace) => {
      if (kind === 'foreign_record') telemetry.metrics.foreignRecord()
      often.write('warn', kind, { topic, partition, ...traceFields(trace), ...details })
    },
    corrupt: (partition, { from, to, reason }) => {
      telemetry.corrupt(partition, from)
      often.write('error', 'corrupt_batch', { partition, from, to, reason, waiting: true })
    },
    failed: (partition, error, trace) => {
      const { code, message } = error instanceof TidemarkError ? error : { code: 'unknown', message: String(error) }
      telemetry.failed(partition, code)
      // That the database is away was said once, and is tried again for each partition.
      const level = code === 'unreachable' && telemetry.isDatabaseDown ? 'debug' : 'warn'
      often.write(level, 'restoring', { partition, code, reason: message, ...traceFields(trace) })
    },
    fatal: fail,
  }
}

/** Deletes what is past its retention, one run at a time. What fails is tried again at the next run. */
function pruner({ settings, log, database, telemetry }: Parts): () => void {
  let running = false
  return () => {
    if (running || telemetry.isDatabaseDown) return
    running = true
    database
      .prune(settings.resultRetention)
      .then(windows => {
        telemetry.metrics.pruned(windows)
        if (windows > 0) log.info('pruned', { windows })
      })
      .catch(error => log.warn('prune_failed', { reason: error instanceof Error ? error.message : String(error) }))
      .finally(() => {
        running = false
      })
  }
}

async function runRebuild(context: CommandContext, yes: boolean): Promise<number> {
  const settings = loadSettings(context.env, context.readFile)
  if (settings.databaseUrl === null && settings.databaseDir === null) {
    throw new TidemarkError('usage', '--rebuild needs DATABASE_URL or DATABASE_DIR: a database in memory ends with us')
  }
  const log = createLogger(settings, { role: 'sink' }, { to: 'stderr' })
  const telemetry = new SinkTelemetry({ settings, log, version: readVersion(context.readFile) })
  const { reader, database, topic } = await openParts(settings, log, telemetry)
  try {
    await persistently(() => database.migrate())
    const held = await persistently(() => database.countWindows())
    if (held > 0 && !yes) {
      const message = `database ${database.where} holds ${held} windows; --yes deletes them first`
      throw new TidemarkError('usage', message)
    }
    await persistently(() => database.clear())
    await persistently(() => database.prepare(levelsOf(settings)))
    const often = sampled(log)
    const onForeign = (partition: number, offset: number) => {
      often.write('warn', 'foreign_record', { topic, partition, offset })
    }
    const { records, foreign } = await rebuild({ database, reader, topic, maxBytes: settings.flushMaxBytes, onForeign })
    often.flush()
    await persistently(() => database.prune(settings.resultRetention))
    const windows = await persistently(() => database.countWindows())
    const skipped = foreign === 0 ? '' : `, ${foreign} of them foreign and skipped`
    context.stdout.write(`${windows} windows in ${database.where}, from ${records} records of ${topic}${skipped}\n`)
    return EXIT.done
  } finally {
    await database.close()
    void reader.close()
  }
}
