import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureModule } from '../../../scripts/tools/modules.ts'

/**
 * Whose custom resources. All are the real definitions: KEDA's and the Prometheus operator's come from their own Go modules,
 * Strimzi's from its own generator (see the head of the files beside this one).
 */
export type CrdSet = 'keda' | 'prometheus' | 'strimzi'

const KEDA = { module: 'github.com/kedacore/keda/v2', folder: 'config/crd/bases' }
const PROMETHEUS = {
  module: 'github.com/prometheus-operator/prometheus-operator',
  folder: 'example/prometheus-operator-crd',
}

/** Of the Prometheus operator's resources those that a chart brings: its own (Prometheus, Alertmanager) are huge. */
const MONITORING = ['servicemonitors', 'podmonitors', 'prometheusrules'].map(
  kind => `monitoring.coreos.com_${kind}.yaml`,
)

/** The files with the definitions of these sets. @throws TidemarkError 'unreachable' when Go is missing or fails */
export async function crdFiles(sets: readonly CrdSet[]): Promise<string[]> {
  const files: string[] = []
  if (sets.includes('keda')) {
    const folder = join(await ensureModule(KEDA.module), KEDA.folder)
    files.push(...(await readdir(folder)).filter(name => name.startsWith('keda.sh_')).map(name => join(folder, name)))
  }
  if (sets.includes('prometheus')) {
    const folder = join(await ensureModule(PROMETHEUS.module), PROMETHEUS.folder)
    files.push(...MONITORING.map(name => join(folder, name)))
  }
  if (sets.includes('strimzi')) {
    files.push(...['KafkaTopic', 'KafkaUser'].map(kind => join(import.meta.dirname, 'strimzi', `${kind}.yaml`)))
  }
  return files
}
