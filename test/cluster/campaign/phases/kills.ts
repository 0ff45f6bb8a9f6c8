import { Random } from '../../../../src/dev/generator/random.ts'
import { type Campaign, NAMESPACE, type Phase } from '../campaign.ts'

const EVERY_SECONDS = 10
const SEED = 20

/** A pod of Tidemark's, chosen by chance, is gone without a word every ten seconds. */
export const kills: Phase = {
  name: 'kills',
  title: 'kubectl delete pod --grace-period=0 --force every 10 s under load',
  async run(campaign: Campaign) {
    const { workloads, cluster, short } = campaign.parts
    const random = new Random(SEED)
    const since = campaign.now()
    await campaign.loaded()
    const killed = new Map<string, number>()
    const end = campaign.now() + (short ? 40 : 180)
    for (let next = campaign.now(); next < end; next += EVERY_SECONDS) {
      const pods = (await workloads.pods()).filter(({ leaving, component }) => !leaving && component !== 'serve')
      const pod = pods[random.below(pods.length)]
      if (pod !== undefined) {
        const args = ['-n', NAMESPACE, 'delete', 'pod', pod.name, '--grace-period=0', '--force', '--wait=false']
        await cluster.kube.tryKubectl(args)
        killed.set(pod.component, (killed.get(pod.component) ?? 0) + 1)
        campaign.note(`killed ${pod.name}`)
      }
      await campaign.forSeconds(Math.max(0, next + EVERY_SECONDS - campaign.now()))
    }
    const told = [...killed].map(([component, count]) => `${count} ${component}`).join(' + ')
    const { figures, complaints } = await campaign.judge(since)
    const none = killed.size === 0 ? ['no pod was killed'] : []
    return { figures: { killed: told, ...figures }, complaints: [...none, ...complaints] }
  },
}
