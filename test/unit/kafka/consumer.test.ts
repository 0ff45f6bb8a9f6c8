import type { ConsumerConfig, Kafka } from 'kafkajs'
import { expect, it } from 'vitest'
import { createConsumer } from '../../../src/kafka/consumer.ts'
import type { StickyAssigner } from '../../../src/kafka/stickyAssigner.ts'

/** What kafkajs is asked for. */
function configOf(maxRecordsPerSecond: number): Required<ConsumerConfig> {
  const configs: ConsumerConfig[] = []
  const kafka = { consumer: (config: ConsumerConfig) => configs.push(config) } as unknown as Kafka
  const options = { kafka, groupId: 'g', settings: { sessionTimeoutMs: 10_000 }, maxRecordsPerSecond }
  createConsumer(options, {} as StickyAssigner)
  return configs[0] as Required<ConsumerConfig>
}

it.each([0, 1, 10, 100, 10_000, 10_000_000])(
  'a fetch under a limit of %d a second waits for no more than one partition may bring',
  limit => {
    const { minBytes, maxBytesPerPartition, maxBytes } = configOf(limit)
    expect(minBytes).toBeGreaterThan(0)
    expect(minBytes).toBeLessThanOrEqual(maxBytesPerPartition)
    expect(maxBytesPerPartition).toBeLessThanOrEqual(maxBytes)
  },
)
