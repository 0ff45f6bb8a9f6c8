import { join } from 'node:path'
import { CHART, ciFiles, type Values } from './helm.ts'

/** A set of values whose objects a real API server must take. */
export type Case = { readonly name: string; readonly file?: string; readonly values?: Values }

/** Parts of the chart that no file in ci/ switches on, or not in this way. */
const FURTHER: readonly Case[] = [
  { name: 'everything-off', values: offEverywhere() },
  {
    name: 'everything-extra',
    values: {
      generator: { enabled: true, extraEnv: [{ name: 'LOG_LEVEL', value: 'debug' }] },
      sink: { enabled: true, embedded: true },
      audit: { enabled: true },
      serve: {
        ingress: { enabled: true, className: 'nginx', tls: [{ secretName: 'tls', hosts: ['tidemark.example.org'] }] },
        service: { type: 'NodePort', nodePort: 30080 },
        resources: { requests: { cpu: '100m' } },
      },
      autoscaling: { hpa: { serve: { enabled: true } } },
      networkPolicy: { enabled: true },
      metrics: { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboards: { enabled: true } },
      image: { registry: 'registry.example.org', digest: `sha256:${'0'.repeat(64)}`, pullSecrets: ['pull'] },
      commonLabels: { team: 'logins' },
      commonAnnotations: { 'example.org/owner': 'logins' },
      extraVolumes: [{ name: 'geo', configMap: { name: 'geo' } }],
      extraVolumeMounts: [{ name: 'geo', mountPath: '/geo' }],
      extraEnvFrom: [{ configMapRef: { name: 'more' } }],
      tolerations: [{ key: 'spot', operator: 'Exists' }],
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      extraObjects: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '{{ .Release.Name }}-extra' } }],
    },
  },
  {
    name: 'strimzi-scram',
    values: {
      strimzi: {
        cluster: 'events',
        topics: { enabled: true },
        users: { enabled: true, authentication: 'scram-sha-512' },
      },
      sink: { enabled: true, embedded: true },
      generator: { enabled: true },
      audit: { enabled: true },
    },
  },
  {
    name: 'strimzi-tls-keda',
    values: {
      strimzi: { cluster: 'events', topics: { enabled: true }, users: { enabled: true, authentication: 'tls' } },
      autoscaling: { keda: { enabled: true } },
    },
  },
]

function offEverywhere(): Values {
  const off = { enabled: false }
  return {
    aggregate: off,
    reduce: off,
    serve: off,
    prepare: off,
    tests: off,
    kubernetes: off,
    rbac: { create: false },
    serviceAccount: { create: false },
  }
}

/** Every file in ci/, and the further cases. */
export const CASES: readonly Case[] = [
  ...ciFiles().map(file => ({ name: file.replace(/-values\.yaml$/, ''), file: join(CHART, 'ci', file) })),
  ...FURTHER,
]
