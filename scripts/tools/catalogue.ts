import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** How one program comes out of the Go modules beside this file. */
type Recipe = {
  /** The folder beside this file whose go.mod and go.sum fix every version and checksum. */
  readonly folder: string
  /** The module whose version in that go.mod is the program's. */
  readonly module: string
  /** The package to build, as `go build` takes it. */
  readonly package: string
  /** What the program is to know about itself: Go variables that the linker sets. */
  readonly variables: (version: string) => Readonly<Record<string, string>>
  /** Seconds that a build takes on two cores with empty caches, for those who wait. */
  readonly coldSeconds: number
}

const KUBERNETES = { major: '1', minor: '34' } as const

/** Every program that the tests and the cluster of the project use and that no package manager need have. */
const RECIPES = {
  helm: {
    folder: 'helm',
    module: 'helm.sh/helm/v3',
    package: 'helm.sh/helm/v3/cmd/helm',
    variables: helmVariables,
    coldSeconds: 130,
  },
  'kube-score': {
    folder: 'kube-score',
    module: 'github.com/zegl/kube-score',
    package: 'github.com/zegl/kube-score/cmd/kube-score',
    variables: version => ({ 'main.version': version }),
    coldSeconds: 60,
  },
  'kube-state-metrics': {
    folder: 'kube-state-metrics',
    module: 'k8s.io/kube-state-metrics/v2',
    package: 'k8s.io/kube-state-metrics/v2',
    variables: version => ({ 'github.com/prometheus/common/version.Version': `v${version}` }),
    coldSeconds: 120,
  },
  otelcol: {
    folder: 'otelcol',
    module: 'go.opentelemetry.io/collector/otelcol',
    package: '.',
    variables: () => ({}),
    coldSeconds: 90,
  },
  etcd: etcd('etcd', 'server'),
  etcdctl: etcd('etcdctl', 'etcdctl'),
  kubectl: kubernetes('kubectl', 90),
  'kube-apiserver': kubernetes('kube-apiserver', 270),
  'kube-controller-manager': kubernetes('kube-controller-manager', 100),
  'kube-scheduler': kubernetes('kube-scheduler', 30),
  'kube-proxy': kubernetes('kube-proxy', 30),
  kubelet: kubernetes('kubelet', 80),
  coredns: {
    folder: 'coredns',
    module: 'github.com/coredns/coredns',
    package: '.',
    variables: () => ({}),
    coldSeconds: 90,
  },
  keda: keda('operator'),
  'keda-adapter': keda('adapter'),
  'keda-admission-webhooks': keda('webhooks'),
} as const satisfies Record<string, Recipe>

export type ToolName = keyof typeof RECIPES

export type Tool = Recipe & { readonly name: ToolName; readonly version: string }

export const TOOL_NAMES = Object.keys(RECIPES) as readonly ToolName[]

/** What is known of a program; its version is that of go.mod. */
export function toolOf(name: ToolName): Tool {
  const recipe: Recipe = RECIPES[name]
  return { ...recipe, name, version: pinnedVersion(recipe.folder, recipe.module) }
}

/** The folder with the go.mod that pins a program, and with its Go source where there is some of our own. */
export function sourceFolder(folder: string): string {
  return join(import.meta.dirname, folder)
}

/**
 * The version, without its `v`, at which a go.mod of this folder requires a module.
 * @throws TypeError when it does not
 */
export function pinnedVersion(folder: string, module: string): string {
  const path = join(sourceFolder(folder), 'go.mod')
  const required = readFileSync(path, 'utf8').split('\n')
  for (const line of required) {
    const [first, ...rest] = line.trim().split(/\s+/)
    const [name, version] = first === 'require' ? rest : [first, rest[0]]
    if (name === module && version?.startsWith('v') === true) return version.slice(1)
  }
  throw new TypeError(`${path} requires no ${module}`)
}

/** Helm asks the module that it was built with for the Kubernetes version that it renders for, unless told. */
function helmVariables(version: string): Record<string, string> {
  const variables: Record<string, string> = {
    'helm.sh/helm/v3/internal/version.version': `v${version}`,
    'helm.sh/helm/v3/internal/version.metadata': '',
  }
  for (const place of ['helm.sh/helm/v3/pkg/chartutil', 'helm.sh/helm/v3/pkg/lint/rules']) {
    variables[`${place}.k8sVersionMajor`] = KUBERNETES.major
    variables[`${place}.k8sVersionMinor`] = KUBERNETES.minor
  }
  return variables
}

function etcd(name: string, part: string): Recipe {
  const module = `go.etcd.io/etcd/${part}/v3`
  return { folder: 'etcd', module, package: module, variables: () => ({}), coldSeconds: name === 'etcd' ? 65 : 25 }
}

function kubernetes(name: string, coldSeconds: number): Recipe {
  const module = 'k8s.io/kubernetes'
  return { folder: 'kubernetes', module, package: `${module}/cmd/${name}`, variables: kubernetesVariables, coldSeconds }
}

/** Without them the API server calls itself v0.0.0, and kubectl warns about the skew. */
function kubernetesVariables(version: string): Record<string, string> {
  const variables: Record<string, string> = {
    'k8s.io/component-base/version.gitTreeState': 'clean',
    'k8s.io/component-base/version.gitCommit': `v${version}`,
    'k8s.io/component-base/version.buildDate': '1970-01-01T00:00:00Z',
  }
  for (const place of ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']) {
    variables[`${place}.gitVersion`] = `v${version}`
    variables[`${place}.gitMajor`] = KUBERNETES.major
    variables[`${place}.gitMinor`] = KUBERNETES.minor
  }
  return variables
}

function keda(part: string): Recipe {
  const module = 'github.com/kedacore/keda/v2'
  const variables = (version: string) => ({ [`${module}/version.Version`]: version })
  return { folder: 'keda', module, package: `${module}/cmd/${part}`, variables, coldSeconds: 150 }
}
