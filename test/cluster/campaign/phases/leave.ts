import { join } from 'node:path'
import type { StatusReport } from '../../../../src/status/report.ts'
import { run } from '../../support/run.ts'
import { type Campaign, NAMESPACE, type Phase, RELEASE } from '../campaign.ts'

const MAIN = join(import.meta.dirname, '..', '..', '..', '..', 'src', 'main.ts')
const LIMIT_MS = 300_000
const GONE_LIMIT_SECONDS = 120

/** What an operator asks at the end: the chart's test, the state from outside, an audit of all; and nothing stays behind. */
export function leave(before: ReadonlySet<string>): Phase {
  return {
    name: 'leave',
    title: 'helm test, status, audit of all windows, uninstall',
    async run(campaign: Campaign) {
      const { cluster, log, workloads } = campaign.parts
      const outputs = await log.judgeOutputs()
      const audited = await audit(campaign)
      const status = await askStatus(campaign)
      const tested = await cluster.kube.helm(['test', RELEASE, '-n', NAMESPACE, '--timeout', '3m'], {
        limitMs: 200_000,
      })
      const uninstalled = await cluster.kube.helm(['uninstall', RELEASE, '-n', NAMESPACE, '--wait'], {
        limitMs: LIMIT_MS,
      })
      let left: string[] = []
      await campaign.untilTrue(async () => {
        left = [...(await workloads.objects())].filter(object => !before.has(object))
        return left.length === 0
      }, GONE_LIMIT_SECONDS)
      return {
        figures: { outputs: outputs.text, audit: audited.text, status: status.text, left: left.length },
        complaints: [
          ...outputs.differences,
          ...audited.complaints,
          ...status.complaints,
          ...(tested.code === 0 ? [] : [`helm test: exit ${tested.code}: ${tested.stdout}${tested.stderr}`.trim()]),
          ...(uninstalled.code === 0 ? [] : [`helm uninstall: exit ${uninstalled.code}: ${uninstalled.stderr.trim()}`]),
          ...left.map(object => `left behind: ${object}`),
        ],
      }
    },
  }
}

type Told = { readonly text: string; readonly complaints: readonly string[] }

async function audit({ parts: { env } }: Campaign): Promise<Told> {
  const { code, stdout, stderr } = await run(process.execPath, [MAIN, 'audit', '--all', '--json'], {
    env,
    limitMs: LIMIT_MS,
  })
  const last = stdout.trim().split('\n').at(-1) ?? ''
  if (code !== 0) return { text: `exit ${code}`, complaints: [`audit: exit ${code}: ${last} ${stderr.trim()}`] }
  const { audited, equal } = JSON.parse(last) as { readonly audited: number; readonly equal: number }
  return { text: `${equal} of ${audited} equal`, complaints: audited > 0 ? [] : ['nothing was audited'] }
}

/** All that it asks must answer, and nothing may be wrong with what it finds. */
async function askStatus({ parts: { env, cluster } }: Campaign): Promise<Told> {
  const { kube } = cluster
  const where = ['--context', kube.context, '--namespace', NAMESPACE, '--release', RELEASE]
  const both = { ...kube.env, ...env, PATH: kube.env.PATH, KUBECONFIG: kube.env.KUBECONFIG }
  const ran = await run(process.execPath, [MAIN, 'status', '--json', '--check', ...where], {
    env: both,
    limitMs: 60_000,
  })
  if (ran.code !== 0)
    return { text: `exit ${ran.code}`, complaints: [`status: exit ${ran.code}: ${ran.stderr.trim()}`] }
  const { sides, pods, partitions } = JSON.parse(ran.stdout) as StatusReport
  // The pods themselves are asked only where Kafka cannot be.
  const silent = Object.entries({ kubernetes: sides.kubernetes, kafka: sides.kafka }).filter(
    ([, { state }]) => state !== 'answered',
  )
  return {
    text: `${pods.length} pods, ${partitions.length} partitions`,
    complaints: silent.map(([name, side]) => `status: ${name}: ${JSON.stringify(side)}`),
  }
}
