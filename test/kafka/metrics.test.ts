import { expect, test } from 'vitest'
import { startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../src/dev/kafka/ports.ts'
import { withPipeline } from './scenarios/support/pipeline.ts'

const STAGES = ['aggregate', 'reduce'] as const
/** Series of the work with brokers, which only a real one gives values to. */
const BUSY = [
  /^tidemark_kafka_request_duration_seconds_count\{[^}]*api="Fetch"[^}]*\} (\S+)/gm,
  /^tidemark_kafka_request_duration_seconds_count\{[^}]*api="JoinGroup"[^}]*\} (\S+)/gm,
  /^tidemark_transactions_total\{[^}]*outcome="committed"[^}]*\} (\S+)/gm,
  /^tidemark_rebalance_duration_seconds_count\{[^}]*\} (\S+)/gm,
  /^tidemark_commit_duration_seconds_count\{[^}]*\} (\S+)/gm,
]

test('what is measured of Kafka has values in both stages', async () => {
  const kafka = await startKafka()
  try {
    const settings = { DELIVERY: 'exactly-once' }
    await withPipeline(kafka, 'metrics', { aggregators: 0, reducers: 0, settings }, async pipeline => {
      await pipeline.start()
      const ports = await freePorts(STAGES.length, '127.0.0.1')
      const roles = STAGES.map((stage, i) => pipeline.add(stage, { HTTP_PORT: String(ports[i]) }))
      await Promise.all(roles.map(role => role.line('live')))
      const { windows } = await pipeline.generate('--rate', '0', '--events', '500').ledger
      await pipeline.settle(windows)
      for (const [i, stage] of STAGES.entries()) {
        const text = await (await fetch(`http://127.0.0.1:${ports[i]}/metrics`)).text()
        for (const series of BUSY) {
          const values = [...text.matchAll(series)].map(([, value]) => Number(value))
          expect(Math.max(0, ...values), `${stage}: ${series.source}`).toBeGreaterThan(0)
        }
      }
    })
  } finally {
    await kafka.stop()
  }
})
