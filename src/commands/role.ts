import { Aggregate, type AggregateLimits } from '../aggregate/aggregate.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { EXIT, exitCodeOf } from '../errors.ts'
import { OPTIONAL_FIELDS } from '../events/codes.ts'
import { createTopicReader, type TopicReader } from '../kafka/admin.ts'
import { createKafka, type KafkaClient, untilReachable } from '../kafka/client.ts'
import { chooseDecoder } from '../kafka/decoder.ts'
import type { Lanes } from '../kafka/lanes.ts'
import { createMembership } from '../kafka/membership.ts'
import { groupName, outputTopicNames, topicName } from '../kafka/names.ts'
import { topicOf } from '../kafka/outgoing.ts'
import { connectFetching } from '../kafka/sockets.ts'
import { verifyTopicsForRole } from '../kafka/topics.ts'
import { limitBatchBytes } from '../kafka/wire/fetchedBatch.ts'
import { type Cluster, openKubernetes } from '../kubernetes/openKubernetes.ts'
import type { Delivery } from '../runtime/ports.ts'
import { Worker } from '../runtime/worker.ts'
import type { Commit, Output, Task, TaskFactory } from '../tasks/task.ts'
import { type Log, sampled } from '../telemetry/log.ts'
import { openOtel } from '../telemetry/otel/openOtel.ts'
import type { Otel } from '../telemetry/otel/otel.ts'
import { RoleTelemetry } from '../telemetry/roleTelemetry.ts'
import { createStatistics } from '../telemetry/statistics.ts'
import type { TaskGauges } from '../telemetry/taskGauges.ts'
import type { Tracing } from '../telemetry/tracing/tracing.ts'
import { readVersion } from '../version.ts'
import type { CommandContext } from './command.ts'
import { listen } from './roleListener.ts'
import { openRoleLog } from './roleLog.ts'
import { untilSignalled } from './signals.ts'

/** What is particular to one of the two stages; all else they share. */
export type RoleSpec<T extends Task> = {
  readonly stage: 'aggregate' | 'reduce'
  readonly flushIntervalMs: (settings: Settings) => number
  /** Events waiting of one partition or window that are told at once; 0 leaves it to time and bytes. */
  readonly flushMaxEvents: (settings: Settings) => number
  /** Records taken in a second by one process; 0 is no limit. */
  readonly maxRecordsPerSecond: (settings: Settings) => number
  /** What the stage reads. */
  readonly lanes: (settings: Settings) => Lanes
  /** What a lane is called in logs and metrics; its number by default. */
  readonly nameOf?: (settings: Settings) => (lane: number) => number | string
  readonly open: (context: RoleContext) => Promise<RoleParts<T>>
  /** Called when a partition has no commit, before it is taken for a new one. */
  readonly onNoCommit?: (reader: TopicReader, settings: Settings) => Promise<void>
  /** The event time that a task has reached, epoch milliseconds; null for one without a clock. */
  readonly clockMs: (task: T) => number | null
  /** What a task tells of itself, for metrics; asked for about once a second. */
  readonly gauges: (task: T) => TaskGauges
  /** Adds what the task holds in memory to the periodic statistics, and tells how many records it has processed. */
  readonly survey: (task: T, into: Aggregate) => number
}

export type RoleContext = {
  readonly settings: Settings
  readonly kafka: KafkaClient
  readonly limits: AggregateLimits
  readonly log: Log
  /** Whether tracing is on. */
  readonly traced: boolean
}

/** What a stage brings to the worker. */
export type RoleParts<T extends Task> = {
  readonly factory: TaskFactory<T>
  readonly createDelivery: (partition: number, commitThroughGroup: (commit: Commit) => Promise<void>) => Delivery
  readonly close: () => Promise<void>
}

export function aggregateLimits(settings: Settings): AggregateLimits {
  return {
    dimensionValues: settings.maxDimensionValues,
    qualityFields: OPTIONAL_FIELDS.length,
    userSample: settings.userSampleSize,
    sessionGapMs: settings.sessionGapMs,
  }
}

/**
 * One role's whole life: checks, join, work until a signal or a fault, drain, leave.
 * @returns 0 when drained
 * @throws TidemarkError whose exit code tells what to do; see exitCodeOf
 */
export async function runRole<T extends Task>(context: CommandContext, spec: RoleSpec<T>): Promise<number> {
  const settings = loadSettings(context.env, context.readFile)
  const log = openRoleLog(settings, spec.stage)
  const nameOf = spec.nameOf?.(settings) ?? (lane => lane)
  // First and last: a role that refuses to start tells its cluster, too.
  const cluster = openKubernetes({
    settings,
    role: spec.stage,
    nameOf: lane => String(nameOf(lane)),
    env: context.env,
    log,
  })
  let otel: Otel | null = null
  try {
    otel = await openOtel({
      env: context.env,
      role: spec.stage,
      version: readVersion(context.readFile),
      onTrouble: message => log.warn('tracing_trouble', { message }),
    })
    return await runStage({ context, spec, settings, log, nameOf, cluster, otel })
  } catch (error) {
    cluster.ended(error)
    throw error
  } finally {
    await Promise.all([cluster.close(), otel?.close()])
  }
}

type StageParts<T extends Task> = {
  readonly context: CommandContext
  readonly spec: RoleSpec<T>
  readonly settings: Settings
  readonly log: Log
  readonly nameOf: (lane: number) => number | string
  readonly cluster: Cluster
  readonly otel: Otel
}

async function runStage<T extends Task>(stage: StageParts<T>): Promise<number> {
  const { context, spec, settings, log, nameOf, cluster, otel } = stage
  const { tracing } = otel
  const quiet = sampled(log, 10_000)
  limitBatchBytes(settings.maxBatchBytes)
  chooseDecoder(settings.kafkaDecoder)
  const { kafka, fetching } = await openKafka(settings, quiet.write)
  await verifyTopicsForRole(kafka, settings, spec.stage)
  const lanes = spec.lanes(settings)
  const groupId = groupName(settings, spec.stage)
  const maxRecordsPerSecond = spec.maxRecordsPerSecond(settings)
  const reader = createTopicReader(kafka)
  cluster.keepLimit(() => reader.partitionCount(topicName(settings, 'source')))
  const parts = await spec.open({ settings, kafka, limits: aggregateLimits(settings), log, traced: tracing !== null })

  const { promise: failure, reject: fail } = Promise.withResolvers<never>()
  const telemetry = new RoleTelemetry({
    settings,
    role: spec.stage,
    version: readVersion(context.readFile),
    nameOf: lane => String(nameOf(lane)),
    log,
    onAlarm: cluster.alarm,
    readings: () =>
      worker.views().map(({ partition, task, lag }) => {
        return { partition, position: task.position, lag, clockMs: spec.clockMs(task), task: spec.gauges(task) }
      }),
  })
  const worker = new Worker<T>({
    factory: parts.factory,
    flushIntervalMs: spec.flushIntervalMs(settings),
    idleTimeoutMs: settings.idleTimeoutMs,
    flushMaxBytes: settings.flushMaxBytes,
    flushMaxEvents: spec.flushMaxEvents(settings),
    maxRecordsPerSecond,
    corruptBatches: settings.corruptBatches,
    join: listener => createMembership({ kafka: fetching, groupId, lanes, settings, maxRecordsPerSecond, ...listener }),
    readCommit: async lane => {
      const { topic, partition } = lanes.placeOf(lane)
      const commit = await reader.readCommit(groupId, topic, partition)
      if (commit === null) await spec.onNoCommit?.(reader, settings)
      return commit
    },
    readLogRanges: async () => (await Promise.all(lanes.topics.map(topic => reader.readLogRanges(topic)))).flat(),
    createDelivery: tracing === null ? parts.createDelivery : traced(tracing, parts.createDelivery, stage),
    on: listen({ log, telemetry: telemetry.on, cluster: cluster.on, nameOf, fail }),
  })
  await telemetry.open()
  otel.tellMetrics(telemetry.metricSource())
  const statistics = reportStatistics(settings, log, worker, spec)
  try {
    log.info('starting', {
      topics: lanes.topics,
      group: groupId,
      generation: settings.generation,
      window_size_ms: settings.windowSizeMs,
    })
    await workUntilDrained(worker, telemetry, failure, log)
    return EXIT.done
  } catch (error) {
    log.fatal('ended', { err: error, exit_code: exitCodeOf(error) })
    await worker.leave()
    throw error
  } finally {
    clearInterval(statistics)
    quiet.flush()
    await telemetry.close()
    // The process ends next: connections that do not close at once are closed by that.
    void reader.close()
    void parts.close()
  }
}

/** The stage's deliveries, each with a span of each capture. */
function traced<T extends Task>(
  tracing: Tracing,
  createDelivery: RoleParts<T>['createDelivery'],
  { spec, settings }: StageParts<T>,
): RoleParts<T>['createDelivery'] {
  const lanes = spec.lanes(settings)
  const group = groupName(settings, spec.stage)
  const topicNames = outputTopicNames(settings)
  return (lane, commit) => {
    const place = { ...lanes.placeOf(lane), group, topicOf: (record: Output) => topicOf(record, topicNames) }
    return tracing.delivery(createDelivery(lane, commit), place)
  }
}

async function openKafka(
  settings: Settings,
  write: Log['write'],
): Promise<{ readonly kafka: KafkaClient; readonly fetching: KafkaClient }> {
  const kafkaLog = (level: 'warn', message: string, details: Readonly<Record<string, unknown>>) => {
    write(level, 'kafka_client', { message, ...details })
  }
  await untilReachable(settings.kafka, kafkaLog, settings.kafkaWaitMs)
  return {
    kafka: createKafka(settings.kafka, kafkaLog),
    fetching: createKafka(settings.kafka, kafkaLog, { socketFactory: connectFetching }),
  }
}

/** @throws what `failure` rejects with */
async function workUntilDrained<T extends Task>(
  worker: Worker<T>,
  telemetry: RoleTelemetry,
  failure: Promise<never>,
  log: Log,
): Promise<void> {
  const signalled = untilSignalled()
  await Promise.race([worker.start(), signalled, failure])
  const signal = await Promise.race([signalled, failure])
  log.info('draining', { signal })
  telemetry.draining()
  await worker.drain()
  log.info('drained')
}

function reportStatistics<T extends Task>(
  settings: Settings,
  log: Log,
  worker: Worker<T>,
  spec: RoleSpec<T>,
): NodeJS.Timeout | undefined {
  if (settings.statsIntervalMs === 0) return undefined
  const read = createStatistics(Date.now())
  return setInterval(() => {
    const held = new Aggregate(aggregateLimits(settings))
    let processed = 0
    let lag = 0
    const views = worker.views()
    for (const view of views) {
      processed += spec.survey(view.task, held)
      lag += view.lag ?? 0
    }
    log.info('statistics', read({ processed, lag, partitions: views.length, held }, Date.now()))
  }, settings.statsIntervalMs)
}
