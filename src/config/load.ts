import { TidemarkError } from '../errors.ts'
import { crossComplaints } from './crossChecks.ts'
import { SCHEMA, SETTING_NAMES, type SettingName, type SettingValues } from './schema.ts'
import type { EventField, KafkaSettings, Settings } from './settings.ts'
import { type Given, type ReadFile, readSources, reasonOf, type Source } from './sources.ts'

/** A setting as it is in force, for people: `value` is the text that was given or the default, *** for a secret. */
export type EffectiveSetting = { readonly name: SettingName; readonly value: string | null; readonly source: Source }

/**
 * The settings in force: environment before the file that CONFIG_FILE names before defaults.
 * @param readFile reads a whole file as UTF-8 or throws
 * @returns deeply frozen settings
 * @throws TidemarkError `bad_setting`, whose message has one line for each violation: key, value, what is allowed
 */
export function loadSettings(env: NodeJS.ProcessEnv, readFile: ReadFile): Settings {
  return loadEffectiveSettings(env, readFile).settings
}

/** As `loadSettings`, with where each setting came from. */
export function loadEffectiveSettings(
  env: NodeJS.ProcessEnv,
  readFile: ReadFile,
): { readonly settings: Settings; readonly effective: readonly EffectiveSetting[] } {
  const { given, complaints: aboutTheFile } = readSources(env, readFile)
  const { values, bad, complaints } = parseAll(given)
  complaints.unshift(...aboutTheFile)
  if (aboutTheFile.length === 0) complaints.push(...crossComplaints(values, bad))
  const read = (name: FileSetting): string | null => contentOf(name, values[name], readFile, complaints)
  const tls = { ca: read('KAFKA_TLS_CA'), cert: read('KAFKA_TLS_CERT'), key: read('KAFKA_TLS_KEY') }
  const password = values.KAFKA_SASL_PASSWORD ?? read('KAFKA_SASL_PASSWORD_FILE')
  const databaseUrl = values.DATABASE_URL ?? read('DATABASE_URL_FILE')
  if (complaints.length > 0) throw new TidemarkError('bad_setting', complaints.join('\n'))
  const kafka: KafkaSettings = {
    brokers: values.KAFKA_BROKERS,
    clientId: values.KAFKA_CLIENT_ID,
    tls: values.KAFKA_TLS_ENABLED ? tls : null,
    sasl: saslOf(values, password),
  }
  const effective = SETTING_NAMES.map(name => ({
    name,
    value: shown(name, given[name].text),
    source: given[name].source,
  }))
  return { settings: deepFreeze(settingsOf(values, kafka, databaseUrl)), effective }
}

function parseAll(given: Readonly<Record<SettingName, Given>>): {
  values: SettingValues
  bad: Set<SettingName>
  complaints: string[]
} {
  const values: Partial<Record<SettingName, unknown>> = {}
  const bad = new Set<SettingName>()
  const complaints: string[] = []
  for (const name of SETTING_NAMES) {
    const spec = SCHEMA[name]
    const { text, source } = given[name]
    // Charts and compose files pass an empty text for what was left out. Where there is a default this is refused:
    // it is more often a misspelt variable than a wish for the default.
    const absent = text === null || (text === '' && spec.default === null)
    const value = absent ? null : spec.kind.parse(text)
    if (value === undefined) {
      bad.add(name)
      complaints.push(`${name} is ${quoted(shown(name, text))} (${source}): allowed is ${spec.kind.allowed}`)
    }
    values[name] = value
  }
  return { values: values as SettingValues, bad, complaints }
}

function shown(name: SettingName, text: string | null): string | null {
  if (text === null || (text === '' && SCHEMA[name].default === null)) return null
  return SCHEMA[name].secret ? '***' : text
}

/** At most 100 characters of it: a message is for reading. */
function quoted(text: string | null): string {
  return JSON.stringify(text !== null && text.length > 100 ? `${text.slice(0, 100)}…` : text)
}

type FileSetting =
  | 'KAFKA_TLS_CA'
  | 'KAFKA_TLS_CERT'
  | 'KAFKA_TLS_KEY'
  | 'KAFKA_SASL_PASSWORD_FILE'
  | 'DATABASE_URL_FILE'

/** Files are read now, so that a missing one is a bad setting at start and not a failed connection later. */
function contentOf(name: FileSetting, path: string | null, readFile: ReadFile, complaints: string[]): string | null {
  if (path === null || path === undefined) return null
  let content: string
  try {
    content = readFile(path)
  } catch (error) {
    complaints.push(`${name} is ${quoted(path)}: it cannot be read (${reasonOf(error)})`)
    return null
  }
  if (name === 'KAFKA_SASL_PASSWORD_FILE' || name === 'DATABASE_URL_FILE') {
    const secret = content.replace(/\r?\n$/, '')
    const what = name === 'DATABASE_URL_FILE' ? 'a URL' : 'a password'
    if (secret === '') complaints.push(`${name} is ${quoted(path)}: it is empty, allowed is ${what}`)
    return secret
  }
  if (!content.includes('-----BEGIN ')) complaints.push(`${name} is ${quoted(path)}: allowed is a PEM file`)
  return content
}

function saslOf(values: SettingValues, password: string | null): KafkaSettings['sasl'] {
  const mechanism = values.KAFKA_SASL_MECHANISM
  if (mechanism === null || password === null) return null
  return { mechanism, username: values.KAFKA_SASL_USERNAME ?? '', password }
}

function settingsOf(values: SettingValues, kafka: KafkaSettings, databaseUrl: string | null): Settings {
  return {
    kafka,
    kafkaWaitMs: values.KAFKA_WAIT,
    consumerGroup: values.CONSUMER_GROUP,
    topics: {
      source: values.SOURCE_TOPIC,
      enriched: values.ENRICHED_TOPIC,
      deadLetters: values.DLQ_TOPIC,
      partials: values.PARTIALS_TOPIC,
      results: values.RESULTS_TOPIC,
      deviceStats: values.DEVICE_STATS_TOPIC,
      replicationFactor: values.REPLICATION_FACTOR,
      sourcePartitions: values.SOURCE_PARTITIONS,
      partialsPartitions: values.PARTIALS_PARTITIONS,
    },
    delivery: values.DELIVERY,
    enriched: {
      enabled: values.ENRICHED_ENABLED,
      fields: values.ENRICHED_FIELDS,
      timeZone: values.TIME_ZONE,
      geoDatabase: values.GEO_DATABASE,
      userIdKey: values.USER_ID_KEY_FILE === null ? null : { file: values.USER_ID_KEY_FILE, id: values.USER_ID_KEY_ID },
    },
    generation: values.STREAM_GENERATION,
    windowSizeMs: values.WINDOW_SIZE,
    // The default stands for a base of a minute, too: what is as long as the base is not rolled up.
    rollupsMs: values.ROLLUPS.filter(sizeMs => sizeMs !== values.WINDOW_SIZE),
    slidingWindows: values.SLIDING_WINDOWS ?? [],
    sessionGapMs: values.SESSION_GAP,
    userSampleSize: values.USER_SAMPLE_SIZE,
    allowedLatenessMs: values.ALLOWED_LATENESS,
    maxFutureSkewMs: values.MAX_FUTURE_SKEW,
    correctionHorizonMs: values.CORRECTION_HORIZON,
    flushIntervalMs: values.FLUSH_INTERVAL,
    flushMaxBytes: values.FLUSH_MAX_BYTES,
    flushMaxEvents: values.FLUSH_MAX_EVENTS,
    emitIntervalMs: values.EMIT_INTERVAL,
    emitEveryEvents: values.EMIT_EVERY_EVENTS,
    idleTimeoutMs: values.IDLE_TIMEOUT,
    chunkSize: values.CHUNK_SIZE,
    maxWindows: values.MAX_WINDOWS,
    maxDimensionValues: values.MAX_DIMENSION_VALUES,
    maxEventBytes: values.MAX_EVENT_BYTES,
    maxEventDepth: values.MAX_EVENT_DEPTH,
    validationRequired: withAlwaysRequired(values.VALIDATION_REQUIRED),
    rejectedShare: { limit: values.REJECTED_SHARE, windowMs: values.REJECTED_SHARE_WINDOW },
    kafkaDecoder: values.KAFKA_DECODER,
    corruptBatches: values.CORRUPT_BATCHES,
    maxBatchBytes: values.MAX_BATCH_BYTES,
    compression: values.COMPRESSION,
    databaseUrl,
    databaseDir: values.DATABASE_DIR,
    resultRetention: values.RESULT_RETENTION ?? new Map(),
    httpPort: values.HTTP_PORT === 0 ? null : values.HTTP_PORT,
    health: {
      maxStallMs: values.HEALTH_MAX_STALL,
      maxLag: values.HEALTH_MAX_LAG,
      maxFlushMs: values.HEALTH_MAX_FLUSH,
      maxMemoryShare: values.HEALTH_MAX_MEMORY,
      failOn: values.HEALTH_FAIL_ON ?? [],
    },
    maxEventsPerSecond: values.MAX_EVENTS_PER_SECOND,
    kubernetes: kubernetesOf(values),
    statsIntervalMs: values.STATS_INTERVAL,
    sessionTimeoutMs: values.SESSION_TIMEOUT,
    logLevel: values.LOG_LEVEL,
    logFormat: values.LOG_FORMAT,
  }
}

function kubernetesOf(values: SettingValues): Settings['kubernetes'] {
  const { POD_NAME: podName, POD_NAMESPACE: namespace } = values
  if (!values.KUBERNETES_ENABLED || podName === null || namespace === null) return null
  return { podName, namespace, workload: values.KUBERNETES_WORKLOAD, scaledObject: values.KUBERNETES_SCALED_OBJECT }
}

function withAlwaysRequired(fields: readonly EventField[]): EventField[] {
  return [...new Set<EventField>(['user_id', 'timestamp', ...fields])].sort()
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner)
  }
  return Object.freeze(value)
}
