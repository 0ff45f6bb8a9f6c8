import type { ISocketFactory, Kafka, KafkaConfig, LogEntry, Partitioners, SASLOptions } from 'kafkajs'
import type { KafkaSettings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import { kafkajs } from './patches.ts'
import { connectSocket } from './sockets.ts'
import { watched } from './watch.ts'
import { answerWithin } from './withinTime.ts'

export type KafkaLog = (level: 'warn', message: string, details: Readonly<Record<string, unknown>>) => void

export type KafkaOptions = {
  /** How connections are made; for tests that cut them. */
  readonly socketFactory?: ISocketFactory
  /** How often a failed request is repeated; the default survives a broker that is away for minutes. */
  readonly retries?: number
}

const RETRIES = 400
const REACH_LIMIT_MS = 5_000
const ASK_AGAIN_MS = 1_000

/** The fields of kafkajs's log lines that are let through: others may hold payloads. */
const LOGGED_FIELDS = ['broker', 'clientId', 'groupId', 'memberId', 'topic', 'partition', 'retryCount', 'error']

/** For those outside src/kafka, who hand it on. */
export type KafkaClient = Kafka

/** A client of the brokers. It asks again with a growing delay (0.1 s to 3 s) while they are away. */
export function createKafka(settings: KafkaSettings, log: KafkaLog, options: KafkaOptions = {}): Kafka {
  const config: KafkaConfig = {
    brokers: [...settings.brokers],
    clientId: settings.clientId,
    connectionTimeout: 3_000,
    authenticationTimeout: 5_000,
    // How long a connection that has gone silent (no reset, no answer) is believed in.
    requestTimeout: 15_000,
    retry: { initialRetryTime: 100, maxRetryTime: 3_000, retries: options.retries ?? RETRIES },
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => entry => forwardLog(entry, log),
  }
  if (settings.tls !== null) config.ssl = tlsOptions(settings.tls)
  if (settings.sasl !== null) config.sasl = saslOptions(settings.sasl)
  config.socketFactory = options.socketFactory ?? connectSocket
  return watched(new kafkajs.Kafka(config))
}

function forwardLog({ namespace, log: entry }: LogEntry, log: KafkaLog): void {
  const details: Record<string, unknown> = { namespace }
  for (const field of LOGGED_FIELDS) {
    if (typeof entry[field] === 'string' || typeof entry[field] === 'number') details[field] = entry[field]
  }
  log('warn', entry.message, details)
}

function tlsOptions(tls: NonNullable<KafkaSettings['tls']>): Exclude<KafkaConfig['ssl'], boolean | undefined> {
  return {
    ...(tls.ca === null ? {} : { ca: [tls.ca] }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
  }
}

function saslOptions({ mechanism, username, password }: NonNullable<KafkaSettings['sasl']>): SASLOptions {
  if (mechanism === 'oauthbearer') return { mechanism, oauthBearerProvider: async () => ({ value: password }) }
  return { mechanism, username, password }
}

/** murmur2 of the key, as the Java client does; named explicitly because kafkajs's default has changed before. */
export const javaPartitioner: typeof Partitioners.DefaultPartitioner = kafkajs.Partitioners.DefaultPartitioner

/**
 * Asks the brokers until one answers, for a start at the same moment as theirs.
 * @param waitMs how long to go on asking; 0 asks once
 * @throws TidemarkError `unreachable` after that time
 */
export async function untilReachable(settings: KafkaSettings, log: KafkaLog, waitMs: number): Promise<void> {
  const until = performance.now() + waitMs
  for (;;) {
    try {
      return await checkReachable(settings, log)
    } catch (error) {
      if (performance.now() + ASK_AGAIN_MS > until) throw error
    }
    await new Promise(resolve => setTimeout(resolve, ASK_AGAIN_MS))
  }
}

/** @throws TidemarkError `unreachable`, naming the brokers, when none of them answers within about 5 s */
export async function checkReachable(settings: KafkaSettings, log: KafkaLog): Promise<void> {
  const admin = createKafka(settings, log, { retries: settings.brokers.length }).admin()
  try {
    await answerWithin(
      admin.connect().then(() => admin.describeCluster()),
      REACH_LIMIT_MS,
    )
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const brokers = settings.brokers.join(', ')
    throw new TidemarkError('unreachable', `no Kafka broker can be reached at ${brokers} (KAFKA_BROKERS): ${reason}`, {
      cause,
      retriable: true,
    })
  } finally {
    // Not awaited: a broker that accepts connections and says nothing would hold us up.
    admin.disconnect().catch(() => {})
  }
}
