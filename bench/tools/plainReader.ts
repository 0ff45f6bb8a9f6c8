import kafkajs from 'kafkajs'

/** What the tool is asked to do, its one argument as JSON. */
export type ReadTask = { readonly brokers: readonly string[]; readonly topic: string; readonly events: number }
/** From the join of the group to the last event. */
export type ReadMessage = { readonly seconds: number; readonly cpuSeconds: number; readonly peakBytes: number }

const { brokers, topic, events } = JSON.parse(process.argv[2] ?? '') as ReadTask
process.on('disconnect', () => process.exit(1))

const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
// The fetches of an aggregator, so that only what is done with them differs.
const consumer = kafka.consumer({
  groupId: `plain-reader-${process.pid}`,
  maxWaitTimeInMs: 200,
  maxBytes: 8 * 1024 * 1024,
  maxBytesPerPartition: 1024 * 1024,
})
const { promise: allRead, resolve: reached } = Promise.withResolvers<void>()
let read = 0
let start = { at: 0, cpu: process.cpuUsage() }
consumer.on('consumer.group_join', () => {
  start = { at: performance.now(), cpu: process.cpuUsage() }
})
await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 64,
  eachBatch: async ({ batch }) => {
    read += batch.messages.length
    if (read >= events) reached()
  },
})
await allRead
const { user, system } = process.cpuUsage(start.cpu)
process.send?.({
  seconds: (performance.now() - start.at) / 1000,
  cpuSeconds: (user + system) / 1e6,
  peakBytes: process.resourceUsage().maxRSS * 1024,
} satisfies ReadMessage)
await consumer.disconnect()
process.disconnect?.()
