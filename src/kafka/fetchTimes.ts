import type { ConsumerGroup } from './patches.ts'

/**
 * Has each batch that the group fetches from now on tell when that was. kafkajs tells a fetch's duration, but not which
 * batches it brought, and it fetches from several brokers at a time.
 */
export function timeFetches(group: Pick<ConsumerGroup, 'fetch'>): void {
  const fetch = group.fetch
  group.fetch = async nodeId => {
    const askedMs = Date.now()
    const batches = await fetch.call(group, nodeId)
    const times = { askedMs, cameMs: Date.now() }
    for (const batch of batches) batch.times = times
    return batches
  }
}
