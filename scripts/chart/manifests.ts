import { stringify } from 'yaml'
import { difference, type PatchStep } from './difference.ts'
import type { KubeObject } from './helm.ts'

/** Generated files by their path from the root of the project. */
export type Files = ReadonlyMap<string, string>

/** An overlay: its folder under k8s/overlays, the values that it is made from, and what it is for. */
export type Overlay = { readonly name: string; readonly valuesFile: string; readonly about: string }

export const OVERLAYS: readonly Overlay[] = [
  {
    name: 'keda',
    valuesFile: 'keda-values.yaml',
    about: 'The base, with aggregators and reducers scaled by KEDA on the lag of their groups.',
  },
  {
    name: 'prod',
    valuesFile: 'prod-values.yaml',
    about:
      'A production: KEDA, three copies in Kafka, bounded memory, a sink for the secret `tidemark-database`, audits, monitors, network policies.',
  },
]

const GENERATED = 'Generated from charts/tidemark by scripts/chart.ts: change the chart, not this file.'
const NAMESPACE: KubeObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: 'tidemark',
    labels: {
      'app.kubernetes.io/part-of': 'tidemark',
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    },
  },
}

/** k8s/base: a file for each component. */
export function baseFiles(rendered: readonly KubeObject[]): Files {
  const files = new Map<string, string>([['k8s/base/namespace.yaml', yamlOf([NAMESPACE])]])
  for (const [component, objects] of byComponent(withoutHelm(rendered))) {
    files.set(`k8s/base/${component}.yaml`, yamlOf(objects))
  }
  const resources = [...files.keys()].map(path => path.slice('k8s/base/'.length))
  const about =
    'What `helm template tidemark charts/tidemark` makes of the default values, without Helm: kubectl apply -k k8s/base'
  return files.set('k8s/base/kustomization.yaml', kustomization(about, { namespace: 'tidemark', resources }))
}

/**
 * k8s/overlays/<name>: what these values add to the base as resources, and what they change as JSON patches.
 * @throws Error when the values take an object away, for which there is no case yet
 */
export function overlayFiles(
  { name, about }: Overlay,
  base: readonly KubeObject[],
  rendered: readonly KubeObject[],
): Files {
  const folder = `k8s/overlays/${name}`
  const before = new Map(withoutHelm(base).map(object => [identity(object), object]))
  const after = withoutHelm(rendered)
  const kept = new Set(after.map(identity))
  const gone = [...before.keys()].filter(key => !kept.has(key))
  if (gone.length > 0) throw new Error(`overlay ${name} takes away ${gone.join(', ')}`)

  const files = new Map<string, string>()
  const added = after.filter(object => !before.has(identity(object)))
  for (const [component, objects] of byComponent(added)) files.set(`${folder}/${component}.yaml`, yamlOf(objects))
  const resources = ['../../base', ...[...files.keys()].map(path => path.slice(folder.length + 1))]
  const patches = []
  for (const object of after) {
    const steps = difference(before.get(identity(object)), object)
    if (!before.has(identity(object)) || steps.length === 0) continue
    const path = `patches/${object.kind.toLowerCase()}-${object.metadata.name}.yaml`
    files.set(`${folder}/${path}`, patchOf(steps))
    patches.push({ path, target: { kind: object.kind, name: object.metadata.name } })
  }
  return files.set(`${folder}/kustomization.yaml`, kustomization(about, { resources, patches }))
}

/** What makes sense without Helm: a check that comes before an upgrade needs somebody who stops when it fails. */
function withoutHelm(rendered: readonly KubeObject[]): KubeObject[] {
  return rendered.filter(({ kind, metadata }) => kind !== 'Job' || !metadata.name.endsWith('-check')).map(plain)
}

/** An object as it is without Helm: no hook, no chart, and managed by whoever applies it. */
function plain(object: KubeObject): KubeObject {
  const copy = structuredClone(object)
  visitLabels(copy, labels => {
    delete labels['helm.sh/chart']
    if (labels['app.kubernetes.io/managed-by'] !== undefined) labels['app.kubernetes.io/managed-by'] = 'kustomize'
  })
  const annotations = Object.entries(copy.metadata.annotations ?? {}).filter(([key]) => !key.startsWith('helm.sh/'))
  delete copy.metadata.annotations
  if (annotations.length > 0) copy.metadata.annotations = Object.fromEntries(annotations)
  return copy
}

function visitLabels(value: unknown, change: (labels: Record<string, string>) => void): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'labels' && typeof inner === 'object' && inner !== null) change(inner as Record<string, string>)
    else visitLabels(inner, change)
  }
}

function identity({ apiVersion, kind, metadata }: KubeObject): string {
  return `${apiVersion} ${kind} ${metadata.name}`
}

function byComponent(objects: readonly KubeObject[]): Map<string, KubeObject[]> {
  const groups = new Map<string, KubeObject[]>()
  for (const object of objects) {
    const component = object.metadata.labels?.['app.kubernetes.io/component'] ?? 'common'
    groups.set(component, [...(groups.get(component) ?? []), object])
  }
  return new Map([...groups].sort(([one], [other]) => (one < other ? -1 : 1)))
}

function yamlOf(objects: readonly KubeObject[]): string {
  return `# ${GENERATED}\n${objects.map(object => stringify(object, { lineWidth: 0, version: '1.1' })).join('---\n')}`
}

function patchOf(steps: readonly PatchStep[]): string {
  return `# ${GENERATED}\n${stringify(steps, { lineWidth: 0, version: '1.1' })}`
}

function kustomization(about: string, fields: Readonly<Record<string, unknown>>): string {
  const head = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' }
  return `# ${GENERATED}\n# ${about}\n${stringify({ ...head, ...fields }, { lineWidth: 0, version: '1.1' })}`
}
