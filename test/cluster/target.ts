/** Which cluster is meant. `lab` is the one that this project brings up by itself. */
export type Target =
  | { readonly kind: 'lab' }
  | { readonly kind: 'kind'; readonly context: string; readonly cluster: string }
  | { readonly kind: 'minikube'; readonly context: string; readonly profile: string }
  | { readonly kind: 'other'; readonly context: string; readonly registry: string }

export type Known = {
  /** The contexts of the kubeconfig in force, and the current one. */
  readonly contexts: readonly string[]
  readonly current: string | null
  /** Whether the lab's cluster answers. */
  readonly labRuns: boolean
  /** Whether this process may build the lab. */
  readonly root: boolean
}

export type Wish = {
  readonly context?: string | undefined
  readonly registry?: string | undefined
  readonly fromPackages?: boolean | undefined
}

export type Choice = { readonly target: Target; readonly why: string } | { readonly refused: string }

const KIND_PREFIX = 'kind-'

/**
 * Chooses the cluster: the one named, the lab when asked for or running, a current context that is surely a trial one,
 * the lab again where it can be built. A cluster that may be in earnest is only ever taken by its name.
 */
export function chooseTarget(known: Known, wish: Wish): Choice {
  if (wish.context !== undefined && wish.fromPackages) return { refused: '--context or --from-packages, not both' }
  if (wish.context !== undefined) return named(known, wish.context, wish.registry)
  if (wish.fromPackages) {
    return known.root ? lab('--from-packages') : { refused: '--from-packages needs root: containers, bridges, mounts' }
  }
  if (known.labRuns) return lab('it runs already')
  if (known.current !== null && isTrial(known.current)) return named(known, known.current, wish.registry)
  if (known.root) return lab('there is no other cluster for trials')
  const current = known.current === null ? 'there is no kubeconfig' : `the current context is ${known.current}`
  return {
    refused: `${current}; start kind or minikube, or name a cluster for trials by --context NAME --registry HOST, or be root for --from-packages`,
  }
}

function lab(why: string): Choice {
  return { target: { kind: 'lab' }, why }
}

function isTrial(context: string): boolean {
  return context.startsWith(KIND_PREFIX) || context === 'minikube'
}

function named(known: Known, context: string, registry: string | undefined): Choice {
  if (!known.contexts.includes(context)) {
    return { refused: `there is no context ${context}; known: ${known.contexts.join(', ') || 'none'}` }
  }
  const why = `context ${context}`
  if (registry !== undefined) return { target: { kind: 'other', context, registry }, why: `${why}, ${registry}` }
  if (context.startsWith(KIND_PREFIX)) {
    return { target: { kind: 'kind', context, cluster: context.slice(KIND_PREFIX.length) }, why }
  }
  if (context === 'minikube') return { target: { kind: 'minikube', context, profile: context }, why }
  return {
    refused: `context ${context} is neither kind nor minikube: name a registry that it pulls from by --registry`,
  }
}
