import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Done } from '../../scripts/tools/run.ts'
import { type ApiServer, startApiServer } from '../support/kubernetes/apiServer.ts'
import { CASES } from './support/cases.ts'
import {
  CHART,
  ciFile,
  describeWithTools,
  documents,
  FULL_NAME,
  helm,
  KUSTOMIZATIONS,
  type KubeObject,
  kustomize,
  RELEASE,
  Rendering,
  render,
} from './support/helm.ts'

describeWithTools('a real API server', () => {
  let api: ApiServer
  const renderings = new Map<string, Rendering>()

  beforeAll(async () => {
    api = await startApiServer({ crds: ['keda', 'prometheus', 'strimzi'] })
    for (const { name, file, values } of CASES) {
      renderings.set(name, await render(values, file === undefined ? {} : { file }))
    }
    for (const { name, path } of KUSTOMIZATIONS) renderings.set(name, new Rendering(await kustomize(path)))
    await api.kubectl(['apply', '--server-side', '-f', '-'], documents(surroundingsOf(renderings)))
  })
  afterAll(async () => {
    await api?.stop()
  })

  /**
   * What the server says to these objects without keeping them: unknown fields are refused, Pod Security is enforced. They
   * go as single documents: kubectl would look at the fields of a List itself, and not ask the server.
   */
  function dryRun(namespace: string, objects: readonly KubeObject[]): Promise<string> {
    const placed = objects.map(object =>
      object.kind === 'Namespace' ? object : { ...object, metadata: { ...object.metadata, namespace } },
    )
    return api.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], documents(placed))
  }

  describe('takes every object, and every pod in a restricted namespace', () => {
    it.each([...CASES, ...KUSTOMIZATIONS])('$name', async ({ name }) => {
      const rendering = renderings.get(name) as Rendering
      const objects = [...rendering.objects, ...podsOfControllers(rendering)]
      const answer = await dryRun(name, objects)
      expect(answer.match(/\(server dry run\)/g)).toHaveLength(objects.length)
    })
  })

  describe('would refuse', () => {
    it('a field that the API does not know', async () => {
      const deployment = structuredClone(renderings.get('default')?.get('Deployment', 'aggregate')) as KubeObject
      deployment.spec.replica = 3
      await expect(dryRun('default', [deployment])).rejects.toThrow('unknown field "spec.replica"')
    })

    it('a field that a custom resource does not know', async () => {
      const scaled = structuredClone(renderings.get('keda')?.get('ScaledObject', 'aggregate')) as KubeObject
      scaled.spec.maxReplicas = 3
      await expect(dryRun('default', [scaled])).rejects.toThrow('unknown field "spec.maxReplicas"')
    })

    it('a pod that is less than restricted', async () => {
      const securityContext = { allowPrivilegeEscalation: true }
      const less = await render({ securityContext, kubernetes: { enabled: false }, serviceAccount: { create: false } })
      await expect(dryRun('minimal', less.pods())).rejects.toThrow('violates PodSecurity "restricted:latest"')
    })
  })

  /** As a person installs, but for the hooks, which would wait for a node that runs them. */
  describe('holds a release', () => {
    const namespace = 'release'
    const run = (args: readonly string[], values: object | null): Promise<Done> =>
      helm([...args, '--namespace', namespace, ...(values === null ? [] : ['--values', '-'])], {
        input: JSON.stringify(values ?? {}),
        kubeconfig: api.kubeconfigPath,
      })
    const tryInstall = (values: object) => run(['install', RELEASE, CHART, '--dry-run=server'], values)

    beforeAll(async () => {
      await api.createNamespace(namespace, { restricted: true })
      // The mark of a cluster whose controllers run: only then is it asked for secrets.
      await api.kubectl(['-n', namespace, 'create', 'configmap', 'kube-root-ca.crt'])
    })

    it('that is installed, upgraded, scaled by another, upgraded again, and leaves nothing', async () => {
      const deployment = ['-n', namespace, 'deployment', `${FULL_NAME}-aggregate`]
      const upgrade = (config: object, file: string) =>
        run(['upgrade', '--install', RELEASE, CHART, '--no-hooks', '--values', ciFile(file)], { config })
      expect((await upgrade({}, 'default')).stderr).toBe('')
      expect((await upgrade({}, 'keda')).stderr).toBe('')
      await api.kubectl(['scale', ...deployment, '--replicas=7'])
      expect((await upgrade({ LOG_LEVEL: 'debug' }, 'keda')).stderr).toBe('')
      expect(await api.kubectl(['get', ...deployment, '-o=jsonpath={.spec.replicas}'])).toBe('7')
      expect((await run(['uninstall', RELEASE, '--no-hooks'], null)).stderr).toBe('')
      const kinds = 'all,cm,secret,sa,role,rolebinding,pdb,networkpolicy,scaledobject'
      const selector = `app.kubernetes.io/instance=${RELEASE}`
      expect(await api.kubectl(['-n', namespace, 'get', kinds, '-l', selector, '-o=name'])).toBe('')
    })

    it('whose notes tell how to look at it, and warn of a threshold that the steady lag would reach', async () => {
      const load = { expectedEventsPerSecond: 5000 }
      const { stdout } = await tryInstall({ autoscaling: { keda: { enabled: true } }, load })
      expect(stdout).toContain(`helm test ${RELEASE} --namespace ${namespace}`)
      expect(stdout).toContain(`service/${FULL_NAME}-serve 8080:80`)
      expect(stdout).toContain('The steady lag reaches the threshold: 5000 events a second')
      const calm = await tryInstall({ autoscaling: { keda: { enabled: true, lagThreshold: 50_000 } }, load })
      expect(calm.stdout).toContain('helm test')
      expect(calm.stdout).not.toContain('The steady lag reaches')
    })

    it('only with its secrets, which must have the keys', async () => {
      const sasl = { mechanism: 'plain', username: 'tide', existingSecret: 'login' }
      const absent = await tryInstall({ kafka: { sasl } })
      expect(absent.stderr).toContain(`there is no such secret in the namespace ${namespace}`)
      await api.kubectl(['-n', namespace, 'create', 'secret', 'generic', 'login', '--from-literal=pass=x'])
      const incomplete = await tryInstall({ kafka: { sasl } })
      expect(incomplete.stderr).toContain('has no key password, only pass')
      expect((await tryInstall({ kafka: { sasl: { ...sasl, passwordKey: 'pass' } } })).stderr).toBe('')
    })
  })
})

/** The pods that a controller would make: those that the chart makes itself are among its objects. */
function podsOfControllers(rendering: Rendering): KubeObject[] {
  const own = new Set(rendering.ofKind('Pod').map(({ metadata }) => metadata.name))
  return rendering.pods().filter(({ metadata }) => !own.has(metadata.name))
}

/**
 * What admission looks for, since a dry run keeps nothing: a restricted namespace for each, with its service accounts, and
 * the priority classes that are named.
 */
function surroundingsOf(renderings: ReadonlyMap<string, Rendering>): object[] {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  const pods = [...renderings.values()].flatMap(rendering => rendering.pods())
  const classes = new Set(pods.flatMap(({ spec }) => spec.priorityClassName ?? []))
  const priorities = [...classes].map(name => ({
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value: 1000,
  }))
  const namespaces = [...renderings].flatMap(([namespace, rendering]) => {
    const accounts = ['default', ...rendering.ofKind('ServiceAccount').map(({ metadata }) => metadata.name)]
    return [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
      ...accounts.map(name => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } })),
    ]
  })
  return [...priorities, ...namespaces]
}
