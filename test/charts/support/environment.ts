import { loadSettings } from '../../../src/config/load.ts'
import type { Settings } from '../../../src/config/settings.ts'
import type { KubeObject, Rendering } from './helm.ts'

/** What stands in for a value that only the cluster knows, as a pod's name. */
const FROM_THE_CLUSTER = 'some-name'

type Variable = { readonly name: string; readonly value?: string }

/**
 * The settings that a pod's first container gets, by the program's own loader: its environment with the ConfigMaps of the
 * rendering, and the files of its mounted secrets.
 *
 * @throws TidemarkError 'bad_setting' when the program would refuse them, a file that no volume brings included
 */
export function settingsOf(rendering: Rendering, pod: KubeObject): Settings {
  const container = pod.spec.containers[0]
  return loadSettings(environmentOf(rendering, container), path => mountedFile(pod, container, path))
}

/** The variables of a container, those of the rendering's ConfigMaps included. */
export function environmentOf(rendering: Rendering, container: KubeObject): Record<string, string> {
  const sources: { configMapRef?: { name: string } }[] = container.envFrom ?? []
  const maps = sources.map(({ configMapRef }) =>
    rendering.objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef?.name),
  )
  const variables: Variable[] = container.env ?? []
  return Object.assign(
    {},
    ...maps.map(map => map?.data),
    Object.fromEntries(variables.map(({ name, value }) => [name, value ?? FROM_THE_CLUSTER])),
  )
}

/** The paths of the files that a container finds of secrets, each with `<secret>/<key>`. */
export function mountedSecrets(pod: KubeObject, container: KubeObject): Map<string, string> {
  const files = new Map<string, string>()
  for (const { name, mountPath } of container.volumeMounts) {
    const volume = pod.spec.volumes.find((candidate: { name: string }) => candidate.name === name)
    const secrets = [
      ...(volume?.secret === undefined ? [] : [{ ...volume.secret, name: volume.secret.secretName }]),
      ...(volume?.projected?.sources ?? []).map(({ secret }: KubeObject) => secret),
    ]
    for (const secret of secrets) {
      for (const { key, path } of secret.items) files.set(`${mountPath}/${path}`, `${secret.name}/${key}`)
    }
  }
  return files
}

function mountedFile(pod: KubeObject, container: KubeObject, path: string): string {
  const content = mountedSecrets(pod, container).get(path)
  if (content === undefined) throw new Error(`no volume brings ${path}`)
  // The loader looks at the form of some.
  if (path.endsWith('/url')) return 'postgresql://user@database/results'
  return /\.(crt|key)$/.test(path) ? `-----BEGIN ${content}-----` : content
}
