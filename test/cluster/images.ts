import { join } from 'node:path'
import type { Cluster } from './connect.ts'
import { must, run } from './support/run.ts'
import type { Target } from './target.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const LAB_REGISTRY = 'localhost:5000'
/** Node's image made by the lab holds Debian, too. */
const LAB_DEBIAN = 'docker.io/library/node:24-bookworm-slim'
const BUILD_LIMIT_MS = 20 * 60_000

/** The name by which the cluster's pods pull an image. */
export function repositoryOf(target: Target, name: string): string {
  if (target.kind === 'lab') return `${LAB_REGISTRY}/${name}`
  return target.kind === 'other' ? `${target.registry}/${name}` : name
}

/**
 * Builds Tidemark's image and hands it to the cluster's nodes or its registry. Another tag of the same source is an image
 * of its own, since its label differs.
 */
export async function buildImage({ target, kube }: Cluster, tag: string, say: (text: string) => void): Promise<void> {
  const image = `${repositoryOf(target, 'tidemark')}:${tag}`
  const { env } = kube
  const options = { env, cwd: ROOT, limitMs: BUILD_LIMIT_MS }
  const args = ['--label', `org.opencontainers.image.revision=${tag}`, '-t', image, '.']
  const startedAt = performance.now()
  if (target.kind === 'lab') {
    await must('buildah', ['bud', '--layers', '--format', 'docker', '--pull=never', ...args], options)
  } else {
    await must('docker', ['build', ...args], options)
  }
  await deliver(target, image, options)
  say(`image ${image}: built and delivered in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
}

/** The dev Kafka's image, where the cluster cannot have Apache's. Once made it stays. */
export async function buildKafkaImage({ target, kube }: Cluster, say: (text: string) => void): Promise<void> {
  if (target.kind !== 'lab') return
  const known = await run('curl', ['-sf', `http://${LAB_REGISTRY}/v2/kafka/tags/list`], { env: kube.env })
  if (known.code === 0 && known.stdout.includes('"dev"')) return
  say('image of the dev Kafka')
  const env = { ...kube.env, BUILDER: 'buildah', BASE_IMAGE: LAB_DEBIAN }
  const script = join(ROOT, 'k8s', 'dev', 'kafka-image', 'build.sh')
  await must(script, [`${LAB_REGISTRY}/kafka:dev`], { env, cwd: ROOT, limitMs: BUILD_LIMIT_MS })
}

async function deliver(target: Target, image: string, options: Parameters<typeof must>[2]): Promise<void> {
  switch (target.kind) {
    case 'lab':
      return void (await must('buildah', ['push', '--tls-verify=false', image], options))
    case 'kind':
      return void (await must('kind', ['load', 'docker-image', image, '--name', target.cluster], options))
    case 'minikube':
      return void (await must('minikube', ['image', 'load', image, '--profile', target.profile], options))
    case 'other':
      return void (await must('docker', ['push', image], options))
  }
}
