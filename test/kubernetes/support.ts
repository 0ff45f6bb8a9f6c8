import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Access } from '../../src/kubernetes/access.ts'
import type { LogFields, LogLevel } from '../../src/telemetry/log.ts'
import type { ApiServer } from '../support/kubernetes/apiServer.ts'

export type Line = { readonly level: LogLevel; readonly event: string; readonly fields: LogFields | undefined }

/** The rights that the chart gives to the aggregators' service account. */
export const RULES = [
  { apiGroups: [''], resources: ['pods'], verbs: ['patch'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get'] },
  { apiGroups: ['keda.sh'], resources: ['scaledobjects'], verbs: ['get', 'patch'] },
]

/** A namespace with a Deployment `agg`, pods `agg-0` and `agg-1`, a ScaledObject, and a service account with `rules`. */
export async function makeNamespace(api: ApiServer, name: string, rules: readonly object[] = RULES): Promise<Access> {
  await api.createNamespace(name)
  const labels = { app: 'agg' }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'none' }] } }
  const items = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agg' } },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'agg' }, rules },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'agg' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'agg' },
      subjects: [{ kind: 'ServiceAccount', name: 'agg', namespace: name }],
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'agg' },
      spec: { selector: { matchLabels: labels }, template },
    },
    ...['agg-0', 'agg-1'].map(pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: pod, labels },
      spec: template.spec,
    })),
    {
      apiVersion: 'keda.sh/v1alpha1',
      kind: 'ScaledObject',
      metadata: { name: 'agg' },
      spec: {
        scaleTargetRef: { name: 'agg' },
        minReplicaCount: 1,
        maxReplicaCount: 4,
        triggers: [{ type: 'cpu', metadata: {} }],
      },
    },
  ]
  await api.kubectl(
    ['-n', name, 'apply', '--server-side', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  )
  return await accessOf(api, name)
}

async function accessOf(api: ApiServer, namespace: string): Promise<Access> {
  const token = (await api.kubectl(['-n', namespace, 'create', 'token', 'agg'])).trim()
  const { clusters } = JSON.parse(readFileSync(api.kubeconfigPath, 'utf8'))
  return {
    server: api.url,
    certificateAuthority: readFileSync(clusters[0].cluster['certificate-authority'], 'utf8'),
    token: () => token,
  }
}

/** Waits until `read` answers something that `ok` takes. @throws Error with the last answer after 10 s */
export async function until<T>(read: () => Promise<T>, ok: (value: T) => boolean): Promise<T> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const value = await read()
    if (ok(value)) return value
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(value)} after 10 s`)
    await sleep(50)
  }
}

export function collect(): {
  lines: Line[]
  log: { write: (level: LogLevel, event: string, fields?: LogFields) => void }
} {
  const lines: Line[] = []
  return { lines, log: { write: (level, event, fields) => lines.push({ level, event, fields }) } }
}
