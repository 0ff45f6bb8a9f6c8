import { type Answer, type ApiObject, HTTP, KINDS, type KubernetesApi } from './api.ts'
import { LeaseCandidate, type LeaseRecord, type LeaseTimes } from './lease.ts'
import type { Troubles } from './troubles.ts'

export type ElectorOptions = {
  readonly api: KubernetesApi
  readonly troubles: Troubles
  readonly lease: string
  /** Unique among the candidates: the pod's name. */
  readonly candidate: string
  readonly times: LeaseTimes
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

type Lease = {
  readonly metadata: { readonly resourceVersion: string }
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly leaseTransitions?: number
  }
}

/** Keeps one candidate in the race for a Lease of the namespace. */
export class Elector {
  readonly #options: ElectorOptions
  readonly #candidate: LeaseCandidate
  /** The Lease as we have last written it; null when it is not ours. */
  #own: ApiObject | null = null
  #running: Promise<void> = Promise.resolve()

  constructor(options: ElectorOptions) {
    this.#options = options
    this.#candidate = new LeaseCandidate(options.candidate, options.times)
  }

  get leads(): boolean {
    return this.#candidate.leads(this.#options.now())
  }

  /** One look or renewal; to be called about three times in a Lease's duration. */
  tick(): Promise<void> {
    this.#running = this.#own === null ? this.#look() : this.#write(this.#own, 'renew')
    return this.#running
  }

  /** Lets the next one begin at once. Nothing happens when the Lease is not ours. */
  async release(): Promise<void> {
    const { api, lease } = this.#options
    // A renewal that is under way would be written after us.
    await this.#running
    const own = this.#own
    this.#own = null
    this.#candidate.lost()
    if (own === null) return
    const { holderIdentity: _, ...spec } = own.spec as Record<string, unknown>
    // Only as long as it is still ours: a conflict means that it is another's already.
    await api.replace(KINDS.leases, lease, { ...own, spec: { ...spec, renewTime: microTime() } })
  }

  async #look(): Promise<void> {
    const { api, troubles, lease, now } = this.#options
    const answer = await api.get(KINDS.leases, lease)
    if (answer.ok) troubles.worked('get', KINDS.leases)
    else if (answer.status !== HTTP.notFound) return troubles.refused('get', KINDS.leases, answer)
    const step = this.#candidate.look(answer.ok ? recordOf(answer.object) : null, now())
    if (step !== 'wait') await this.#write(answer.ok ? answer.object : null, step === 'renew' ? 'renew' : 'take')
  }

  async #write(lease: ApiObject | null, how: 'take' | 'renew'): Promise<void> {
    const { api, troubles, lease: name, now } = this.#options
    const verb = lease === null ? 'create' : 'update'
    const sentAt = now()
    const body = this.#body(lease ?? (await this.#unwritten()), how)
    const answer = await (lease === null ? api.create(KINDS.leases, body) : api.replace(KINDS.leases, name, body))
    if (answer.ok) {
      troubles.worked(verb, KINDS.leases)
      this.#own = answer.object
      this.#candidate.held(sentAt)
    } else this.#refused(verb, answer)
  }

  #refused(verb: 'create' | 'update', answer: Answer & { ok: false }): void {
    if (answer.status === HTTP.conflict || answer.status === HTTP.notFound) {
      this.#own = null
      this.#candidate.lost()
    }
    // Else it may be written or not: we lead as long as our last renewal lasts, and try again.
    else this.#options.troubles.refused(verb, KINDS.leases, answer)
  }

  /** A Lease to be made: it goes when the Deployment does, if that may be read. */
  async #unwritten(): Promise<ApiObject> {
    const { api, lease: name } = this.#options
    const owner = await api.get(KINDS.deployments, name)
    if (!owner.ok) return { metadata: { name } }
    const { uid } = owner.object.metadata as { uid: string }
    return { metadata: { name, ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name, uid }] } }
  }

  #body(lease: ApiObject, how: 'take' | 'renew'): ApiObject {
    const { candidate, times } = this.#options
    const spec = (lease.spec ?? {}) as Record<string, unknown>
    const now = microTime()
    const mine = {
      holderIdentity: candidate,
      leaseDurationSeconds: Math.ceil(times.durationMs / 1_000),
      renewTime: now,
    }
    const taken = { acquireTime: now, leaseTransitions: Number(spec.leaseTransitions ?? -1) + 1 }
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      // With the resourceVersion that was read: of two who take it at once, one is refused.
      metadata: lease.metadata,
      spec: { ...spec, ...(how === 'take' ? taken : {}), ...mine },
    }
  }
}

function recordOf(lease: ApiObject): LeaseRecord {
  const { metadata, spec } = lease as Lease
  return {
    holder: spec?.holderIdentity || null,
    durationMs: (spec?.leaseDurationSeconds ?? 0) * 1_000,
    version: metadata.resourceVersion,
  }
}

/** The API's MicroTime: six digits behind the second. */
export function microTime(ms = Date.now()): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
