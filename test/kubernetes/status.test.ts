import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, test as everyTest, expect, inject } from 'vitest'
import { runCli } from '../../src/main.ts'
import type { StatusReport } from '../../src/status/report.ts'
import { type ApiServer, startApiServer } from '../support/kubernetes/apiServer.ts'
import { aResult } from '../unit/results/factory.ts'

const METRICS = `tidemark_partition_live{partition="0",role="aggregate"} 1
tidemark_partition_position{partition="0",role="aggregate"} 70
tidemark_partition_lag_records{partition="0",role="aggregate"} 30
`
const WINDOW = aResult('10s')
/** What a pod and the Service of serve answer here, by path. */
const PAGES: Readonly<Record<string, string>> = {
  '/metrics': METRICS,
  '/api/sizes': JSON.stringify({ sizes: [{ size: '10s', last_final: WINDOW.window.start }] }),
  '/api/windows?limit=6': JSON.stringify({ windows: [WINDOW] }),
  '/api/windows?size=10s&limit=1&status=final,corrected': JSON.stringify({ windows: [WINDOW] }),
}

let api: ApiServer
let pages: Server
let port: number

/** The API server refuses to be a proxy to loopback addresses. */
const address = Object.values(networkInterfaces())
  .flatMap(each => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

/** Without Go there is no API server; CI does not get this far then. */
const test = everyTest.skipIf(typeof inject('toolsMissing') === 'string')

beforeAll(async () => {
  pages = createServer(({ url = '' }, response) => {
    const page = PAGES[url]
    response.writeHead(page === undefined ? 404 : 200).end(page)
  })
  await new Promise<void>(resolve => pages.listen(0, resolve))
  port = (pages.address() as AddressInfo).port
  api = await startApiServer({ crds: ['keda'] })
  await api.createNamespace('stream')
  await apply(...objects())
  for (const [kind, name, state] of STATES) await setStatus(kind, name, state)
})
afterAll(async () => {
  await api?.stop()
  pages?.close()
})

const labels = (component: string) => ({
  'app.kubernetes.io/name': 'tidemark',
  'app.kubernetes.io/instance': 'logins',
  'app.kubernetes.io/component': component,
})
const metadata = (name: string, component: string, annotations = {}) => {
  return { name, namespace: 'stream', labels: labels(component), annotations }
}
const container = () => ({ name: 'tidemark', image: 'tidemark', ports: [{ name: 'http', containerPort: port }] })

function objects(): object[] {
  const pod = (name: string, component: string, annotations = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(name, component, annotations),
    spec: { nodeName: 'node-1', containers: [container()] },
  })
  const selector = { matchLabels: labels('aggregate') }
  const template = { metadata: { labels: labels('aggregate') }, spec: { containers: [container()] } }
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata('logins-aggregate', 'aggregate'),
    spec: { replicas: 2, selector, template },
  }
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'logins-aggregate' }
  const scaledObject = {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: metadata('logins-aggregate', 'aggregate'),
    spec: {
      scaleTargetRef: { name: 'logins-aggregate' },
      minReplicaCount: 1,
      maxReplicaCount: 12,
      triggers: [{ type: 'kafka', metadata: { lagThreshold: '1000' } }],
    },
  }
  const hpa = (name: string, target: string) => ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name, namespace: 'stream' },
    spec: { scaleTargetRef: { ...scaleTargetRef, name: target }, minReplicas: 1, maxReplicas: 12 },
  })
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata('logins-serve', 'serve'),
    spec: { ports: [{ name: 'http', port: 80 }] },
  }
  // Without a controller nobody makes these, by which the API server finds whom to ask.
  const endpoints = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: metadata('logins-serve', 'serve'),
    subsets: [
      {
        addresses: [{ ip: address, targetRef: { kind: 'Pod', namespace: 'stream', name: 'serve-a' } }],
        ports: [{ name: 'http', port }],
      },
    ],
  }
  const scalers = [hpa('keda-hpa-logins-aggregate', 'logins-aggregate'), hpa('of-others', 'other'), scaledObject]
  const pods = [pod('agg-a', 'aggregate', cost(300)), pod('agg-b', 'aggregate', cost(100)), pod('serve-a', 'serve')]
  return [...pods, deployment, ...scalers, service, endpoints]
}

const cost = (value: number) => ({ 'controller.kubernetes.io/pod-deletion-cost': String(value) })
const ready = (status: string) => [{ type: 'Ready', status }]

const RUNNING = { phase: 'Running', podIP: address, podIPs: [{ ip: address }], conditions: ready('True') }
const STATES: readonly (readonly [kind: string, name: string, status: object])[] = [
  ['pod', 'agg-a', RUNNING],
  ['pod', 'serve-a', RUNNING],
  [
    'pod',
    'agg-b',
    {
      phase: 'Pending',
      conditions: ready('False'),
      containerStatuses: [
        {
          name: 'tidemark',
          image: 'tidemark',
          imageID: '',
          ready: false,
          restartCount: 4,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
        },
      ],
    },
  ],
  ['deployment', 'logins-aggregate', { replicas: 2, readyReplicas: 1, updatedReplicas: 2 }],
  ['hpa', 'keda-hpa-logins-aggregate', { currentReplicas: 2, desiredReplicas: 3, conditions: [], currentMetrics: [] }],
  [
    'scaledobject',
    'logins-aggregate',
    { conditions: [{ type: 'Ready', status: 'True', reason: 'Fine', message: '' }] },
  ],
]

async function apply(...given: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: given }
  await api.kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(list))
}

async function setStatus(kind: string, name: string, status: object): Promise<void> {
  const patch = ['--type=merge', '--subresource=status', '-p', JSON.stringify({ status })]
  await api.kubectl(['-n', 'stream', 'patch', kind, name, ...patch])
}

async function status(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
  const texts: string[] = []
  const stream = { write: (text: string) => texts.push(text) }
  const context = { env: { KAFKA_BROKERS: '127.0.0.1:1' }, readFile: () => '{}', stdout: stream, stderr: stream }
  const command = { status: { summary: '', load: () => import('../../src/commands/status.ts') } }
  const at = args.includes('--kubeconfig') ? [] : ['--kubeconfig', api.kubeconfigPath, '--namespace', 'stream']
  const code = await runCli(['status', ...at, ...args], context, command)
  return { code, output: texts.join('') }
}

test('pods, replicas and scaling are told, and by the pods what Kafka cannot be asked for', async () => {
  expect(address).toBeDefined()
  const { code, output } = await status('--json')
  const report = JSON.parse(output) as StatusReport & { readonly problems: readonly string[] }
  expect(report.notes).toEqual([])
  expect(report.sides).toEqual({
    kubernetes: { state: 'answered', at: 'namespace stream' },
    kafka: { state: 'failed', at: '127.0.0.1:1', reason: expect.stringContaining('no Kafka broker can be reached') },
    pods: { state: 'answered', at: 'namespace stream' },
  })
  expect(report.workloads).toEqual([
    { name: 'logins-aggregate', component: 'aggregate', wanted: 2, current: 2, ready: 1, updated: 2 },
  ])
  expect(report.scalers).toMatchObject([
    { kind: 'ScaledObject', name: 'logins-aggregate', min: 1, max: 12, current: 2, desired: 3, lagThreshold: 1_000 },
  ])
  expect(report.pods).toMatchObject([
    { name: 'agg-a', ready: true, restarts: 0, node: 'node-1', ip: address, deletionCost: 300, reason: null },
    { name: 'agg-b', ready: false, restarts: 4, deletionCost: 100, reason: 'CrashLoopBackOff' },
    { name: 'serve-a', component: 'serve', ready: true, deletionCost: null },
  ])
  expect(report.partitions).toMatchObject([
    { partition: 0, position: 70, end: 100, lag: 30, owner: 'agg-a' },
    // The results tell of it.
    { partition: 1, lag: null, owner: null },
  ])
  expect(report.windows).toMatchObject([{ size: '10s', start: WINDOW.window.start, batchSize: 10 }])
  expect(report.totals).toEqual(WINDOW.stream_totals)
  expect(report.problems).toEqual([
    'Deployment logins-aggregate: 1 of 2 replicas are ready',
    'pod agg-b is not ready (CrashLoopBackOff)',
    'source partition 1: nobody owns it',
  ])
  expect(code).toBe(0)
  expect((await status('--check')).code).toBe(1)
})

test('another release is not ours, and a pause of KEDA is told', async () => {
  await api.kubectl([
    '-n',
    'stream',
    'annotate',
    'scaledobject/logins-aggregate',
    'autoscaling.keda.sh/paused-replicas=3',
  ])
  expect((await status('--no-kafka', '--release', 'logins')).output).toMatch(
    /ScaledObject {2}logins-aggregate .* paused at 3/,
  )
  const other = JSON.parse((await status('--no-kafka', '--json', '--release', 'other')).output) as StatusReport
  expect(other).toMatchObject({ workloads: [], scalers: [], pods: [], partitions: [] })
})

test('who may not list pods is told so, and nothing else stands in the way of Kafka', async () => {
  const account = ['create', 'token', 'default', '-n', 'stream']
  const token = (await api.kubectl(account)).trim()
  const config = JSON.parse(await api.kubectl(['config', 'view', '--raw', '-o', 'json'])) as {
    users: { user: object }[]
  }
  for (const entry of config.users) entry.user = { token }
  const file = join(dirname(api.kubeconfigPath), 'nobody.json')
  await writeFile(file, JSON.stringify(config))
  const { code, output } = await status('--kubeconfig', file, '--namespace', 'stream', '--no-kafka')
  expect(output).toMatch(
    /^✗ kubernetes {2}namespace stream: pods is forbidden: User "system:serviceaccount:stream:default"/m,
  )
  expect(code).toBe(3)
  const named = await status('--kubeconfig', file, '--context', 'prod', '--no-kafka')
  expect(named.output).toMatch(/^✗ kubernetes {2}kubeconfig: the kubeconfig has no context prod; it has \S/m)
})
