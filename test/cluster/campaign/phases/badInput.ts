import { type Campaign, figure, type Phase } from '../campaign.ts'
import { OTHER_HASH } from '../values.ts'

/** An upgrade that cannot go on from what is committed fails before any pod is touched, and says how to go on. */
export const badInput: Phase = {
  name: 'bad input',
  title: 'an upgrade to another config hash is refused before any pod is touched',
  async run(campaign: Campaign) {
    const { workloads } = campaign.parts
    // KEDA must have nothing left to end: it would look as if the upgrade had.
    const alone = await campaign.until(({ aggregate, reduce }) => aggregate.wanted === 1 && reduce.wanted === 1, 120)
    const quiet = alone === null ? null : await campaign.untilTrue(() => workloads.rolledOut(), 60)
    const before = await uids(campaign)
    const sets = Object.entries(OTHER_HASH).flatMap(([name, value]) => ['--set', `config.${name}=${value}`])
    const ran = await campaign.helm('upgrade', campaign.tag, sets)
    const after = await uids(campaign)
    const again = await campaign.helm('upgrade', campaign.tag)
    const kept = await uids(campaign)
    return {
      figures: { 'refused after': figure(ran.seconds), pods: before.size },
      complaints: [
        ...(quiet === null ? ['the pods were not at rest before'] : []),
        ...(ran.code === 0 ? ['helm upgrade was not refused'] : []),
        ...(sameSet(before, after) ? [] : ['pods were replaced by the refused upgrade']),
        ...(again.code === 0 ? [] : [`the upgrade with the old settings: exit ${again.code}: ${again.stderr.trim()}`]),
        ...(sameSet(before, kept) ? [] : ['pods were replaced by the upgrade with the old settings']),
      ],
    }
  },
}

/** Of those that may not be replaced: KEDA may end others at any time. */
async function uids(campaign: Campaign): Promise<ReadonlySet<string>> {
  const pods = await campaign.parts.workloads.pods()
  return new Set(pods.filter(({ leaving }) => !leaving).map(({ uid }) => uid))
}

function sameSet(before: ReadonlySet<string>, after: ReadonlySet<string>): boolean {
  return before.size === after.size && [...before].every(uid => after.has(uid))
}
