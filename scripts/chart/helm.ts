import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { TidemarkError } from '../../src/errors.ts'

/** An object of Kubernetes, as far as it is looked at here. */
export type KubeObject = {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string>; namespace?: string }
  [field: string]: unknown
}

/** The Kubernetes that is rendered for, so that the machine's own cluster, if any, has no say. */
const KUBE_VERSION = '1.34'

export function hasHelm(root: string): boolean {
  return helmPath(root) !== undefined
}

/**
 * The path of Helm: the project's own build if there is one, else that on PATH.
 * @throws TidemarkError `unreachable` when there is none, saying how to get it
 */
export function findHelm(root: string): string {
  const found = helmPath(root)
  if (found !== undefined) return found
  throw new TidemarkError(
    'unreachable',
    'helm is neither in .cache/tools/bin nor on PATH, and k8s/ is rendered from the chart with it: `node scripts/tools.ts helm` builds it',
  )
}

function helmPath(root: string): string | undefined {
  const folders = [join(root, '.cache', 'tools', 'bin'), ...(process.env.PATH ?? '').split(delimiter)]
  return folders.map(folder => join(folder, 'helm')).find(path => existsSync(path))
}

/**
 * The objects of the chart with the values of a file, hooks included and tests left out, in Helm's order.
 * @throws TidemarkError `usage` with Helm's own words when the chart cannot be rendered
 */
export function renderChart(root: string, valuesFile: string | null): KubeObject[] {
  const chart = join(root, 'charts', 'tidemark')
  const values = valuesFile === null ? [] : ['--values', join(chart, 'ci', valuesFile)]
  const args = [
    'template',
    'tidemark',
    chart,
    '--namespace',
    'tidemark',
    '--skip-tests',
    '--kube-version',
    KUBE_VERSION,
  ]
  const done = spawnSync(findHelm(root), [...args, ...values], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (done.status !== 0) throw new TidemarkError('usage', `helm template fails: ${done.error?.message ?? done.stderr}`)
  // Kubernetes reads YAML 1.1, where 0440 is octal.
  return parseAllDocuments(done.stdout, { version: '1.1' })
    .map(document => document.toJS() as KubeObject | null)
    .filter(object => object !== null)
}
