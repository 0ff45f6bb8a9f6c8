import { type Campaign, figure, type Phase, within } from '../campaign.ts'
import { LOAD_PER_SECOND, PARTITIONS } from '../values.ts'

const UP_LIMIT_SECONDS = 90
const DOWN_LIMIT_SECONDS = 240

/** More than one pod can take: KEDA scales from 1 to all partitions, and back when all is worked off. */
export const scale: Phase = {
  name: 'scale',
  title: `KEDA scales 1 to ${PARTITIONS} aggregators and back`,
  async run(campaign: Campaign) {
    const { loads, short } = campaign.parts
    const alone = await campaign.until(({ aggregate }) => aggregate.wanted === 1 && aggregate.ready === 1, 180)
    const since = campaign.now()
    loads.start(LOAD_PER_SECOND)
    const all = ({ aggregate }: { aggregate: { wanted: number; ready: number } }) =>
      aggregate.wanted === PARTITIONS && aggregate.ready === PARTITIONS
    const up = await campaign.until(all, UP_LIMIT_SECONDS * 2, since)
    await campaign.forSeconds(short ? 15 : 60)
    await loads.stop()
    const drainSince = campaign.now()
    const drained = await campaign.until(({ lag }) => lag === 0, 120, drainSince)
    const one = ({ aggregate }: { aggregate: { wanted: number; ready: number } }) =>
      aggregate.wanted === 1 && aggregate.ready === 1
    const down = await campaign.until(one, DOWN_LIMIT_SECONDS, drainSince)
    const { figures, complaints } = await campaign.judge(since)
    return {
      figures: { up: figure(up), drained: figure(drained), down: figure(down), ...figures },
      complaints: [
        ...within('one aggregator before the load', alone, 180),
        ...within(`from 1 to ${PARTITIONS} aggregators`, up, UP_LIMIT_SECONDS),
        ...within('back to 1 after the load', down, DOWN_LIMIT_SECONDS),
        ...complaints,
      ],
    }
  },
}
