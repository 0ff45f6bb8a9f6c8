/** The address on which a broker is known to clients, and the one that it listens on. */
export type Listener = {
  readonly host: string
  readonly port: number
  /** The local address to listen on; by default `host`. */
  readonly bind?: string
}

export type ServerOptions = {
  readonly logFolder: string
  readonly client: Listener
  readonly external: Listener | null
  readonly controllerPort: number
  /** How often the broker looks for segments past their retention, milliseconds; null leaves Kafka's own (5 min). */
  readonly retentionCheckMs: number | null
  /** Settings of the broker that win over all of ours. */
  readonly extraProperties: Readonly<Record<string, string | number | boolean>>
}

/** The text of a `server.properties` for the one node of a cluster of one: broker and controller in a JVM. */
export function serverProperties(options: ServerOptions): string {
  const { client, external } = options
  const listeners = [
    `CONTROLLER://127.0.0.1:${options.controllerPort}`,
    `CLIENT://${client.bind ?? client.host}:${client.port}`,
  ]
  const advertised = [`CLIENT://${client.host}:${client.port}`]
  if (external !== null) {
    listeners.push(`EXTERNAL://${external.bind ?? external.host}:${external.port}`)
    advertised.push(`EXTERNAL://${external.host}:${external.port}`)
  }
  const properties: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${options.controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'CLIENT',
    listeners: listeners.join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,CLIENT:PLAINTEXT,EXTERNAL:PLAINTEXT',
    'log.dirs': options.logFolder,
    ...FIT_FOR_ONE_NODE,
    ...(options.retentionCheckMs === null ? {} : { 'log.retention.check.interval.ms': options.retentionCheckMs }),
    ...options.extraProperties,
  }
  return `${Object.entries(properties)
    .map(([key, value]) => `${key}=${escapeValue(String(value))}`)
    .join('\n')}\n`
}

/** Kafka's defaults are those of a cluster of many machines: three replicas, 50 partitions for each internal topic. */
const FIT_FOR_ONE_NODE = {
  'auto.create.topics.enable': false,
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 8,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 8,
  'share.coordinator.state.topic.replication.factor': 1,
  'share.coordinator.state.topic.min.isr': 1,
  'group.initial.rebalance.delay.ms': 0,
  // Tests of zombies wait for a session to time out; Kafka would allow no less than 6 s.
  'group.min.session.timeout.ms': 1000,
  // A killed broker may not register again before its old session has timed out (9 s by default).
  'broker.heartbeat.interval.ms': 500,
  'broker.session.timeout.ms': 3000,
  'num.network.threads': 2,
  'num.io.threads': 4,
  'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
}

/** A Java properties file reads a backslash as the start of an escape. */
function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}
