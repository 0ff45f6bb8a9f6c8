import { mkdtempSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runProgram } from '../../../scripts/tools/run.ts'
import { ensureTool, ensureTools } from '../../../scripts/tools.ts'
import { loadSettings } from '../../../src/config/load.ts'
import { type EmbeddedKafka, startKafka } from '../../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { type RoleProcess, startRole } from '../../../src/dev/roleProcess.ts'
import { createBatchSender } from '../../../src/kafka/batchSender.ts'
import { createKafka } from '../../../src/kafka/client.ts'
import { ensureTopics } from '../../../src/kafka/topics.ts'
import { FULL_NAME, type KubeObject, podsOf, render } from '../../charts/support/helm.ts'
import { type ApiServer, startApiServer } from '../../support/kubernetes/apiServer.ts'
import { FIRED_FOR_REAL } from '../support/firedForReal.ts'
import { type Prometheus, skipsPrometheus, startPrometheus } from '../support/prometheus.ts'
import { wordOf } from './document.ts'
import { type KubeStateMetrics, skipsCluster, startKubeStateMetrics } from './kubeStateMetrics.ts'

const NAMESPACE = 'shop'
const START_MS = 180_000
/** On a machine that has built none of them yet. */
const BUILD_MS = 30 * 60_000
const WAIT_MS = 45_000
const AUDIT = `${FULL_NAME}-audit`
const REPLICAS = 3
/** More than a minute's work of an aggregator that may take ten a second. */
const LOGINS = 3_000

let folder: string
let broker: EmbeddedKafka
let api: ApiServer
let state: KubeStateMetrics
let prometheus: Prometheus
let aggregator: RoleProcess
let cronJob: KubeObject
let address: string
let deployments: readonly string[]
const fired = new Set<string>()

beforeAll(async () => {
  if (!skipsCluster) await ensureTools(['helm', 'kubectl', 'etcd', 'kube-apiserver', 'kube-state-metrics'])
}, BUILD_MS)
beforeAll(async () => {
  if (skipsCluster || skipsPrometheus) return
  folder = mkdtempSync(join(tmpdir(), 'tidemark-cluster-alerts-'))
  const rendering = await render({ audit: { enabled: true }, autoscaling: { keda: { enabled: true } } })
  cronJob = rendering.get('CronJob', 'audit')
  deployments = rendering.ofKind('Deployment').map(({ metadata }) => metadata.name)
  const [scaled] = rendering.ofKind('ScaledObject')
  ;[broker, api] = await Promise.all([startKafka(), startApiServer()])
  await api.createNamespace(NAMESPACE)
  await create(...['aggregate', 'reduce'].map(role => podOf(rendering.get('Deployment', role))))
  await create(autoscalerOf(scaled as KubeObject))
  await create(auditJob(1), auditJob(2))
  state = await startKubeStateMetrics(api)
  address = await startSlowAggregator()
  prometheus = await startPrometheus({
    targets: [
      { address: state.address, labels: { job: 'kube-state-metrics' } },
      { address, labels: { job: 'tidemark', namespace: NAMESPACE, pod: podName('aggregate') } },
    ],
  })
}, START_MS)
afterAll(async () => {
  aggregator?.kill('SIGKILL')
  await aggregator?.exited
  await Promise.all([prometheus, state, broker, api].map(each => each?.stop()))
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

/** The API server is no proxy to loopback addresses. */
const machineAddress = Object.values(networkInterfaces())
  .flatMap(each => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

const podName = (role: string) => `${FULL_NAME}-${role}-6d5f8-x2x9q`

async function create(...objects: readonly object[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
  await api.kubectl(['-n', NAMESPACE, 'apply', '--server-side', '-f', '-'], list)
}

/** Without a kubelet and controllers nobody else says what has become of an object. */
async function becomes(kind: string, name: string, status: object): Promise<void> {
  const patch = JSON.stringify({ status })
  await api.kubectl(['-n', NAMESPACE, 'patch', kind, name, '--subresource=status', '--type=merge', '-p', patch])
}

/** The chart's pod under a name as its ReplicaSet would give; its account is of no use without a controller. */
function podOf(deployment: KubeObject): object {
  const [pod] = podsOf(deployment) as [KubeObject]
  const { serviceAccountName: _, ...spec } = pod.spec
  const role = deployment.metadata.labels['app.kubernetes.io/component']
  return { ...pod, metadata: { ...pod.metadata, name: podName(role) }, spec }
}

/** As KEDA makes it of the chart's ScaledObject. */
function autoscalerOf({ metadata, spec }: KubeObject): object {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: spec.scaleTargetRef.name }
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: `keda-hpa-${metadata.name}` },
    spec: { scaleTargetRef, minReplicas: 1, maxReplicas: REPLICAS },
  }
}

/** As the CronJob's controller makes it: its name and the minute, here counted from a day in 2025. */
function auditJob(minute: number): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: `${AUDIT}-${29_384_716 + minute}` },
    spec: cronJob.spec.jobTemplate.spec,
  }
}

/** Logins wait, and the only aggregator takes ten a second. @returns the address of its metrics */
async function startSlowAggregator(): Promise<string> {
  const [port] = (await freePorts(1, '127.0.0.1')) as [number]
  const env = {
    KAFKA_BROKERS: broker.brokers,
    SOURCE_PARTITIONS: '1',
    PARTIALS_PARTITIONS: '1',
    MAX_EVENTS_PER_SECOND: '10',
    HTTP_PORT: String(port),
  }
  const settings = loadSettings(env, () => '')
  const kafka = createKafka(settings.kafka, () => {})
  await ensureTopics(kafka, settings)
  const sender = await createBatchSender(settings.kafka)
  const timestamp = new Date().toISOString()
  const logins = Array.from({ length: LOGINS }, (_, i) => JSON.stringify({ user_id: `u${i}`, timestamp }))
  // Few in a batch: a batch is taken whole, whatever a second allows.
  for (let from = 0; from < LOGINS; from += 10) {
    const batch = logins.slice(from, from + 10).map(value => ({ key: null, value }))
    await sender.send(settings.topics.source, 0, batch)
  }
  await sender.close()
  const logFile = join(folder, 'aggregate.log')
  aggregator = startRole({ args: ['aggregate'], name: 'aggregate', env: { ...process.env, ...env }, logFile })
  await aggregator.line(({ event }) => event === 'live')
  return `127.0.0.1:${port}`
}

/** The labels and texts of those that fire. */
async function firing(name: string) {
  const alerts = await prometheus.alerts()
  return alerts.filter(alert => alert.name === name && alert.state === 'firing')
}

async function expectFiring(name: string, ...expected: readonly object[]): Promise<void> {
  await vi.waitFor(async () => expect(await firing(name)).toMatchObject(expected), { timeout: WAIT_MS, interval: 200 })
  if (expected.length > 0) fired.add(name)
}

const restarted = (role: string, restartCount: number) =>
  becomes('pod', podName(role), {
    phase: 'Running',
    containerStatuses: [
      { name: role, image: 'tidemark', imageID: 'tidemark', ready: true, restartCount, state: { running: {} } },
    ],
  })

/** What the controller of Jobs writes; it insists on the order of things. */
const audited = (minute: number, ended: 'Complete' | 'Failed') => {
  const at = new Date().toISOString().replace(/\.\d+Z/, 'Z')
  const condition = (type: string, reason: string) => ({ type, status: 'True', reason, lastTransitionTime: at })
  const reason = ended === 'Failed' ? 'BackoffLimitExceeded' : 'CompletionsReached'
  const first = ended === 'Failed' ? 'FailureTarget' : 'SuccessCriteriaMet'
  return becomes('job', `${AUDIT}-${29_384_716 + minute}`, {
    startTime: at,
    ...(ended === 'Failed' ? { failed: 1 } : { succeeded: 1, completionTime: at }),
    conditions: [condition(first, reason), condition(ended, reason)],
  })
}

const scaledTo = (currentReplicas: number) =>
  becomes('hpa', `keda-hpa-${FULL_NAME}-aggregate`, {
    currentReplicas,
    desiredReplicas: currentReplicas,
    conditions: [],
  })

describe.skipIf(skipsCluster || skipsPrometheus)('what kube-state-metrics tells of real objects', () => {
  test(
    'TidemarkPodRestarts: of the pod that is started again and again, not of the other',
    async () => {
      for (const role of ['aggregate', 'reduce']) await restarted(role, 0)
      await vi.waitFor(
        async () => {
          const told = await prometheus.query('kube_pod_container_status_restarts_total')
          expect(told.map(({ value }) => value)).toEqual([0, 0])
        },
        { timeout: WAIT_MS },
      )
      await restarted('aggregate', 1)
      for (const count of [2, 4, 6]) await restarted('reduce', count)
      await expectFiring('TidemarkPodRestarts', {
        labels: { severity: 'warning', namespace: NAMESPACE, pod: podName('reduce'), container: 'reduce' },
        annotations: { summary: 'A pod of reduce ends again and again' },
      })
    },
    START_MS,
  )

  test(
    'TidemarkAuditFailed: of the Job that failed, until it is deleted',
    async () => {
      await audited(1, 'Complete')
      expect(await firing('TidemarkAuditFailed')).toEqual([])
      await audited(2, 'Failed')
      const job_name = `${AUDIT}-29384718`
      await expectFiring('TidemarkAuditFailed', {
        labels: { severity: 'critical', namespace: NAMESPACE, job_name },
        annotations: {
          description: `The Job ${job_name} in ${NAMESPACE} did not find every result equal to the log, or could not look.`,
        },
      })
      await api.kubectl(['-n', NAMESPACE, 'delete', 'job', job_name, '--wait=false'])
      await expectFiring('TidemarkAuditFailed')
    },
    START_MS,
  )

  test(
    'TidemarkScalingAtMaximum: once all replicas run and more waits than they process in a minute',
    async () => {
      await scaledTo(REPLICAS - 1)
      await vi.waitFor(
        async () => {
          const told = await prometheus.query('kube_horizontalpodautoscaler_status_current_replicas')
          expect(told.map(({ value }) => value)).toEqual([REPLICAS - 1])
        },
        { timeout: WAIT_MS },
      )
      expect((await prometheus.alerts()).filter(({ name }) => name === 'TidemarkScalingAtMaximum')).toEqual([])
      await scaledTo(REPLICAS)
      await expectFiring('TidemarkScalingAtMaximum', {
        labels: { severity: 'warning', namespace: NAMESPACE, role: 'aggregate' },
        annotations: {
          description: `All ${REPLICAS} replicas of aggregate in ${NAMESPACE} run, and more waits than they process in a minute.`,
        },
      })
      await scaledTo(REPLICAS - 1)
      await expectFiring('TidemarkScalingAtMaximum')
    },
    START_MS,
  )

  test('the words of the runbooks reach a pod through the cluster', async () => {
    await becomes('pod', podName('aggregate'), { podIP: machineAddress, podIPs: [{ ip: machineAddress }] })
    const port = address.split(':')[1]
    const path = `${dirname(await ensureTool('kubectl'))}:${process.env.PATH}`
    const inShell = async (script: string) => {
      const env = { KUBECONFIG: api.kubeconfigPath, PATH: path, NS: NAMESPACE, R: FULL_NAME }
      return await runProgram('bash', ['-c', script], { env, timeoutMs: 20_000 })
    }
    // The chart's port, where the test's aggregator has one that was free.
    const ask = wordOf('ask').replace(':8080', `:${port}`)
    const said = await inShell(`${ask}\nask ${podName('aggregate')} /livez`)
    expect(said.stderr).toBe('')
    expect(JSON.parse(said.stdout)).toMatchObject({ live: true, brokers_answer: true })
    // There is no kubelet to answer `logs` and `tm`: that they would ask the right ones is all that can be seen here.
    const selector = /-l (\S+)/.exec(wordOf('logs'))?.[1]
    const found = await inShell(`role=aggregate; kubectl get pods -n $NS -l ${selector} -o name`)
    expect(found.stdout.trim()).toBe(`pod/${podName('aggregate')}`)
    const [, deployment] = /deploy\/(\S+)/.exec(wordOf('tm')) ?? []
    expect(deployments).toContain(deployment?.replace('$R', FULL_NAME))
  })

  test('these were all that ask the cluster', () => {
    expect([...fired].sort()).toEqual([...FIRED_FOR_REAL.kubernetes].sort())
  })
})
