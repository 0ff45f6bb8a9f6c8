import type { Condition, PodStatus, ScalerStatus, WorkloadStatus } from '../status/report.ts'

/** The parts of the API server's JSON that a view reads. */
export type ManifestList<T> = { readonly items: T[] }

type Metadata = {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
}

export type Workload = {
  readonly metadata: Metadata
  readonly spec?: { readonly replicas?: number }
  readonly status?: { readonly replicas?: number; readonly readyReplicas?: number; readonly updatedReplicas?: number }
}

type ContainerState = {
  readonly restartCount: number
  readonly state?: {
    readonly waiting?: { readonly reason?: string }
    readonly terminated?: { readonly reason?: string }
  }
}

export type Pod = {
  readonly metadata: Metadata
  readonly spec?: {
    readonly nodeName?: string
    readonly containers?: readonly {
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
    }[]
  }
  readonly status?: {
    readonly phase?: string
    readonly reason?: string
    readonly podIP?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[]
    readonly containerStatuses?: readonly ContainerState[]
    readonly initContainerStatuses?: readonly ContainerState[]
  }
}

type RawCondition = { type: string; status?: string; reason?: string; message?: string }

export type Hpa = {
  readonly metadata: Metadata
  readonly spec: {
    readonly scaleTargetRef: { readonly name: string }
    readonly minReplicas?: number
    readonly maxReplicas: number
  }
  readonly status?: {
    readonly currentReplicas?: number
    readonly desiredReplicas?: number
    readonly conditions?: readonly RawCondition[]
  }
}

export type ScaledObject = {
  readonly metadata: Metadata
  readonly spec: {
    readonly scaleTargetRef: { readonly name: string }
    readonly minReplicaCount?: number
    readonly maxReplicaCount?: number
    readonly triggers: readonly { readonly type: string; readonly metadata?: Readonly<Record<string, string>> }[]
  }
  readonly status?: {
    readonly hpaName?: string
    readonly pausedReplicaCount?: number
    readonly conditions?: readonly RawCondition[]
  }
}

const COMPONENT = 'app.kubernetes.io/component'
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'
const DEFAULT_PORT = 8080
const PAUSED = 'autoscaling.keda.sh/paused'
const PAUSED_REPLICAS = 'autoscaling.keda.sh/paused-replicas'
/** KEDA's own defaults. */
const KEDA_MIN = 0
const KEDA_MAX = 100

export function workloadOf({ metadata, spec, status }: Workload): WorkloadStatus {
  return {
    name: metadata.name,
    component: metadata.labels?.[COMPONENT] ?? '',
    wanted: spec?.replicas ?? 1,
    current: status?.replicas ?? 0,
    ready: status?.readyReplicas ?? 0,
    updated: status?.updatedReplicas ?? 0,
  }
}

export function podOf({ metadata, spec, status }: Pod): PodStatus {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True'
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  const cost = metadata.annotations?.[DELETION_COST]
  return {
    name: metadata.name,
    component: metadata.labels?.[COMPONENT] ?? '',
    phase: status?.phase ?? 'Unknown',
    ready,
    terminating: metadata.deletionTimestamp !== undefined,
    restarts: containers.reduce((sum, { restartCount }) => sum + restartCount, 0),
    since: metadata.creationTimestamp === undefined ? null : new Date(metadata.creationTimestamp).toISOString(),
    node: spec?.nodeName ?? null,
    ip: status?.podIP ?? null,
    deletionCost: cost !== undefined && /^-?\d{1,10}$/.test(cost) ? Number(cost) : null,
    reason: ready ? null : reasonOf(status, containers),
  }
}

/** The port that is named `http`, else the one that every role has by default. */
export function portOf({ spec }: Pod): number {
  const ports = (spec?.containers ?? []).flatMap(container => container.ports ?? [])
  return ports.find(({ name }) => name === 'http')?.containerPort ?? DEFAULT_PORT
}

function reasonOf(status: Pod['status'], containers: readonly ContainerState[]): string | null {
  for (const { state } of containers) {
    const reason =
      state?.waiting?.reason ?? (state?.terminated?.reason === 'Completed' ? null : state?.terminated?.reason)
    if (reason) return reason
  }
  const unscheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (unscheduled?.status === 'False') return unscheduled.reason ?? 'Unschedulable'
  return status?.reason ?? null
}

/**
 * Who scales the workloads: each ScaledObject with the HPA that KEDA has made for it, then the HPAs of their own.
 * @param targets the Deployments that are ours
 */
export function scalersOf(
  scaledObjects: readonly ScaledObject[],
  hpas: readonly Hpa[],
  targets: ReadonlySet<string>,
): ScalerStatus[] {
  const ours = scaledObjects.filter(({ spec }) => targets.has(spec.scaleTargetRef.name))
  const made = new Set<Hpa>()
  const byKeda = ours.map(object => {
    const name = object.status?.hpaName ?? `keda-hpa-${object.metadata.name}`
    const hpa = hpas.find(({ metadata }) => metadata.name === name)
    if (hpa !== undefined) made.add(hpa)
    return scaledObjectOf(object, hpa)
  })
  const plain = hpas.filter(hpa => !made.has(hpa) && targets.has(hpa.spec.scaleTargetRef.name)).map(hpaOf)
  return [...byKeda, ...plain]
}

function scaledObjectOf({ metadata, spec, status }: ScaledObject, hpa: Hpa | undefined): ScalerStatus {
  const trigger = spec.triggers.find(({ type }) => type === 'kafka' || type === 'apache-kafka')
  const threshold = Number(trigger?.metadata?.lagThreshold ?? Number.NaN)
  return {
    kind: 'ScaledObject',
    name: metadata.name,
    target: spec.scaleTargetRef.name,
    min: spec.minReplicaCount ?? KEDA_MIN,
    max: spec.maxReplicaCount ?? KEDA_MAX,
    current: hpa?.status?.currentReplicas ?? null,
    desired: hpa?.status?.desiredReplicas ?? null,
    paused: pausedOf(metadata.annotations ?? {}),
    lagThreshold: Number.isFinite(threshold) ? threshold : null,
    conditions: [...conditionsOf(status?.conditions), ...conditionsOf(hpa?.status?.conditions)],
  }
}

function pausedOf(annotations: Readonly<Record<string, string>>): string | null {
  const replicas = annotations[PAUSED_REPLICAS]
  if (replicas !== undefined) return `at ${replicas} replicas`
  return annotations[PAUSED] === 'true' ? 'as it is' : null
}

function hpaOf({ metadata, spec, status }: Hpa): ScalerStatus {
  return {
    kind: 'HorizontalPodAutoscaler',
    name: metadata.name,
    target: spec.scaleTargetRef.name,
    min: spec.minReplicas ?? 1,
    max: spec.maxReplicas,
    current: status?.currentReplicas ?? null,
    desired: status?.desiredReplicas ?? null,
    paused: null,
    lagThreshold: null,
    conditions: conditionsOf(status?.conditions),
  }
}

function conditionsOf(conditions: readonly RawCondition[] = []): Condition[] {
  return conditions.map(({ type, status = 'Unknown', reason = '', message = '' }) => ({
    type,
    status,
    reason,
    message,
  }))
}
