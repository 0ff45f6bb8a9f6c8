import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, inject } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { type Done, runProgram } from '../../../scripts/tools/run.ts'
import { ensureTool } from '../../../scripts/tools.ts'

export const ROOT = join(import.meta.dirname, '..', '..', '..')
export const CHART = join(ROOT, 'charts', 'tidemark')
/** The version in package.json. */
export const VERSION: string = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version
export const NAMESPACE = 'logins'
/** The release's name, so that objects are called `<RELEASE>-tidemark`. */
export const RELEASE = 'blue'
export const FULL_NAME = `${RELEASE}-tidemark`

const HELM_TIMEOUT_MS = 60_000

/** What a cluster with all operators says that it knows. */
const KNOWN_KINDS = [
  'keda.sh/v1alpha1/ScaledObject',
  'keda.sh/v1alpha1/TriggerAuthentication',
  'monitoring.coreos.com/v1/PodMonitor',
  'monitoring.coreos.com/v1/ServiceMonitor',
  'monitoring.coreos.com/v1/PrometheusRule',
  'kafka.strimzi.io/v1/KafkaTopic',
  'kafka.strimzi.io/v1/KafkaUser',
]

/** Any object of a cluster. What lies deeper is looked up by path and compared: a wrong path is a failed test. */
// biome-ignore lint/suspicious/noExplicitAny: a schema for each kind would be another copy of Kubernetes
export type KubeObject = { apiVersion: string; kind: string; metadata: any; [field: string]: any }

/** A group of tests that is left out where Helm and the API server cannot be had. */
export const describeWithTools = describe.skipIf(typeof inject('toolsMissing') === 'string')

/** Values as in values.yaml, as many as matter. */
export type Values = Readonly<Record<string, unknown>>

type RenderOptions = {
  /** A file of values that `values` are put over. */
  readonly file?: string
  /** By default all: the operators' too. */
  readonly knownKinds?: readonly string[]
  readonly kubeVersion?: string
  readonly release?: string
}

/** The objects that the chart makes of these values, hooks and tests included. @throws Error with Helm's message */
export async function render(values: Values = {}, options: RenderOptions = {}): Promise<Rendering> {
  const done = await tryRender(values, options)
  if (done.status !== 0) throw new Error(done.stderr)
  return new Rendering(objectsOf(done.stdout))
}

/** The message with which the chart refuses these values. @throws Error when it takes them */
export async function refusal(values: Values, options: RenderOptions = {}): Promise<string> {
  const done = await tryRender(values, options)
  if (done.status === 0) throw new Error(`the chart took these values: ${JSON.stringify(values)}`)
  return done.stderr
}

function tryRender(values: Values, options: RenderOptions): Promise<Done> {
  const { file, kubeVersion, knownKinds = KNOWN_KINDS, release = RELEASE } = options
  return helm(
    [
      ...['template', release, CHART, '--namespace', NAMESPACE],
      ...(file === undefined ? [] : ['--values', file]),
      ...['--values', '-'],
      ...(kubeVersion === undefined ? [] : ['--kube-version', kubeVersion]),
      ...knownKinds.flatMap(kind => ['--api-versions', kind]),
    ],
    { input: JSON.stringify(values) },
  )
}

/** Runs Helm. Without a kubeconfig it reaches no cluster, whatever this machine's user has. */
export async function helm(
  args: readonly string[],
  options: { readonly input?: string; readonly kubeconfig?: string } = {},
): Promise<Done> {
  const env = { KUBECONFIG: options.kubeconfig ?? '/nonexistent' }
  return runProgram(await ensureTool('helm'), args, { input: options.input, timeoutMs: HELM_TIMEOUT_MS, env })
}

/** What `kubectl apply -k` is told to take, by the documents and by skaffold.yaml. */
export const KUSTOMIZATIONS = ['base', 'overlays/keda', 'overlays/prod', 'dev', 'dev/local'].map(path => ({
  name: `k8s-${path.replaceAll('/', '-')}`,
  path: join(ROOT, 'k8s', path),
}))

/** The objects of a kustomization. @throws Error with kubectl's message */
export async function kustomize(path: string): Promise<KubeObject[]> {
  const done = await runProgram(await ensureTool('kubectl'), ['kustomize', path], { timeoutMs: HELM_TIMEOUT_MS })
  if (done.status !== 0) throw new Error(done.stderr)
  return objectsOf(done.stdout)
}

/** The files of values that the chart keeps for its tests, as `keda-values.yaml`. */
export function ciFiles(): string[] {
  return readdirSync(join(CHART, 'ci')).sort()
}

/** The path of one of them, as ciFile('keda'). */
export function ciFile(name: string): string {
  return join(CHART, 'ci', `${name}-values.yaml`)
}

/** Objects as one text of single documents. */
export function documents(objects: readonly object[]): string {
  return objects.map(object => JSON.stringify(object)).join('\n---\n')
}

/** The objects in a text of YAML documents, read as Kubernetes does: 0440 is octal. @throws Error when it is no YAML */
export function objectsOf(text: string): KubeObject[] {
  const documents = parseAllDocuments(text, { version: '1.1' })
  if (!Array.isArray(documents)) return []
  return documents.flatMap(document => {
    if (document.errors.length > 0) throw document.errors[0]
    const object = document.toJS() as KubeObject | null
    return object === null ? [] : [object]
  })
}

/** What the chart made, with the questions that tests ask of it. */
export class Rendering {
  readonly objects: readonly KubeObject[]

  constructor(objects: readonly KubeObject[]) {
    this.objects = objects
  }

  /** The object of this kind and name without the release's, as get('Deployment', 'aggregate'). @throws Error when there is none */
  get(kind: string, component = ''): KubeObject {
    const object = this.find(kind, component)
    if (object === undefined) throw new Error(`no ${kind} ${component} among:\n${this.names().join('\n')}`)
    return object
  }

  find(kind: string, component = ''): KubeObject | undefined {
    const name = component === '' ? FULL_NAME : `${FULL_NAME}-${component}`
    return this.objects.find(object => object.kind === kind && object.metadata.name === name)
  }

  ofKind(kind: string): KubeObject[] {
    return this.objects.filter(object => object.kind === kind)
  }

  /** `<kind> <name>` of every object. */
  names(): string[] {
    return this.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  }

  /** Every pod that the objects would start, by the name of what starts it. */
  pods(): KubeObject[] {
    return this.objects.flatMap(podsOf)
  }

  /** The first container of a workload. */
  container(kind: string, component: string): KubeObject {
    const [pod] = podsOf(this.get(kind, component))
    return pod?.spec.containers[0]
  }

  /** The plain environment of a workload's first container, without what comes by envFrom or by reference. */
  env(kind: string, component: string): Record<string, string | undefined> {
    const entries: { name: string; value?: string }[] = this.container(kind, component).env ?? []
    return Object.fromEntries(entries.map(({ name, value }) => [name, value]))
  }
}

/** The pod that an object would start, as an object of its own; none for other kinds. */
export function podsOf({ kind, metadata, spec }: KubeObject): KubeObject[] {
  const template = podTemplate(kind, metadata, spec)
  if (template === null) return []
  const labels = template.metadata?.labels
  const annotations = template.metadata?.annotations
  return [
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: metadata.name, labels, annotations }, spec: template.spec },
  ]
}

function podTemplate(kind: string, metadata: KubeObject['metadata'], spec: KubeObject): KubeObject | null {
  switch (kind) {
    case 'Pod':
      return { apiVersion: 'v1', kind, metadata, spec }
    case 'Deployment':
    case 'StatefulSet':
    case 'Job':
      return spec.template
    case 'CronJob':
      return spec.jobTemplate.spec.template
    default:
      return null
  }
}
