import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { RoleLine, RoleProcess } from '../src/dev/roleProcess.ts'
import { groupName } from '../src/kafka/names.ts'
import { decodeAggregateCommit } from '../src/tasks/aggregateCommit.ts'
import type { Lab, Pipeline } from './lab.ts'
import { type ProcessUsage, watchOthers, watchProcess } from './proc.ts'
import type { Source } from './sources.ts'
import { median } from './statistics.ts'
import type { ProbeLine } from './tools/probe.ts'

export type Delivery = 'at-least-once' | 'exactly-once'
export type Work = 'counting' | 'enriching'
export const WORKS: readonly Work[] = ['counting', 'enriching']
export const DELIVERIES: readonly Delivery[] = ['at-least-once', 'exactly-once']

/** How one aggregator has read a topic from its start to its end. */
export type Drain = {
  readonly events: number
  /** From the assignment of the partitions to the last event counted: what ConsumerPerformance calls its fetch time. */
  readonly seconds: number
  /** CPU of the whole process in that time. */
  readonly cpuSeconds: number
  /** From the first slice counted to the last. */
  readonly readingSeconds: number
  /** From the assignment until the group's commits stood at the ends of the log: FLUSH_INTERVAL is in it. */
  readonly committedSeconds: number
  /** From the start of the process to the first event counted, and how much of that the group took to form. */
  readonly startSeconds: number
  readonly joinSeconds: number
  /** As seen every 100 ms from the start of the process to the commit. */
  readonly usages: readonly ProcessUsage[]
  /** Cores that programs outside of this run took meanwhile. */
  readonly otherCores: number
  /** Modules of OpenTelemetry in the process. */
  readonly telemetryModules: number
  /** The assignment and the last event counted, in microseconds of the clock that V8's profiles tell. */
  readonly countingUs: { readonly from: number; readonly to: number }
}

export type DrainOptions = {
  readonly work: Work
  readonly delivery: Delivery
  /** More settings, and variables of the process, as OTEL_*. */
  readonly given?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** Where the aggregator leaves its CPU profile. */
  readonly profileFolder?: string | null
  /** Called while it reads, with what it has to be called again for an end. */
  readonly meanwhile?: (role: RoleProcess) => () => void
}

const PROBE = pathToFileURL(`${import.meta.dirname}/tools/probe.ts`).href
const LOOK_MS = 50
const WATCH_MS = 100
const DRAIN_LIMIT_MS = 600_000
const MIB = 1024 * 1024
let drains = 0

/** Lets one new aggregator, with a group and partials of its own, read the source, and checks that it has counted all. */
export async function drain(lab: Lab, source: Source, options: DrainOptions): Promise<Drain> {
  const { work, delivery, given, env = {}, profileFolder = null, meanwhile } = options
  const pipeline = await lab.pipeline(`${work}-${++drains}`, {
    ...source.given,
    DELIVERY: delivery,
    ENRICHED_ENABLED: String(work === 'enriching'),
    ...given,
  })
  const { events } = source.spec
  const lines = new Lines()
  const spawnedAt = performance.timeOrigin + performance.now()
  const role = lab.role(pipeline.settings.consumerGroup, 'aggregate', pipeline, line => lines.hear(line), {
    NODE_OPTIONS: nodeOptions(profileFolder),
    BENCH_EVENTS: String(events),
    ...env,
  })
  const watch = watchProcess(role.pid, WATCH_MS)
  const others = watchOthers([role.pid, lab.kafka.pid ?? -1])
  const endMeanwhile = meanwhile?.(role)
  try {
    const counted = (await within(
      role.line(({ event }) => event === 'bench_counted'),
      `count ${source.topic}`,
    )) as unknown as ProbeLine
    await untilCommitted(lab, pipeline)
    const committedSeconds = (performance.timeOrigin + performance.now() - counted.assigned_at) / 1000
    await checkCounted(lab, pipeline, events)
    return {
      events,
      ...figuresOf(counted, spawnedAt, lines),
      committedSeconds,
      usages: watch.stop(),
      otherCores: others.stop(),
    }
  } catch (cause) {
    throw new Error(`${work}, ${delivery}: the aggregator's last line was ${JSON.stringify(lines.last)}`, { cause })
  } finally {
    endMeanwhile?.()
    watch.stop()
    await lab.endRole(role)
  }
}

function figuresOf(counted: ProbeLine, spawnedAt: number, lines: Lines) {
  return {
    seconds: (counted.counted_at - counted.assigned_at) / 1000,
    cpuSeconds: counted.cpu_seconds,
    readingSeconds: (counted.counted_at - counted.first_at) / 1000,
    startSeconds: (counted.first_at - spawnedAt) / 1000,
    joinSeconds: (counted.assigned_at - lines.startingAt) / 1000,
    telemetryModules: counted.telemetry_modules,
    countingUs: { from: counted.assigned_us, to: counted.counted_us },
  }
}

function nodeOptions(profileFolder: string | null): string {
  const profile = profileFolder === null ? '' : ` --cpu-prof --cpu-prof-dir=${profileFolder}`
  return `--import=${PROBE}${profile}`
}

/** What is to be kept of a role's log. */
class Lines {
  /** When it said that its checks are done and it joins the group, epoch milliseconds. */
  startingAt = Number.NaN
  /** Its folder goes with this process: an error has to bring along why a role ended. */
  last: RoleLine = {}

  hear(line: RoleLine): void {
    this.last = line
    if (line.event === 'starting') this.startingAt = Date.parse(String(line.time))
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const end = new AbortController()
  const late = sleep(DRAIN_LIMIT_MS, undefined, { signal: end.signal }).then(() => {
    throw new Error(`it took more than ${DRAIN_LIMIT_MS / 1000} s to ${what}`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    end.abort()
    late.catch(() => {})
  }
}

/** The truest sign of lag 0 is the one that others see: the group's commits stand at the ends of the logs. */
export async function untilCommitted(lab: Lab, { settings }: Pipeline): Promise<void> {
  const topic = settings.topics.source
  const group = groupName(settings, 'aggregate')
  const ranges = await lab.reader.readLogRanges(topic)
  const deadline = performance.now() + DRAIN_LIMIT_MS
  while (performance.now() < deadline) {
    const commits = await Promise.all(ranges.map((_, partition) => lab.reader.readCommit(group, topic, partition)))
    if (commits.every((commit, partition) => (commit?.offset ?? 0) >= (ranges[partition]?.end ?? 0))) return
    await sleep(LOOK_MS)
  }
  throw new Error(`the aggregator has not drained ${topic} within ${DRAIN_LIMIT_MS / 1000} s`)
}

/** The totals ride in the commits: a fast aggregator that does not count every event is none. */
export async function checkCounted(lab: Lab, { settings }: Pipeline, events: number): Promise<void> {
  const topic = settings.topics.source
  const group = groupName(settings, 'aggregate')
  const ranges = await lab.reader.readLogRanges(topic)
  let accepted = 0
  for (const partition of ranges.keys()) {
    const commit = await lab.reader.readCommit(group, topic, partition)
    // A partition that holds nothing needs no commit.
    if (commit !== null) accepted += decodeAggregateCommit(commit).totals.accepted
  }
  if (accepted !== events)
    throw new Error(`the aggregator has accepted ${accepted} of the ${events} events of ${topic}`)
}

export const rateOf = ({ events, seconds }: { readonly events: number; readonly seconds: number }) => events / seconds

/** CPU microseconds an event. */
export const costOf = ({ events, cpuSeconds }: { readonly events: number; readonly cpuSeconds: number }) =>
  (cpuSeconds * 1e6) / events

export const peakMiB = ({ usages }: Drain) => (usages.at(-1)?.peakBytes ?? Number.NaN) / MIB

export const medianMiB = ({ usages }: Drain) => median(usages.map(({ residentBytes }) => residentBytes / MIB))

export const othersText = (cores: number) => `other programs took ${cores.toFixed(1)} cores meanwhile`
