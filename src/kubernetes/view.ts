import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import type { PodStatus, ScalerStatus, WorkloadStatus } from '../status/report.ts'
import { ask } from './ask.ts'
import {
  type Hpa,
  type ManifestList,
  type Pod,
  podOf,
  portOf,
  type ScaledObject,
  scalersOf,
  type Workload,
  workloadOf,
} from './viewObjects.ts'

export type ViewOptions = {
  /** Path of a kubeconfig; KUBECONFIG, the one in the home folder or a pod's own service account when null. */
  readonly kubeconfig: string | null
  /** A context of it; the current one when null. */
  readonly context: string | null
  /** The context's own when null, or that of the pod that we run in. */
  readonly namespace: string | null
  /** The Helm release to look at; all of the namespace when null. */
  readonly release: string | null
}

/** What a namespace holds of Tidemark. */
export type ClusterState = {
  /** The Helm releases, in text order. */
  readonly releases: readonly string[]
  readonly workloads: readonly WorkloadStatus[]
  readonly scalers: readonly ScalerStatus[]
  readonly pods: readonly PodStatus[]
  /** By pod: the port of its health and metrics. */
  readonly ports: ReadonlyMap<string, number>
  /** The Services in front of `serve`. */
  readonly services: readonly string[]
  /** What could not be read, a line each. */
  readonly notes: readonly string[]
}

/** Reads a cluster, and pods through its API server; it changes nothing. */
export type ClusterView = {
  readonly namespace: string
  /** @throws Error when the API server cannot be reached or does not let us list pods */
  read(): Promise<ClusterState>
  /**
   * A page of a pod or a Service, as text.
   * @param port a pod's number, or a Service's number or name
   * @param path without the slash before it, with its query
   */
  page(kind: 'pods' | 'services', name: string, port: number | string, path: string): Promise<string>
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const SELECTOR = 'app.kubernetes.io/name=tidemark'
const NOT_FOUND = 404

/**
 * Opens the view that a kubeconfig names.
 * @returns the reason, one line, when there is no kubeconfig at all and we are not in a cluster
 * @throws Error when the kubeconfig cannot be read or has no such context
 */
export async function openClusterView(options: ViewOptions): Promise<ClusterView | string> {
  const { KubeConfig: Config } = await import('@kubernetes/client-node')
  const config = new Config()
  if (options.kubeconfig === null) config.loadFromDefault()
  else config.loadFromFile(options.kubeconfig)
  if (options.context !== null) {
    if (config.getContextObject(options.context) === null) {
      const known = config.getContexts().map(({ name }) => name)
      throw new Error(`the kubeconfig has no context ${options.context}; it has ${known.join(', ') || 'none'}`)
    }
    config.setCurrentContext(options.context)
  }
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw new Error(`the context ${config.currentContext || '(none)'} names no cluster`)
  // What the library makes up when it finds nothing.
  if (cluster.name === 'cluster' && config.currentContext === 'loaded-context') {
    return 'there is no kubeconfig (--kubeconfig, KUBECONFIG, ~/.kube/config)'
  }
  const namespace = options.namespace ?? config.getContextObject(config.currentContext)?.namespace ?? 'default'
  const get = (path: string) => getText(config, cluster.server, path)
  return {
    namespace,
    read: () => readNamespace(get, namespace, options.release),
    page: (kind, name, port, path) => get(`/api/v1/namespaces/${namespace}/${kind}/${name}:${port}/proxy/${path}`),
  }
}

type Get = (path: string) => Promise<string>

async function readNamespace(get: Get, namespace: string, release: string | null): Promise<ClusterState> {
  const labels = `${SELECTOR}${release === null ? '' : `,app.kubernetes.io/instance=${release}`}`
  const query = `?labelSelector=${encodeURIComponent(labels)}`
  const notes: string[] = []
  const list = async <T>(path: string): Promise<T[]> => {
    return (JSON.parse(await get(path)) as ManifestList<T>).items
  }
  /** Of what a role may not be allowed to read, or a cluster not know. */
  const listIfAny = async <T>(what: string, path: string): Promise<T[]> => {
    try {
      return await list<T>(path)
    } catch (error) {
      const isUnknown = error instanceof AnswerError && error.status === NOT_FOUND
      if (!isUnknown) notes.push(`${what} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
      return []
    }
  }
  const [pods, deployments, hpas, scaledObjects, services] = await Promise.all([
    list<Pod>(`/api/v1/namespaces/${namespace}/pods${query}`),
    listIfAny<Workload>('Deployments', `/apis/apps/v1/namespaces/${namespace}/deployments${query}`),
    listIfAny<Hpa>('HorizontalPodAutoscalers', `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`),
    listIfAny<ScaledObject>('ScaledObjects', `/apis/keda.sh/v1alpha1/namespaces/${namespace}/scaledobjects`),
    listIfAny<Workload>('Services', `/api/v1/namespaces/${namespace}/services${query}`),
  ])
  const releases = new Set<string>()
  for (const { metadata } of [...pods, ...deployments]) {
    const instance = metadata.labels?.['app.kubernetes.io/instance']
    if (instance !== undefined) releases.add(instance)
  }
  const workloads = deployments.map(workloadOf)
  return {
    releases: [...releases].sort(),
    workloads,
    // These have labels of their own makers': what counts is whom they scale.
    scalers: scalersOf(scaledObjects, hpas, new Set(workloads.map(({ name }) => name))),
    pods: pods.map(podOf).filter(({ phase }) => phase !== 'Succeeded'),
    ports: new Map(pods.map(pod => [pod.metadata.name, portOf(pod)])),
    services: services
      .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'serve')
      .map(({ metadata }) => metadata.name),
    notes,
  }
}

/** An answer that is no success. */
class AnswerError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function getText(config: KubeConfig, server: string, path: string): Promise<string> {
  const url = new URL(server.replace(/\/+$/, '') + path)
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const { status, text } = await ask(url, { options, maxBytes: MAX_ANSWER_BYTES }).catch((error: Error) => {
    const message = error.message === '' ? String((error as NodeJS.ErrnoException).code) : error.message
    throw new Error(`${url.host}: ${message}`, { cause: error })
  })
  if (status >= 200 && status < 300) return text
  throw new AnswerError(status, reasonOf(status, text))
}

/** The API server says what was wrong in a Status object; a pod may answer anything. */
function reasonOf(status: number, text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    if (typeof message === 'string' && message !== '') return message.replaceAll('\n', ' ')
  } catch {
    // Not JSON: its first line is as good.
  }
  return `answer ${status}: ${text.split('\n', 1)[0]?.slice(0, 200) ?? ''}`
}
