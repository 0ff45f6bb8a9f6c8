import { parseArgs } from 'node:util'
import { connect } from './connect.ts'
import { buildImage, repositoryOf } from './images.ts'
import { ensureKeda } from './keda.ts'
import { labDown, labOf } from './lab.ts'

const USAGE = `npm run cluster:up [-- options]     a cluster for trials, with KEDA and Tidemark's image
  --context NAME     use this cluster of your kubeconfig; kind-* and minikube are found by themselves
  --registry HOST    where that cluster pulls images from; they are pushed there
  --from-packages    build one on this machine from Go modules and Debian packages, as root
  --no-image         leave Tidemark's image alone
npm run cluster:down [-- --wipe]    ends the cluster that --from-packages made; --wipe removes its state, too`

const TAG = 'dev'
const say = (text: string) => console.log(text)

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      context: { type: 'string' },
      registry: { type: 'string' },
      'from-packages': { type: 'boolean', default: false },
      'no-image': { type: 'boolean', default: false },
      wipe: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [action] = positionals
  if (values.help || positionals.length !== 1 || (action !== 'up' && action !== 'down')) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  if (action === 'down') {
    await labDown(process.env, values.wipe, say)
    return 0
  }
  const { context, registry } = values
  const cluster = await connect(process.env, { context, registry, fromPackages: values['from-packages'] }, say)
  await ensureKeda(cluster.kube, say)
  if (!values['no-image']) await buildImage(cluster, TAG, say)
  say(
    `ready for: helm install tidemark charts/tidemark --set image.repository=${repositoryOf(cluster.target, 'tidemark')} --set image.tag=${TAG}`,
  )
  if (cluster.target.kind === 'lab') {
    say(`export KUBECONFIG=${labOf(process.env).kubeconfig} PATH=${cluster.kube.env.TIDEMARK_CLUSTER_TOOLS}:$PATH`)
  }
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = error instanceof TypeError ? 2 : 1
}
