import type { ApiObject } from './api.ts'

/** On a ScaledObject, `fixed`: its maxReplicaCount is meant as it is. The chart sets it where its user set a cap. */
export const MAX_REPLICAS_RULE = 'tidemark.dev/max-replicas'

export type LimitChange = { readonly from: number; readonly to: number }

/** KEDA's own default. */
const DEFAULT_MAX_REPLICAS = 100

/**
 * What `spec.maxReplicaCount` has to become so that there can be one aggregator for each partition and none that would
 * own nothing; null when it is right as it is. An object that carries the annotation, with `fixed` or a value that we do
 * not know, is left alone, and none is set below its own minReplicaCount, which KEDA would refuse.
 *
 * @param partitions of the source topic; null when there is none, which decides nothing
 */
export function limitChange(scaledObject: ApiObject, partitions: number | null): LimitChange | null {
  if (partitions === null || partitions < 1) return null
  const { metadata, spec } = scaledObject as {
    metadata?: { annotations?: Record<string, string> }
    spec?: { minReplicaCount?: number; maxReplicaCount?: number }
  }
  if (metadata?.annotations?.[MAX_REPLICAS_RULE] !== undefined) return null
  const from = spec?.maxReplicaCount ?? DEFAULT_MAX_REPLICAS
  const to = Math.max(partitions, spec?.minReplicaCount ?? 0)
  return from === to ? null : { from, to }
}
