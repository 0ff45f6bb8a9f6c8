import { beforeAll, describe, expect, it } from 'vitest'
import { SCHEMA } from '../../src/config/schema.ts'
import { CASES } from './support/cases.ts'
import { settingsOf } from './support/environment.ts'
import { describeWithTools, FULL_NAME, NAMESPACE, RELEASE, type Rendering, render, VERSION } from './support/helm.ts'

const LABELS = ['name', 'instance', 'version', 'part-of', 'managed-by'].map(label => `app.kubernetes.io/${label}`)
const ROLES = ['aggregate', 'reduce', 'sink', 'serve']
const CONSUMERS = ['aggregate', 'reduce', 'sink']

/** Everything that can run, in its plainest form. */
const ALL_ROLES = {
  sink: { enabled: true, embedded: true },
  generator: { enabled: true, rate: 250 },
  audit: { enabled: true },
}

let all: Rendering
beforeAll(async () => {
  all = await render(ALL_ROLES)
})

describeWithTools('workloads', () => {
  it('the default is the two stages and the API, prepared and testable, and nothing that needs an operator or a database', async () => {
    const rendering = await render()
    const wanted = [
      'Deployment aggregate',
      'Deployment reduce',
      'Deployment serve',
      'Job prepare',
      'Job prepare-check',
      'Pod test',
    ]
    const workloads = rendering.objects.filter(({ kind }) => ['Deployment', 'Job', 'Pod', 'CronJob'].includes(kind))
    expect(workloads.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual(
      wanted.map(name => name.replace(' ', ` ${FULL_NAME}-`)).sort(),
    )
    expect(new Set(rendering.objects.map(({ apiVersion }) => apiVersion))).toEqual(
      new Set(['v1', 'apps/v1', 'batch/v1', 'rbac.authorization.k8s.io/v1']),
    )
  })

  it.each([
    ['Deployment', 'aggregate', ['aggregate']],
    ['Deployment', 'reduce', ['reduce']],
    ['Deployment', 'sink', ['sink']],
    ['Deployment', 'serve', ['serve']],
    ['Deployment', 'generate', ['generate', '--rate', '250']],
    ['CronJob', 'audit', ['audit', '--random', '5']],
    ['Pod', 'test', ['probe', '--timeout', '60s']],
  ])('%s %s runs %j', (kind, component, args) => {
    const { args: actual, command } = all.container(kind, component)
    expect(actual).toEqual(args)
    // The image's entrypoint is an init that hands on signals: it must stay.
    expect(command).toBeUndefined()
  })

  it('a release whose name says tidemark gives it to its objects as it is', async () => {
    const named = await render({}, { release: 'my-tidemark' })
    expect(named.names()).toContain('Deployment my-tidemark-aggregate')
  })

  it('names stay valid however long the release is called', async () => {
    const rendering = await render(ALL_ROLES, { release: 'a'.repeat(53) })
    for (const { kind, metadata } of rendering.objects) {
      // A CronJob appends 11 characters to its Jobs' names, and those end up in a label.
      expect(`${kind} ${metadata.name}`).toMatch(kind === 'CronJob' ? /^\w+ .{1,52}$/ : /^\w+ .{1,63}$/)
    }
  })

  it('every object says what it belongs to', () => {
    for (const { kind, metadata } of all.objects) {
      expect(Object.keys(metadata.labels), `${kind} ${metadata.name}`).toEqual(expect.arrayContaining(LABELS))
      expect(metadata.labels['app.kubernetes.io/version']).toBe(VERSION)
    }
  })

  it('commonLabels and commonAnnotations reach every object', async () => {
    const rendering = await render({ ...ALL_ROLES, commonLabels: { team: 'a' }, commonAnnotations: { owner: 'b' } })
    for (const { kind, metadata } of rendering.objects) {
      expect([metadata.labels.team, metadata.annotations?.owner], `${kind} ${metadata.name}`).toEqual(['a', 'b'])
    }
  })
})

describeWithTools('selectors', () => {
  const selector = (component: string) => ({
    'app.kubernetes.io/name': 'tidemark',
    'app.kubernetes.io/instance': RELEASE,
    'app.kubernetes.io/component': component,
  })

  it('hold only what never changes, since a Deployment refuses any other', async () => {
    const changed = await render({
      ...ALL_ROLES,
      image: { tag: 'v9' },
      commonLabels: { team: 'a' },
      podLabels: { x: 'y' },
      config: { LOG_LEVEL: 'debug' },
    })
    for (const rendering of [all, changed]) {
      for (const component of [...ROLES, 'generate']) {
        const { spec } = rendering.get('Deployment', component)
        expect(spec.selector.matchLabels).toEqual(selector(component))
        expect(spec.template.metadata.labels).toMatchObject(selector(component))
      }
    }
  })

  it('of the Service, the disruption budgets and the spread constraints are those of their Deployments', async () => {
    const rendering = await render({ serve: { replicas: 2 }, aggregate: { replicas: 3 } })
    expect(rendering.get('Service', 'serve').spec.selector).toEqual(selector('serve'))
    for (const component of ['serve', 'aggregate']) {
      expect(rendering.get('PodDisruptionBudget', component).spec.selector.matchLabels).toEqual(selector(component))
      const spread = rendering.get('Deployment', component).spec.template.spec.topologySpreadConstraints
      expect(spread).toHaveLength(2)
      for (const { labelSelector } of spread) expect(labelSelector.matchLabels).toEqual(selector(component))
    }
  })
})

describeWithTools('the settings', () => {
  it.each(CASES)('of every pod are ones that the program takes: $name', async ({ file, values }) => {
    const rendering = await render(values, file === undefined ? {} : { file })
    for (const pod of rendering.pods()) {
      // Read by the program's own loader, with the files that the pod mounts and no others.
      const settings = settingsOf(rendering, pod)
      expect(settings.kafka.brokers.length, pod.metadata.name).toBeGreaterThan(0)
    }
  })

  it('in the ConfigMap are settings of the program', () => {
    for (const name of Object.keys(all.get('ConfigMap').data)) expect(SCHEMA).toHaveProperty(name)
  })

  it('come from the values', async () => {
    const rendering = await render({
      kafka: { brokers: 'a:1,b:2', topics: { source: 'in', partitions: 24, partialsPartitions: 6 } },
      config: { WINDOW_SIZE: '5s', FLUSH_MAX_EVENTS: 1_000_000, ENRICHED_ENABLED: false },
    })
    expect(rendering.get('ConfigMap').data).toMatchObject({
      KAFKA_BROKERS: 'a:1,b:2',
      SOURCE_TOPIC: 'in',
      SOURCE_PARTITIONS: '24',
      PARTIALS_PARTITIONS: '6',
      WINDOW_SIZE: '5s',
      // Helm would write 1e+06.
      FLUSH_MAX_EVENTS: '1000000',
      ENRICHED_ENABLED: 'false',
    })
  })

  it('restart the pods when they change, and only then', async () => {
    const sums = async (values: object) => {
      const rendering = await render({ ...ALL_ROLES, ...values })
      return ROLES.map(
        role => rendering.get('Deployment', role).spec.template.metadata.annotations['checksum/config'] as string,
      )
    }
    const before = await sums({})
    expect(await sums({ audit: { schedule: '1 * * * *' } })).toEqual(before)
    const after = await sums({ config: { FLUSH_INTERVAL: '2s' } })
    for (const [index, sum] of after.entries()) expect(sum).not.toBe(before[index])
  })

  it('a container of extraEnv wins over the ConfigMap', async () => {
    const rendering = await render({ aggregate: { extraEnv: [{ name: 'LOG_LEVEL', value: 'debug' }] } })
    expect(rendering.env('Deployment', 'aggregate').LOG_LEVEL).toBe('debug')
    expect(rendering.env('Deployment', 'reduce').LOG_LEVEL).toBeUndefined()
  })
})

describeWithTools('pods', () => {
  it('run as a numeric user with nothing that they do not need', () => {
    for (const { metadata, spec } of all.pods()) {
      expect(spec.securityContext, metadata.name).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10_001,
        seccompProfile: { type: 'RuntimeDefault' },
      })
      expect(spec.enableServiceLinks).toBe(false)
      for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
        expect(container.securityContext).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(container.volumeMounts).toContainEqual({ name: 'tmp', mountPath: '/tmp' })
      }
      expect(spec.volumes[0]).toMatchObject({ name: 'tmp', emptyDir: { sizeLimit: '128Mi' } })
    }
  })

  it.each(ROLES)('%s is asked by three probes, of which none but readiness depends on others', role => {
    const container = all.container('Deployment', role)
    expect(container.ports).toEqual([{ name: 'http', containerPort: 8080, protocol: 'TCP' }])
    expect(container.startupProbe.httpGet).toEqual({ path: '/livez', port: 'http' })
    expect(container.livenessProbe.httpGet).toEqual({ path: '/livez', port: 'http' })
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' })
    expect(all.get('ConfigMap').data.HTTP_PORT).toBe('8080')
  })

  it.each(CONSUMERS)('%s is replaced one by one, none in addition: each further member costs a rebalance', role => {
    const { strategy, template } = all.get('Deployment', role).spec
    expect(strategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } })
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(30)
  })

  it('the API answers without a gap while it is replaced', () => {
    const { strategy, template } = all.get('Deployment', 'serve').spec
    expect(strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 })
    expect(template.spec.containers[0].lifecycle.preStop).toEqual({ sleep: { seconds: 5 } })
  })

  it('on Kubernetes 1.29, which knows no sleep action, it sleeps by a program', async () => {
    const old = await render({}, { kubeVersion: '1.29.0' })
    expect(old.container('Deployment', 'serve').lifecycle.preStop).toEqual({ exec: { command: ['sleep', '5'] } })
  })

  describe('the image', () => {
    const image = async (values: object) => (await render({ image: values })).container('Deployment', 'serve').image
    const digest = `sha256:${'a'.repeat(64)}`
    it.each([
      [{}, `tidemark:${VERSION}`],
      [{ registry: 'r.example.org', repository: 'x/tidemark', tag: 'v2' }, 'r.example.org/x/tidemark:v2'],
      [{ tag: 'v2', digest }, `tidemark@${digest}`],
    ])('%j is %s', async (values, wanted) => {
      expect(await image(values)).toBe(wanted)
    })
  })

  it('a disruption budget exists where there can be more than one pod: on one alone it would hold up every drain', async () => {
    expect(all.ofKind('PodDisruptionBudget')).toEqual([])
    const several = await render({ reduce: { replicas: 2 }, autoscaling: { keda: { enabled: true } } })
    expect(several.ofKind('PodDisruptionBudget').map(({ metadata }) => metadata.name)).toEqual([
      `${FULL_NAME}-aggregate`,
      `${FULL_NAME}-reduce`,
    ])
    expect(several.get('PodDisruptionBudget', 'aggregate').spec.maxUnavailable).toBe(1)
  })

  it('objects leave their namespace to the release', () => {
    for (const { kind, metadata } of all.objects) {
      expect([undefined, NAMESPACE], `${kind} ${metadata.name}`).toContain(metadata.namespace)
    }
  })
})
