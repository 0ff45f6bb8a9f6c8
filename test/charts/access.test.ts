import { describe, expect, it } from 'vitest'
import { mountedSecrets, settingsOf } from './support/environment.ts'
import { describeWithTools, FULL_NAME, type KubeObject, podsOf, type Rendering, render } from './support/helm.ts'

const TLS_AND_SASL = {
  brokers: 'kafka:9093',
  tls: {
    enabled: true,
    existingSecret: 'user',
    caExistingSecret: 'cluster-ca',
    certKey: 'user.crt',
    keyKey: 'user.key',
  },
  sasl: { mechanism: 'scram-sha-512', username: 'tide', existingSecret: 'user' },
}

/** Every pod that speaks to the brokers, the hooks included. */
const EVERYONE = {
  sink: { enabled: true, database: { existingSecret: 'results' } },
  generator: { enabled: true },
  audit: { enabled: true },
}

describeWithTools('secrets', () => {
  it('of TLS and SASL reach every container of every pod as files, and no environment', async () => {
    const rendering = await render({ ...EVERYONE, kafka: TLS_AND_SASL })
    const pods = rendering.pods()
    const components = pods.map(({ metadata }) => metadata.labels['app.kubernetes.io/component'])
    expect(new Set(components)).toEqual(
      new Set(['aggregate', 'reduce', 'sink', 'serve', 'generate', 'audit', 'prepare', 'test']),
    )
    for (const pod of pods) {
      for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
        const files = Object.fromEntries(mountedSecrets(pod, container))
        expect(files, pod.metadata.name).toMatchObject({
          '/etc/tidemark/kafka/ca.crt': 'cluster-ca/ca.crt',
          '/etc/tidemark/kafka/tls.crt': 'user/user.crt',
          '/etc/tidemark/kafka/tls.key': 'user/user.key',
          '/etc/tidemark/kafka/password': 'user/password',
        })
        expect(JSON.stringify(container.env)).not.toContain('secretKeyRef')
      }
      expect(settingsOf(rendering, pod).kafka).toMatchObject({
        tls: { ca: expect.any(String), cert: expect.any(String), key: expect.any(String) },
        sasl: { mechanism: 'scram-sha-512', username: 'tide', password: 'user/password' },
      })
    }
  })

  it('are readable by the group of the pod alone', async () => {
    const { spec } = (await render({ kafka: TLS_AND_SASL })).pods()[0] as KubeObject
    expect(spec.volumes.find(({ name }: KubeObject) => name === 'kafka').projected.defaultMode).toBe(0o440)
    expect(spec.securityContext.fsGroup).toBe(10_001)
  })

  it("the database's reaches the sink, and no one else", async () => {
    const rendering = await render({ sink: { enabled: true, database: { existingSecret: 'results', key: 'uri' } } })
    const withDatabase = rendering.pods().filter(pod => JSON.stringify(pod.spec).includes('results'))
    expect(withDatabase.map(({ metadata }) => metadata.name)).toEqual([`${FULL_NAME}-sink`])
    const [pod] = withDatabase as [KubeObject]
    expect(mountedSecrets(pod, pod.spec.containers[0]).get('/etc/tidemark/database/url')).toBe('results/uri')
    expect(settingsOf(rendering, pod).databaseUrl).toMatch(/^postgresql:/)
  })

  it('none is made by the chart', async () => {
    expect((await render({ ...EVERYONE, kafka: TLS_AND_SASL })).ofKind('Secret')).toEqual([])
  })
})

/** What each role asks of the cluster, as src/kubernetes does; `names` limits it to the role's own objects. */
type Rule = { readonly group: string; readonly resource: string; readonly verbs: string[]; readonly names?: string[] }

function rulesOf(rendering: Rendering, component: string): Rule[] {
  const rules: KubeObject[] = rendering.get('Role', component).rules
  return rules.map(({ apiGroups, resources, verbs, resourceNames }) => ({
    group: apiGroups.join(),
    resource: resources.join(),
    verbs: verbs.toSorted(),
    ...(resourceNames === undefined ? {} : { names: resourceNames }),
  }))
}

describeWithTools('rights in the cluster', () => {
  const name = (component: string) => `${FULL_NAME}-${component}`
  const common = (component: string): Rule[] => [
    { group: '', resource: 'pods', verbs: ['patch'] },
    { group: 'events.k8s.io', resource: 'events', verbs: ['create', 'patch'] },
    { group: 'apps', resource: 'deployments', verbs: ['get'], names: [name(component)] },
  ]

  it('an aggregator has those that it uses, on its own objects where the API can tell them apart', async () => {
    const rendering = await render({ autoscaling: { keda: { enabled: true } } })
    expect(rulesOf(rendering, 'aggregate')).toEqual([
      ...common('aggregate'),
      { group: 'coordination.k8s.io', resource: 'leases', verbs: ['create'] },
      { group: 'coordination.k8s.io', resource: 'leases', verbs: ['get', 'update'], names: [name('aggregate')] },
      { group: 'keda.sh', resource: 'scaledobjects', verbs: ['get', 'patch'], names: [name('aggregate')] },
    ])
    expect(rulesOf(rendering, 'reduce')).toEqual(common('reduce'))
  })

  it('without KEDA there is none on ScaledObjects', async () => {
    const groups = rulesOf(await render(), 'aggregate').map(({ group }) => group)
    expect(groups).not.toContain('keda.sh')
  })

  it('are bound to the account of the role alone, and only its pods get a token', async () => {
    const rendering = await render(EVERYONE)
    for (const component of ['aggregate', 'reduce']) {
      const { roleRef, subjects } = rendering.get('RoleBinding', component)
      expect(roleRef).toMatchObject({ kind: 'Role', name: name(component) })
      expect(subjects).toEqual([{ kind: 'ServiceAccount', name: name(component), namespace: 'logins' }])
    }
    const withToken = rendering.pods().filter(({ spec }) => spec.automountServiceAccountToken !== false)
    expect(withToken.map(({ metadata }) => metadata.name)).toEqual([name('aggregate'), name('reduce')])
    for (const { metadata, spec } of withToken) expect(spec.serviceAccountName).toBe(metadata.name)
    for (const { automountServiceAccountToken } of rendering.ofKind('ServiceAccount')) {
      expect(automountServiceAccountToken).toBe(false)
    }
  })

  it('are none when the roles shall not ask the cluster', async () => {
    const rendering = await render({ kubernetes: { enabled: false } })
    expect([...rendering.ofKind('Role'), ...rendering.ofKind('RoleBinding')]).toEqual([])
    for (const { spec } of rendering.pods()) expect(spec.automountServiceAccountToken).toBe(false)
    expect(rendering.env('Deployment', 'aggregate')).not.toHaveProperty('KUBERNETES_ENABLED')
  })

  it('never reach beyond the namespace', async () => {
    const rendering = await render({ ...EVERYONE, autoscaling: { keda: { enabled: true } } })
    expect(rendering.objects.filter(({ kind }) => kind.startsWith('Cluster'))).toEqual([])
  })

  it('the pods know the names that they need', async () => {
    const rendering = await render()
    for (const component of ['aggregate', 'reduce']) {
      const [pod] = podsOf(rendering.get('Deployment', component)) as [KubeObject]
      expect(settingsOf(rendering, pod).kubernetes).toMatchObject({ workload: name(component), scaledObject: null })
    }
    const references = rendering
      .container('Deployment', 'aggregate')
      .env.filter(({ valueFrom }: KubeObject) => valueFrom)
    expect(references).toEqual([
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
    ])
  })
})

describeWithTools('network policies', () => {
  /** What the policies that select a component let it do; null when none limits that direction. */
  function allowed(rendering: Rendering, component: string, direction: 'ingress' | 'egress'): KubeObject[] | null {
    const policies = rendering.ofKind('NetworkPolicy').filter(({ spec }) => {
      const { matchLabels, matchExpressions = [] } = spec.podSelector
      const only = matchLabels['app.kubernetes.io/component']
      const type = direction === 'ingress' ? 'Ingress' : 'Egress'
      const isSelected = matchExpressions.every(({ operator, values }: KubeObject) =>
        operator === 'In' ? values.includes(component) : !values.includes(component),
      )
      return spec.policyTypes.includes(type) && isSelected && (only === undefined || only === component)
    })
    return policies.length === 0 ? null : policies.flatMap(({ spec }) => spec[direction] ?? [])
  }
  const ports = (rules: KubeObject[] | null) =>
    (rules ?? []).flatMap((rule): number[] => rule.ports.map(({ port }: KubeObject) => port)).toSorted()

  it('are off by default: not every network enforces them, and yours may have its own', async () => {
    expect((await render()).ofKind('NetworkPolicy')).toEqual([])
  })

  it('let each role reach what it needs, and no more', async () => {
    const rendering = await render({
      ...EVERYONE,
      networkPolicy: { enabled: true },
      kafka: { brokers: 'a:9093,b:9094' },
    })
    const reach = (component: string) => ports(allowed(rendering, component, 'egress'))
    expect(reach('aggregate')).toEqual([443, 53, 53, 6443, 9093, 9094])
    expect(reach('sink')).toEqual([53, 53, 5432, 9093, 9094])
    for (const component of ['serve', 'generate', 'audit', 'prepare', 'test']) {
      expect(reach(component), component).toEqual([53, 53, 9093, 9094])
    }
  })

  it('let everyone ask the API, and only scrapers the others', async () => {
    const metricsFrom = [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }]
    const rendering = await render({ networkPolicy: { enabled: true, metricsFrom } })
    expect(allowed(rendering, 'serve', 'ingress')).toEqual([{ ports: [{ port: 'http' }] }])
    for (const component of ['aggregate', 'reduce', 'prepare']) {
      expect(allowed(rendering, component, 'ingress')).toEqual([{ ports: [{ port: 'http' }], from: metricsFrom }])
    }
  })

  describe('with peers', () => {
    it('hold the brokers and the API to them', async () => {
      const peer = { podSelector: { matchLabels: { 'strimzi.io/cluster': 'events' } } }
      const networkPolicy = { enabled: true, kafkaTo: [peer], serveFrom: [peer] }
      const rendering = await render({ networkPolicy })
      const rule = allowed(rendering, 'sink', 'egress')?.find(({ ports }) => ports[0].port === 9092)
      expect(rule?.to).toEqual([peer])
      expect(allowed(rendering, 'serve', 'ingress')?.[0]?.from).toContainEqual(peer)
    })
  })
})
