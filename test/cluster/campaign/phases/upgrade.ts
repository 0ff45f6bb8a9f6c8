import { type Campaign, figure, type Phase, within } from '../campaign.ts'

const ROLLOUT_LIMIT_SECONDS = 300

/** `helm upgrade` to another image while the load goes on. */
export const upgrade: Phase = {
  name: 'upgrade',
  title: 'helm upgrade to another image under load',
  async run(campaign: Campaign) {
    const { workloads, tags } = campaign.parts
    const since = campaign.now()
    await campaign.loaded()
    const began = campaign.now()
    let ran: Awaited<ReturnType<Campaign['helm']>> | null = null
    void campaign.helm('upgrade', tags[1]).then(done => {
      ran = done
      campaign.note(`helm upgrade: exit ${done.code}`)
    })
    const hooked = await campaign.untilTrue(async () => ran !== null, ROLLOUT_LIMIT_SECONDS)
    const isNew = (image: string) => image.endsWith(`:${tags[1]}`)
    const rolledOut = await campaign.untilTrue(async () => {
      const pods = await workloads.pods()
      return pods.length > 0 && pods.every(({ image }) => isNew(image)) && (await workloads.rolledOut())
    }, ROLLOUT_LIMIT_SECONDS)
    const took = rolledOut === null ? null : campaign.now() - began
    await campaign.forSeconds(10)
    const { code, stderr } = ran ?? { code: -1, stderr: 'it has not ended' }
    const { figures, complaints } = await campaign.judge(since)
    return {
      figures: { hook: figure(hooked), 'rolled out': figure(took), ...figures },
      complaints: [
        ...(code === 0 ? [] : [`helm upgrade: exit ${code}: ${stderr.trim()}`]),
        ...within('the rollout', took, ROLLOUT_LIMIT_SECONDS),
        ...complaints,
      ],
    }
  },
}
