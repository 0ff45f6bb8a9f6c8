import type { Kube } from './support/kube.ts'

const VERSION = '2.20.2'
const MANIFESTS = `https://github.com/kedacore/keda/releases/download/v${VERSION}/keda-${VERSION}.yaml`
const DEPLOYMENTS = ['keda-operator', 'keda-metrics-apiserver', 'keda-admission']

/** Installs KEDA by its release's manifests unless the cluster has it; the lab brings its own. */
export async function ensureKeda(kube: Kube, say: (text: string) => void): Promise<void> {
  const crd = await kube.tryKubectl(['get', 'crd', 'scaledobjects.keda.sh', '-o', 'name'])
  if (crd.code === 0) return say('KEDA is there')
  say(`KEDA ${VERSION} from ${MANIFESTS}`)
  await kube.kubectl(['apply', '--server-side', '--force-conflicts', '-f', MANIFESTS], { limitMs: 180_000 })
  for (const name of DEPLOYMENTS) {
    await kube.kubectl(['-n', 'keda', 'rollout', 'status', `deployment/${name}`, '--timeout=180s'], {
      limitMs: 190_000,
    })
  }
}
