import { setTimeout as sleep } from 'node:timers/promises'
import { type Campaign, figure, type Phase, within } from '../campaign.ts'
import { EVENTS_PER_POD } from '../values.ts'

const LIMIT_SECONDS = 60

/** From `helm install` to the first result, with the images on the node. */
export const install: Phase = {
  name: 'install',
  title: 'install, until the first result',
  async run(campaign: Campaign) {
    const { log, loads, tags } = campaign.parts
    const since = campaign.now()
    const installing = campaign.helm('install', tags[0])
    const deadline = since + 4 * LIMIT_SECONDS
    // The hook makes the topics; logins can come from then on.
    while (!(await log.hasTopics()) && campaign.now() < deadline) await sleep(250)
    const topics = campaign.now() - since
    loads.start(EVENTS_PER_POD / 2)
    let first: number | null = null
    while (first === null && campaign.now() < deadline) {
      if ((await log.results()) > 0) first = campaign.now() - since
      else await sleep(250)
    }
    const { code, stderr } = await installing
    const installed = code === 0 ? [] : [`helm install: exit ${code}: ${stderr.trim()}`]
    const { figures, complaints } = await campaign.judge(since)
    return {
      figures: { 'topics after': figure(topics), 'first result after': figure(first), ...figures },
      complaints: [...installed, ...within('install to first result', first, LIMIT_SECONDS), ...complaints],
    }
  },
}
