import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, it as everyIt, expect, inject } from 'vitest'
import { TidemarkError } from '../../src/errors.ts'
import type { Access } from '../../src/kubernetes/access.ts'
import { KINDS, type KubernetesApi } from '../../src/kubernetes/api.ts'
import { openClient } from '../../src/kubernetes/client.ts'
import { openKubernetes } from '../../src/kubernetes/openKubernetes.ts'
import { PodTies, type PodTiesOptions } from '../../src/kubernetes/podTies.ts'
import { refusalReport } from '../../src/kubernetes/reports.ts'
import type { Capture } from '../../src/tasks/task.ts'
import { type ApiServer, startApiServer } from '../support/kubernetes/apiServer.ts'
import { collect, makeNamespace, until } from './support.ts'

const PACE = { tickMs: 100, leaseMs: 300, lease: { durationMs: 1_000, renewWithinMs: 600 }, limitMs: 200 }

let server: ApiServer
const open: { ties: PodTies; api: KubernetesApi }[] = []

/** Without Go there is no API server; CI does not get this far then. */
const it = everyIt.skipIf(typeof inject('toolsMissing') === 'string')

beforeAll(async () => {
  server = await startApiServer({ crds: ['keda'] })
})

afterAll(async () => {
  await server?.stop()
})

afterEach(async () => {
  for (const { ties, api } of open.splice(0)) {
    await ties.end()
    api.close()
  }
})

/** One pod's ties, begun; `die` cuts them off as a crash does. */
async function begin(access: Access, namespace: string, podName: string, more: Partial<PodTiesOptions> = {}) {
  const { lines, log } = collect()
  const pod = { podName, namespace, workload: 'agg', scaledObject: 'agg' }
  const options = { pod, role: 'aggregate', sourceTopic: 'user-login', nameOf: String, log, pace: PACE }
  const ties = new PodTies({ ...options, replayFromOf: ({ metadata }) => Number(metadata), ...more })
  let dead = false
  const real = await openClient(access, namespace)
  const gone = { ok: false, status: 0, reason: 'the process is gone' } as const
  const api: KubernetesApi = {
    get: async (...args) => (dead ? gone : await real.get(...args)),
    create: async (...args) => (dead ? gone : await real.create(...args)),
    replace: async (...args) => (dead ? gone : await real.replace(...args)),
    patch: async (...args) => (dead ? gone : await real.patch(...args)),
    close: () => real.close(),
  }
  ties.begin(api)
  open.push({ ties, api })
  const die = () => {
    dead = true
  }
  return { ties, lines, die, api: real }
}

async function json(namespace: string, ...args: string[]) {
  return JSON.parse(await server.kubectl(['-n', namespace, 'get', ...args, '-o', 'json']))
}

const holder = async (namespace: string): Promise<string | undefined> =>
  (await json(namespace, 'leases', '--ignore-not-found').then(({ items }) => items[0]?.spec?.holderIdentity)) as string

function captured(offset: number, replayFrom: number): Capture {
  return { stages: [], commit: { offset, metadata: String(replayFrom) }, tally: null, notices: [] }
}

it('writes what ending the pod would cost into its annotation', async () => {
  const access = await makeNamespace(server, 'cost')
  const { ties, lines } = await begin(access, 'cost', 'agg-0')
  ties.on.assigned(1, [0, 1])
  ties.on.delivered(0, captured(70_000, 65_536), 1)
  const pod = await until(
    () => json('cost', 'pod', 'agg-0'),
    ({ metadata }) => metadata.annotations !== undefined,
  )
  expect(pod.metadata.annotations).toEqual({ 'controller.kubernetes.io/pod-deletion-cost': '204464' })
  expect(lines).toEqual([])
})

describe('the limit of the ScaledObject', () => {
  it('follows the partitions, and says so on the Deployment; an annotation leaves it alone', async () => {
    const access = await makeNamespace(server, 'limit')
    const { ties, lines } = await begin(access, 'limit', 'agg-0')
    let partitions = 12
    ties.keepLimit(async () => partitions)
    const limit = () => json('limit', 'scaledobject', 'agg').then(({ spec }) => spec.maxReplicaCount as number)
    await until(limit, max => max === 12)
    partitions = 24
    await until(limit, max => max === 24)
    const changes = lines.filter(({ event }) => event === 'scaling_limit_changed').map(({ fields }) => fields)
    expect(changes).toEqual([
      { scaled_object: 'agg', from: 4, to: 12 },
      { scaled_object: 'agg', from: 12, to: 24 },
    ])
    const events = await until(
      () => json('limit', 'events.events.k8s.io').then(({ items }) => items),
      items => items.length === 2,
    )
    const { uid } = (await json('limit', 'deployment', 'agg')).metadata
    expect(events[0]).toMatchObject({
      reason: 'ScalingLimitChanged',
      type: 'Normal',
      reportingController: 'tidemark.dev/aggregate',
      reportingInstance: 'agg-0',
      regarding: { kind: 'Deployment', name: 'agg', namespace: 'limit', uid },
    })
    const patch = '{"metadata":{"annotations":{"tidemark.dev/max-replicas":"fixed"}},"spec":{"maxReplicaCount":6}}'
    await server.kubectl(['-n', 'limit', 'patch', 'scaledobject', 'agg', '--type=merge', '-p', patch])
    await sleep(3 * PACE.limitMs)
    expect(await limit()).toBe(6)
  })

  it('is kept by one: the next one begins a Lease’s duration after a death, and at once after a release', async () => {
    const access = await makeNamespace(server, 'lease')
    const first = await begin(access, 'lease', 'agg-0')
    first.ties.keepLimit(async () => 4)
    await until(
      () => holder('lease'),
      name => name === 'agg-0',
    )
    const { uid } = (await json('lease', 'deployment', 'agg')).metadata
    expect((await json('lease', 'lease', 'agg')).metadata.ownerReferences).toMatchObject([{ name: 'agg', uid }])
    const second = await begin(access, 'lease', 'agg-1')
    second.ties.keepLimit(async () => 4)
    await sleep(1_200)
    expect(await holder('lease')).toBe('agg-0')

    first.die()
    const diedAt = performance.now()
    await until(
      () => holder('lease'),
      name => name === 'agg-1',
    )
    // Its last renewal may be a whole interval old.
    expect(performance.now() - diedAt).toBeGreaterThan(PACE.lease.durationMs - PACE.leaseMs)
    const turns = () => first.lines.map(({ event }) => event).filter(event => event.includes('leading'))
    expect(turns()).toEqual(['leading', 'no_longer_leading'])

    const third = await begin(access, 'lease', 'agg-2')
    third.ties.keepLimit(async () => 4)
    await sleep(500)
    await second.ties.end()
    const releasedAt = performance.now()
    await until(
      () => holder('lease'),
      name => name === 'agg-2',
    )
    expect(performance.now() - releasedAt).toBeLessThan(PACE.lease.durationMs)
    expect((await json('lease', 'lease', 'agg')).spec).toMatchObject({ leaseTransitions: 2, leaseDurationSeconds: 1 })
  })
})

describe('Events', () => {
  it('count what comes again, also from another process', async () => {
    const access = await makeNamespace(server, 'events')
    const { ties, lines } = await begin(access, 'events', 'agg-0')
    const alarm = {
      kind: 'raised',
      partition: 3,
      records: 200,
      rejected: 50,
      share: 0.25,
      codes: [['not_json', 50]],
    } as const
    ties.alarm(alarm)
    ties.on.notice(1, { kind: 'gap', from: 10, to: 20 })
    ties.on.notice(1, { kind: 'rejected', offset: 3, code: 'not_json' })
    ties.on.corrupt(2, { from: 99, skipped: false })
    const read = () => json('events', 'events.events.k8s.io').then(({ items }) => items as Record<string, unknown>[])
    const events = await until(read, items => items.length === 3)
    expect(events.map(({ reason, type, note }) => [reason, type, note]).sort()).toEqual([
      ['CorruptBatch', 'Warning', expect.stringContaining('Partition 2 stands at offset 99')],
      ['DeadLetterSurge', 'Warning', expect.stringContaining('50 of 200 events (25 %)')],
      ['LogGap', 'Warning', expect.stringContaining('offsets 10 to 20')],
    ])
    const other = await begin(access, 'events', 'agg-1')
    other.ties.alarm(alarm)
    const [surge] = await until(
      async () => (await read()).filter(({ reason, series }) => reason === 'DeadLetterSurge' && series !== undefined),
      items => items.length === 1,
    )
    expect(surge).toMatchObject({ series: { count: 2 } })
    expect(await server.kubectl(['-n', 'events', 'describe', 'deployment', 'agg'])).toContain('DeadLetterSurge')
    expect([...lines, ...other.lines]).toEqual([])
  })

  it('tell of a refusal before the process ends, within two seconds and the client’s loading', async () => {
    const access = await makeNamespace(server, 'refused')
    const { lines, log } = collect()
    const kubernetes = { podName: 'agg-0', namespace: 'refused', workload: 'agg', scaledObject: null }
    const settings = { kubernetes, topics: { source: 'user-login' } as never }
    const cluster = openKubernetes({ settings, role: 'aggregate', nameOf: String, env: {}, log }, () => access)
    cluster.ended(new TidemarkError('refused_config_hash', 'the window size was changed: é'.padEnd(2_000, 'é')))
    await cluster.close()
    const [event] = (await json('refused', 'events.events.k8s.io')).items
    expect(event).toMatchObject({ reason: 'ConfigurationRefused', type: 'Warning', action: 'Refuse' })
    expect(Buffer.byteLength(event.note)).toBeLessThanOrEqual(1_024)
    expect(lines).toEqual([])
  })
})

it('without permission all of it is told once, with the permission that is missing, and nothing else happens', async () => {
  const access = await makeNamespace(server, 'forbidden', [])
  const { ties, lines } = await begin(access, 'forbidden', 'agg-0')
  ties.keepLimit(async () => 4)
  ties.on.assigned(1, [0])
  ties.report(refusalReport(new TidemarkError('refused_topic', 'no such topic')))
  const told = async () => lines.map(({ fields }) => Object.values(fields?.permission ?? {}).join(' ')).sort()
  const permissions = [
    ' pods patch',
    'apps deployments get',
    'coordination.k8s.io leases get',
    'events.k8s.io events create',
  ]
  await until(told, names => names.length >= permissions.length)
  await sleep(3 * PACE.leaseMs)
  expect(await told()).toEqual(permissions)
  expect(lines.every(({ level, event }) => level === 'warn' && event === 'kubernetes_forbidden')).toBe(true)
})

it('an API server that is away, or does not answer as one, is an answer and no exception', async () => {
  const access = await makeNamespace(server, 'away')
  const api = await openClient({ ...access, server: 'https://127.0.0.1:1' }, 'away')
  expect(await api.get(KINDS.leases, 'agg')).toMatchObject({ ok: false, status: 0 })
  const wrong = await openClient({ ...access, token: () => 'wrong' }, 'away')
  expect(await wrong.get(KINDS.leases, 'agg')).toMatchObject({ ok: false, status: 401 })
  wrong.close()
})
