import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TidemarkError } from '../../../src/errors.ts'
import { podAccess } from '../../../src/kubernetes/access.ts'
import { KINDS } from '../../../src/kubernetes/api.ts'
import { openKubernetes } from '../../../src/kubernetes/openKubernetes.ts'
import { Troubles } from '../../../src/kubernetes/troubles.ts'

describe('a pod’s access', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-pod-'))
    writeFileSync(join(folder, 'token'), 'first\n')
    writeFileSync(join(folder, 'ca.crt'), 'pem')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it.each([
    [{ KUBERNETES_SERVICE_HOST: '10.96.0.1' }, 'https://10.96.0.1:443'],
    [{ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, 'https://[fd00::1]:6443'],
  ])('%o', (env, server) => {
    expect(podAccess(env, folder)).toMatchObject({ server, certificateAuthority: 'pem' })
  })

  it('shows a token that was replaced within a minute', () => {
    let now = 0
    const { token } = podAccess({ KUBERNETES_SERVICE_HOST: 'h' }, folder, () => now)
    writeFileSync(join(folder, 'token'), 'second\n')
    expect(token()).toBe('first')
    now = 60_000
    expect(token()).toBe('second')
  })

  it('is none outside of a cluster', () => {
    expect(() => podAccess({}, folder)).toThrow('KUBERNETES_SERVICE_HOST is not set')
  })
})

it('trouble is told once, a permission by its names, and when it is over', () => {
  const lines: unknown[] = []
  const troubles = new Troubles({ write: (level, event, fields) => lines.push([level, event, fields?.permission]) })
  for (let i = 0; i < 3; i++) troubles.refused('patch', KINDS.scaledObjects, { status: 403, reason: 'no' })
  troubles.worked('patch', KINDS.scaledObjects)
  troubles.worked('patch', KINDS.scaledObjects)
  troubles.refused('patch', KINDS.pods, { status: 0, reason: 'no answer' })
  const permission = { apiGroup: 'keda.sh', resource: 'scaledobjects', verb: 'patch' }
  expect(lines).toEqual([
    ['warn', 'kubernetes_forbidden', permission],
    ['info', 'kubernetes_works', undefined],
    ['warn', 'kubernetes_failed', undefined],
  ])
})

describe('a role', () => {
  const open = (kubernetes: object | null) => {
    const lines: string[] = []
    const settings = { kubernetes, topics: { source: 'logins' } } as never
    const log = { write: (_level: string, event: string) => lines.push(event) }
    return { lines, cluster: openKubernetes({ settings, role: 'aggregate', nameOf: String, env: {}, log }) }
  }

  it('without a cluster asks nothing', async () => {
    const { lines, cluster } = open(null)
    cluster.on.assigned(1, [0])
    cluster.ended(new TidemarkError('refused_topic', 'x'))
    await cluster.close()
    expect(lines).toEqual([])
  })

  it('that finds no cluster where one was named says so once, and goes on', async () => {
    const pod = { podName: 'p', namespace: 'n', workload: 'w', scaledObject: 's' }
    const { lines, cluster } = open(pod)
    cluster.keepLimit(async () => 4)
    cluster.on.assigned(1, [0])
    cluster.ended(new TidemarkError('refused_topic', 'x'))
    await cluster.close()
    expect(lines).toEqual(['kubernetes_off'])
  })
})
