import { SCHEMA, SETTING_NAMES, type SettingName } from '../../src/config/schema.ts'

/** What a setting may be, in the words of JSON Schema draft-07. */
export type JsonSchema = { readonly [key: string]: unknown }

/** Settings that other values of the chart set, and which value; null for those that make no sense in a pod. */
export const SET_ELSEWHERE: Readonly<Partial<Record<SettingName, string | null>>> = {
  CONFIG_FILE: null,
  KAFKA_BROKERS: 'kafka.brokers',
  KAFKA_CLIENT_ID: 'kafka.clientId',
  KAFKA_WAIT: 'kafka.wait',
  KAFKA_TLS_ENABLED: 'kafka.tls.enabled',
  KAFKA_TLS_CA: 'kafka.tls.caKey',
  KAFKA_TLS_CERT: 'kafka.tls.certKey',
  KAFKA_TLS_KEY: 'kafka.tls.keyKey',
  KAFKA_SASL_MECHANISM: 'kafka.sasl.mechanism',
  KAFKA_SASL_USERNAME: 'kafka.sasl.username',
  KAFKA_SASL_PASSWORD: 'kafka.sasl.existingSecret',
  KAFKA_SASL_PASSWORD_FILE: 'kafka.sasl.existingSecret',
  CONSUMER_GROUP: 'kafka.consumerGroup',
  SOURCE_TOPIC: 'kafka.topics.source',
  ENRICHED_TOPIC: 'kafka.topics.enriched',
  DLQ_TOPIC: 'kafka.topics.deadLetters',
  PARTIALS_TOPIC: 'kafka.topics.partials',
  RESULTS_TOPIC: 'kafka.topics.results',
  DEVICE_STATS_TOPIC: 'kafka.topics.deviceStats',
  REPLICATION_FACTOR: 'kafka.topics.replicationFactor',
  SOURCE_PARTITIONS: 'kafka.topics.partitions',
  PARTIALS_PARTITIONS: 'kafka.topics.partialsPartitions',
  DATABASE_URL: 'sink.database.existingSecret',
  DATABASE_URL_FILE: 'sink.database.existingSecret',
  DATABASE_DIR: null,
  HTTP_PORT: null,
  KUBERNETES_ENABLED: 'kubernetes.enabled',
  POD_NAME: null,
  POD_NAMESPACE: null,
  KUBERNETES_WORKLOAD: null,
  KUBERNETES_SCALED_OBJECT: null,
}

/** The schema of the value `config`: every setting that no other value sets, and nothing else. */
export function configSchema(): JsonSchema {
  const free = SETTING_NAMES.filter(name => !Object.hasOwn(SET_ELSEWHERE, name))
  return {
    description:
      "Settings by their names in the environment. Generated from the program's own; what other values set is not among them.",
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(free.map(name => [name, settingSchema(name)])),
  }
}

/**
 * One setting. The program itself is the judge of a value; what can be told by a pattern is told before anything is installed.
 * YAML makes numbers and booleans of what the environment has as text: both are taken.
 */
function settingSchema(name: SettingName): JsonSchema {
  const { kind, doc, default: fallback } = SCHEMA[name]
  const description = `${doc} Allowed: ${kind.allowed}.${fallback === null ? '' : ` Default: ${fallback}.`}`
  return { description, ...shapeOf(kind.allowed) }
}

const UNITS_OF_TIME = '(ms|s|m|h|d)'
const DURATION = `(0|[0-9]{1,15} ?${UNITS_OF_TIME})`

/** The shape that the phrase for what is allowed stands for; any text when it is none of those with a pattern. */
function shapeOf(allowed: string): JsonSchema {
  const whole = /^a whole number from (\d+) to (\d+)$/.exec(allowed)
  if (whole !== null) {
    const [minimum, maximum] = [Number(whole[1]), Number(whole[2])]
    return { type: ['integer', 'string'], minimum, maximum, pattern: '^[0-9]{1,15}$' }
  }
  if (allowed === 'true or false') return { enum: [true, false, 'true', 'false'] }
  const words = /^one of (.+)$/.exec(allowed)?.[1]?.split(', ')
  if (words !== undefined) return { enum: words }
  if (/^(0 or )?a duration /.test(allowed)) return { type: 'string', pattern: `^${DURATION}$` }
  if (allowed.startsWith('a size ')) return { type: 'string', pattern: '^[0-9]{1,15} ?(B|KiB|MiB|GiB)$' }
  if (allowed.startsWith('a share in percent')) return { type: 'string', pattern: '^[0-9]{1,3}(\\.[0-9]{1,6})?%$' }
  // An identifier may be all digits, which YAML takes for a number.
  if (allowed.startsWith('1 to 200 of')) return { type: ['string', 'integer'], pattern: '^[a-zA-Z0-9._-]{1,200}$' }
  return { type: 'string', minLength: 1 }
}
