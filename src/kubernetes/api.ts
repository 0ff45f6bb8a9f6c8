/** A kind of object as its API names it, in the plural: {group: 'apps', version: 'v1', plural: 'deployments'}. */
export type Kind = { readonly group: string; readonly version: string; readonly plural: string }

/** Those that a role asks for. The group of pods, which are in the core, is empty. */
export const KINDS = {
  pods: { group: '', version: 'v1', plural: 'pods' },
  deployments: { group: 'apps', version: 'v1', plural: 'deployments' },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' },
  events: { group: 'events.k8s.io', version: 'v1', plural: 'events' },
  scaledObjects: { group: 'keda.sh', version: 'v1alpha1', plural: 'scaledobjects' },
} as const satisfies Record<string, Kind>

/** An object of the API as JSON has it. */
export type ApiObject = Readonly<Record<string, unknown>>

/** A refusal is an answer and no exception: nothing that a role asks of its cluster may stop it. */
export type Answer =
  | { readonly ok: true; readonly object: ApiObject }
  | {
      readonly ok: false
      /** The HTTP status; 0 when the API server did not answer (in time). */
      readonly status: number
      readonly reason: string
    }

/** One namespace of an API server. No call throws; each is answered within some seconds. */
export type KubernetesApi = {
  get(kind: Kind, name: string): Promise<Answer>
  create(kind: Kind, object: ApiObject): Promise<Answer>
  /** Replaces it if it still has the object's `metadata.resourceVersion`; answers 409 otherwise. */
  replace(kind: Kind, name: string, object: ApiObject): Promise<Answer>
  /** A JSON merge patch (RFC 7396). */
  patch(kind: Kind, name: string, patch: ApiObject): Promise<Answer>
  close(): void
}

export const HTTP = { forbidden: 403, notFound: 404, conflict: 409 } as const
