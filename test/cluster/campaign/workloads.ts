import type { Kube } from '../support/kube.ts'
import type { Replicas } from './samples.ts'

type Meta = {
  readonly name: string
  readonly uid: string
  readonly labels?: Readonly<Record<string, string>>
  readonly deletionTimestamp?: string
}
type List<T> = { readonly items: readonly T[] }
type ApiDeployment = {
  readonly metadata: Meta & { readonly generation?: number }
  readonly spec: { readonly replicas?: number }
  readonly status: {
    readonly readyReplicas?: number
    readonly updatedReplicas?: number
    readonly replicas?: number
    readonly observedGeneration?: number
  }
}
type ApiPod = {
  readonly metadata: Meta
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { readonly image: string }[] }
  readonly status: {
    readonly phase: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
    readonly containerStatuses?: readonly { readonly restartCount: number }[]
  }
}

export type Pod = {
  readonly name: string
  readonly uid: string
  readonly component: string
  readonly node: string | null
  readonly image: string
  readonly ready: boolean
  readonly leaving: boolean
  readonly restarts: number
}

const COMPONENT = 'app.kubernetes.io/component'
const ROLES = ['aggregate', 'reduce', 'serve', 'sink']
/** Kinds whose objects come and go by themselves: what happened, and addresses of pods. */
const FLEETING = [
  'events',
  'events.events.k8s.io',
  'endpoints',
  'endpointslices.discovery.k8s.io',
  'pods.metrics.k8s.io',
]

/** What runs of one release in one namespace. */
export class Workloads {
  readonly #kube: Kube
  readonly #namespace: string
  readonly #selector: string

  constructor(kube: Kube, namespace: string, release: string) {
    this.#kube = kube
    this.#namespace = namespace
    this.#selector = `app.kubernetes.io/name=tidemark,app.kubernetes.io/instance=${release}`
  }

  /** By component, as `aggregate`. */
  async replicas(): Promise<ReadonlyMap<string, Replicas>> {
    const items = await this.#deployments()
    return new Map(
      items.map(({ metadata, spec, status }) => [
        metadata.labels?.[COMPONENT] ?? metadata.name,
        { wanted: spec.replicas ?? 0, ready: status.readyReplicas ?? 0 },
      ]),
    )
  }

  /** Whether every Deployment runs what its template says, and nothing else. */
  async rolledOut(): Promise<boolean> {
    const items = await this.#deployments()
    return items.every(({ metadata, spec, status }) => {
      const seen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0)
      const counts = [status.updatedReplicas, status.readyReplicas, status.replicas].map(count => count ?? 0)
      return seen && counts.every(count => count === (spec.replicas ?? 0))
    })
  }

  /** The pods of the roles, without hooks and tests. */
  async pods(): Promise<Pod[]> {
    const args = ['-n', this.#namespace, 'pods', '-l', `${this.#selector},${COMPONENT} in (${ROLES.join(',')})`]
    const { items } = await this.#kube.get<List<ApiPod>>(args)
    return items.map(({ metadata, spec, status }) => ({
      name: metadata.name,
      uid: metadata.uid,
      component: metadata.labels?.[COMPONENT] ?? '',
      node: spec.nodeName ?? null,
      image: spec.containers[0]?.image ?? '',
      ready: status.conditions?.some(each => each.type === 'Ready' && each.status === 'True') ?? false,
      leaving: metadata.deletionTimestamp !== undefined,
      restarts: (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0),
    }))
  }

  /** All objects of the namespace as `kind/name`, whatever the kind. */
  async objects(): Promise<ReadonlySet<string>> {
    const kinds = await this.#kube.kubectl(['api-resources', '--namespaced', '--verbs=list', '-o', 'name'])
    const asked = kinds
      .trim()
      .split('\n')
      .filter(kind => !FLEETING.includes(kind))
    const args = ['-n', this.#namespace, 'get', asked.join(','), '--ignore-not-found', '-o', 'name']
    const names = await this.#kube.kubectl(args)
    return new Set(names.split('\n').filter(name => name !== ''))
  }

  async #deployments(): Promise<readonly ApiDeployment[]> {
    const args = ['-n', this.#namespace, 'deployments', '-l', this.#selector]
    return (await this.#kube.get<List<ApiDeployment>>(args)).items
  }
}
