import type { KubernetesSettings, Settings } from '../config/settings.ts'
import { decodeAggregateCommit } from '../tasks/aggregateCommit.ts'
import { decodeReduceCommit } from '../tasks/reduceCommit.ts'
import type { Log } from '../telemetry/log.ts'
import type { RejectionAlarm } from '../telemetry/rejections.ts'
import type { RoleListener } from '../telemetry/roleTelemetry.ts'
import { type Access, podAccess } from './access.ts'
import type { KubernetesApi } from './api.ts'
import { PodTies } from './podTies.ts'
import { refusalReport } from './reports.ts'

/** What a role's process is to its cluster. Nothing of it throws, waits for long, or touches what is counted. */
export type Cluster = {
  /** What the worker tells, under the names and with the arguments of its listener. */
  readonly on: Pick<RoleListener, 'assigned' | 'delivered' | 'notice' | 'corrupt'>
  /** The share of rejected events of a partition has passed its limit, or is below it again. */
  alarm(alarm: RejectionAlarm): void
  /** Keeps the limit of the aggregators' ScaledObject, where there is one; nothing to any other role. @param countPartitions of the source topic; null without one */
  keepLimit(countPartitions: () => Promise<number | null>): void
  /** Why the process is about to end. To be followed by `close`. */
  ended(error: unknown): void
  /** Tells what waits to be told, releases the Lease, and ends all within seconds. */
  close(): Promise<void>
}

export type KubernetesOptions = {
  readonly settings: Pick<Settings, 'kubernetes' | 'topics'>
  readonly role: 'aggregate' | 'reduce'
  /** What a partition is called in Events. */
  readonly nameOf: (partition: number) => string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Pick<Log, 'write'>
}

/** A start has better things to do: loading the client takes half a second of a core. */
const OPEN_AFTER_MS = 5_000
/** How long the end of a process waits for that, where it has something to tell: a core may be throttled. */
const OPEN_LIMIT_MS = 5_000
/** After that, how long the end of a process waits for the cluster. */
const TELL_LIMIT_MS = 2_000

const NO_CLUSTER: Cluster = {
  on: { assigned: () => {}, delivered: () => {}, notice: () => {}, corrupt: () => {} },
  alarm: () => {},
  keepLimit: () => {},
  ended: () => {},
  close: async () => {},
}

/**
 * Opens what a role asks of its cluster, or nothing when the settings name none: then no client is loaded. Else it
 * is loaded some seconds after the start, or at the end if there is something to tell; what comes before is kept for it.
 *
 * @param accessOf how the API server is reached; as a pod does by default
 */
export function openKubernetes(
  options: KubernetesOptions,
  accessOf: () => Access = () => podAccess(options.env),
): Cluster {
  const { kubernetes } = options.settings
  if (kubernetes === null) return NO_CLUSTER
  const ties = new PodTies({
    pod: kubernetes,
    role: options.role,
    sourceTopic: options.settings.topics.source,
    nameOf: options.nameOf,
    replayFromOf: commit =>
      (options.role === 'aggregate' ? decodeAggregateCommit : decodeReduceCommit)(commit).replayFrom,
    log: options.log,
  })
  let opening: Promise<KubernetesApi | null> | null = null
  const open = () => {
    opening ??= openApi(kubernetes, accessOf, options.log).then(api => {
      if (api !== null) ties.begin(api)
      return api
    })
    return opening
  }
  const timer = setTimeout(open, OPEN_AFTER_MS).unref()
  return {
    on: ties.on,
    alarm: alarm => ties.alarm(alarm),
    keepLimit: countPartitions => {
      if (options.role === 'aggregate') ties.keepLimit(countPartitions)
    },
    ended: error => ties.report(refusalReport(error)),
    close: async () => {
      clearTimeout(timer)
      if (ties.hasNew) await within(OPEN_LIMIT_MS, open())
      await within(TELL_LIMIT_MS, ties.end())
      void opening?.then(api => api?.close())
    },
  }
}

async function openApi(
  { namespace }: KubernetesSettings,
  accessOf: () => Access,
  log: Pick<Log, 'write'>,
): Promise<KubernetesApi | null> {
  try {
    const { openClient } = await import('./client.ts')
    return await openClient(accessOf(), namespace)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    log.write('warn', 'kubernetes_off', { reason })
    return null
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work, promise])
  clearTimeout(timer)
}
