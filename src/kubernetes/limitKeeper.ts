import type { Log } from '../telemetry/log.ts'
import { HTTP, KINDS, type KubernetesApi } from './api.ts'
import { type LimitChange, limitChange } from './scaleLimit.ts'
import type { Troubles } from './troubles.ts'

export type LimitKeeperOptions = {
  readonly api: KubernetesApi
  readonly troubles: Troubles
  readonly log: Pick<Log, 'write'>
  readonly scaledObject: string
  /** Of the source topic; null when there is no such topic. */
  readonly countPartitions: () => Promise<number | null>
  /** Asked again right before a change: a leader that was slow may no longer be one. */
  readonly leads: () => boolean
  readonly onChange: (change: LimitChange) => void
}

/** One look at the topic and the ScaledObject, and the change that follows. Never rejects. */
export async function keepLimit(options: LimitKeeperOptions): Promise<void> {
  const { api, troubles, log, scaledObject, leads, onChange } = options
  const kind = KINDS.scaledObjects
  let partitions: number | null
  try {
    partitions = await options.countPartitions()
  } catch {
    // The brokers are away: the role itself tells of that.
    return
  }
  const answer = await api.get(kind, scaledObject)
  if (!answer.ok) return troubles.refused('get', kind, answer)
  troubles.worked('get', kind)
  const change = limitChange(answer.object, partitions)
  if (change === null || !leads()) return
  const { resourceVersion } = answer.object.metadata as { resourceVersion: string }
  // Only if it is still as we have read it: an operator may be changing it at this moment.
  const patch = { metadata: { resourceVersion }, spec: { maxReplicaCount: change.to } }
  const patched = await api.patch(kind, scaledObject, patch)
  if (patched.ok) {
    troubles.worked('patch', kind)
    log.write('info', 'scaling_limit_changed', { scaled_object: scaledObject, ...change })
    onChange(change)
  } else if (patched.status !== HTTP.conflict) troubles.refused('patch', kind, patched)
}
