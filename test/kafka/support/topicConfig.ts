import type { Kafka } from 'kafkajs'
import { expect, vi } from 'vitest'
import { fetchTopicConfig } from '../../../src/kafka/admin.ts'
import { withAdmin } from '../../../src/kafka/topics.ts'

/** What Kafka's protocol calls a topic where settings are changed. */
const TOPIC_RESOURCE = 2
const APPLIED_LIMIT_MS = 20_000

/**
 * Gives a topic these settings and Kafka's defaults for all others, and waits until its broker has them: the controller says
 * yes as soon as they are in its log, which the broker reads some time later.
 */
export async function replaceTopicConfig(
  kafka: Kafka,
  name: string,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await withAdmin(kafka, async admin => {
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: TOPIC_RESOURCE, name, configEntries }] })
    await vi.waitFor(async () => expect(await fetchTopicConfig(admin, name)).toMatchObject(config), {
      timeout: APPLIED_LIMIT_MS,
      interval: 20,
    })
  })
}
