import { setTimeout as sleep } from 'node:timers/promises'
import { type Campaign, figure, NAMESPACE, type Phase, within } from '../campaign.ts'
import type { Pod } from '../workloads.ts'

const LIMIT_SECONDS = 240
/** For so long a node without a second beside it stays closed, so that evictions meet the budget. */
const CLOSED_SECONDS = 10

/**
 * A node is closed, and Tidemark's pods on it are asked to leave by the Eviction API, which keeps to their budgets. The
 * broker stays: its log would go with it. On a single node the places of those evicted open again only when the node does.
 */
export const drain: Phase = {
  name: 'drain',
  title: 'node drain: cordon, evict, uncordon, under load',
  async run(campaign: Campaign) {
    const { workloads, cluster } = campaign.parts
    const { kube } = cluster
    const since = campaign.now()
    await campaign.loaded()
    const pods = await workloads.pods()
    const node = busiest(pods)
    const toLeave = pods.filter(pod => pod.node === node)
    const nodes = (await kube.kubectl(['get', 'nodes', '-o', 'name'])).trim().split('\n').length
    await kube.kubectl(['cordon', node])
    campaign.note(`${node} is closed`)
    let evicted: Awaited<ReturnType<typeof evictAll>>
    try {
      evicted = await evictAll(campaign, toLeave, nodes === 1 ? () => kube.kubectl(['uncordon', node]) : null)
    } finally {
      await kube.kubectl(['uncordon', node])
    }
    campaign.note(`${node} is open`)
    const back = await campaign.untilTrue(() => workloads.rolledOut(), LIMIT_SECONDS)
    const { figures, complaints } = await campaign.judge(since)
    return {
      figures: {
        evicted: evicted.done,
        'refused by budget': evicted.refused,
        'all left': figure(evicted.seconds),
        ...figures,
      },
      complaints: [
        ...(evicted.done === toLeave.length ? [] : [`${evicted.done} of ${toLeave.length} pods were evicted`]),
        ...within('all pods back', back, LIMIT_SECONDS),
        ...complaints,
      ],
    }
  },
}

/** Asks again where a budget refuses. @param reopen opens the only node again, once */
async function evictAll(
  campaign: Campaign,
  pods: readonly Pod[],
  reopen: (() => Promise<unknown>) | null,
): Promise<{ readonly done: number; readonly refused: number; readonly seconds: number | null }> {
  const since = campaign.now()
  const left = new Map(pods.map(pod => [pod.name, pod]))
  let refused = 0
  let closed = reopen !== null
  while (left.size > 0 && campaign.now() - since < LIMIT_SECONDS) {
    if (closed && campaign.now() - since >= CLOSED_SECONDS) {
      await reopen?.()
      closed = false
      campaign.note('the only node is open again')
    }
    for (const pod of [...left.values()]) {
      const answer = await evict(campaign, pod)
      if (answer === 'refused') refused++
      else left.delete(pod.name)
    }
    await campaign.sample()
    await sleep(1_000)
  }
  return { done: pods.length - left.size, refused, seconds: left.size === 0 ? campaign.now() - since : null }
}

async function evict(campaign: Campaign, { name }: Pod): Promise<'evicted' | 'gone' | 'refused'> {
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: NAMESPACE } }
  const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}/eviction`
  const { kube } = campaign.parts.cluster
  const { code, stderr } = await kube.tryKubectl(['create', '--raw', path, '-f', '-'], {
    input: JSON.stringify(eviction),
  })
  if (code === 0) {
    campaign.note(`evicted ${name}`)
    return 'evicted'
  }
  if (stderr.includes('NotFound') || stderr.includes('not found')) return 'gone'
  if (stderr.includes('disruption budget') || stderr.includes('TooManyRequests')) return 'refused'
  throw new Error(`eviction of ${name}: ${stderr.trim()}`)
}

function busiest(pods: readonly Pod[]): string {
  const counts = new Map<string, number>()
  for (const { node } of pods) if (node !== null) counts.set(node, (counts.get(node) ?? 0) + 1)
  const [first] = [...counts].sort(([, a], [, b]) => b - a)
  if (first === undefined) throw new Error('no pod is on a node')
  return first[0]
}
