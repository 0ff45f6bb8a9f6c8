import { describe, expect, it } from 'vitest'
import { loadEffectiveSettings, loadSettings } from '../../../src/config/load.ts'
import { TidemarkError } from '../../../src/errors.ts'

const PEM = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'

/** A file system of these files. */
function files(contents: Record<string, string> = {}): (path: string) => string {
  return path => {
    const content = contents[path]
    if (content === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return content
  }
}

/** The lines of the complaint about these settings. */
function complaints(env: NodeJS.ProcessEnv, contents?: Record<string, string>): string[] {
  try {
    loadSettings(env, files(contents))
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'bad_setting') return error.message.split('\n')
    throw error
  }
  return []
}

function withFile(content: string, env: NodeJS.ProcessEnv = {}): ReturnType<typeof loadSettings> {
  return loadSettings({ CONFIG_FILE: 'c.yaml', ...env }, files({ 'c.yaml': content }))
}

describe('defaults', () => {
  it('are the contract', () => {
    expect(loadSettings({}, files())).toEqual({
      kafka: { brokers: ['localhost:9092'], clientId: 'tidemark', tls: null, sasl: null },
      kafkaWaitMs: 0,
      kafkaDecoder: 'own',
      consumerGroup: 'tidemark',
      topics: {
        source: 'user-login',
        enriched: 'processed-user-login',
        deadLetters: 'user-login-dlq',
        partials: 'login-partials',
        results: 'aggregated-usage',
        deviceStats: 'user-device-stats',
        replicationFactor: 1,
        sourcePartitions: 12,
        partialsPartitions: 4,
      },
      delivery: 'exactly-once',
      enriched: { enabled: true, fields: null, timeZone: 'UTC', geoDatabase: null, userIdKey: null },
      generation: 1,
      windowSizeMs: 10_000,
      rollupsMs: [60_000, 3_600_000, 86_400_000],
      slidingWindows: [],
      sessionGapMs: 1_800_000,
      userSampleSize: 1024,
      flushMaxEvents: 0,
      emitEveryEvents: 0,
      databaseUrl: null,
      databaseDir: null,
      resultRetention: new Map(),
      allowedLatenessMs: 30_000,
      maxFutureSkewMs: 300_000,
      correctionHorizonMs: 300_000,
      flushIntervalMs: 1_000,
      flushMaxBytes: 4_194_304,
      emitIntervalMs: 1_000,
      idleTimeoutMs: 5_000,
      chunkSize: 8_192,
      maxWindows: 1_000,
      maxDimensionValues: 1_000,
      maxEventBytes: 1_048_576,
      maxEventDepth: 64,
      validationRequired: ['timestamp', 'user_id'],
      rejectedShare: { limit: 0.1, windowMs: 60_000 },
      corruptBatches: 'wait',
      maxBatchBytes: 67_108_864,
      compression: 'none',
      httpPort: 8_080,
      health: { maxStallMs: 120_000, maxLag: 1_000_000, maxFlushMs: 5_000, maxMemoryShare: 0.9, failOn: [] },
      maxEventsPerSecond: 0,
      kubernetes: null,
      statsIntervalMs: 10_000,
      sessionTimeoutMs: 10_000,
      logLevel: 'info',
      logFormat: 'tidemark',
    })
  })

  it('are frozen to the depth', () => {
    const settings = loadSettings({}, files())
    expect(() => Object.assign(settings.topics, { source: 'x' })).toThrow(TypeError)
    expect(() => (settings.kafka.brokers as string[]).push('x')).toThrow(TypeError)
  })
})

describe('sources', () => {
  it('go environment, file, default', () => {
    const { settings, effective } = loadEffectiveSettings(
      { CONFIG_FILE: 'c.yaml', WINDOW_SIZE: '5s' },
      files({ 'c.yaml': 'WINDOW_SIZE: 20s\nCHUNK_SIZE: 1024\n' }),
    )
    expect(settings.windowSizeMs).toBe(5_000)
    expect(settings.chunkSize).toBe(1024)
    expect(settings.maxWindows).toBe(1_000)
    const sources = new Map(effective.map(({ name, source }) => [name, source]))
    expect([sources.get('WINDOW_SIZE'), sources.get('CHUNK_SIZE'), sources.get('MAX_WINDOWS')]).toEqual([
      'environment',
      'file',
      'default',
    ])
  })

  it('reads YAML and JSON alike, lists as lists or text', () => {
    const wanted = ['a:1', 'b:2']
    expect(withFile('KAFKA_BROKERS: [a:1, b:2]').kafka.brokers).toEqual(wanted)
    expect(withFile('KAFKA_BROKERS: a:1, b:2').kafka.brokers).toEqual(wanted)
    expect(
      withFile('{\n\t"KAFKA_BROKERS": ["a:1", "b:2"],\n\t"STREAM_GENERATION": 9,\n\t"KAFKA_TLS_ENABLED": false\n}'),
    ).toMatchObject({
      kafka: { brokers: wanted, tls: null },
      generation: 9,
    })
  })

  it('keeps the text of a file as it is written', () => {
    const sasl = 'KAFKA_SASL_MECHANISM: plain\nKAFKA_SASL_USERNAME: on\nKAFKA_SASL_PASSWORD: 0123\n'
    expect(withFile(sasl).kafka.sasl).toEqual({ mechanism: 'plain', username: 'on', password: '0123' })
  })

  it('takes an empty file for no settings, and an empty text for no optional setting', () => {
    expect(withFile('# nothing yet\n').windowSizeMs).toBe(10_000)
    expect(loadSettings({ KAFKA_TLS_CA: '', CONFIG_FILE: '', KAFKA_SASL_MECHANISM: '' }, files()).kafka.tls).toBeNull()
    expect(complaints({ WINDOW_SIZE: '' })[0]).toMatch(/^WINDOW_SIZE is "" \(environment\): allowed is a duration/)
  })

  it.each([
    ['WINDOW_SIZ: 10s', '"WINDOW_SIZ" in the file is no setting: did you mean WINDOW_SIZE?'],
    ['kafka-brokers: a:1', '"kafka-brokers" in the file is no setting: did you mean KAFKA_BROKERS?'],
    ['colour: red', '"colour" in the file is no setting'],
    ['__proto__: {a: 1}', '"__proto__" in the file is no setting'],
    ['CONFIG_FILE: other', 'CONFIG_FILE is in the file itself: allowed is the environment only'],
    ['WINDOW_SIZE: {size: 10s}', 'WINDOW_SIZE in the file is a mapping: allowed is one value'],
    ['- a', 'CONFIG_FILE is "c.yaml": allowed is a mapping of settings, as "WINDOW_SIZE: 10s" on a line'],
    ['A: [1,', /^CONFIG_FILE is "c.yaml": it is not valid YAML or JSON \(Flow sequence .* line 1, column 7\)$/],
    ['CHUNK_SIZE: 1\nCHUNK_SIZE: 2', /not valid YAML or JSON \(Map keys must be unique/],
  ])('refuses the file %j', (content, wanted) => {
    expect(complaints({ CONFIG_FILE: 'c.yaml' }, { 'c.yaml': content })).toEqual([
      typeof wanted === 'string' ? wanted : expect.stringMatching(wanted),
    ])
  })

  it('refuses a file that is not there, and does not quote a broken one', () => {
    expect(complaints({ CONFIG_FILE: 'gone.yaml' })).toEqual(['CONFIG_FILE is "gone.yaml": it cannot be read (ENOENT)'])
    const broken = { 'c.yaml': 'KAFKA_SASL_PASSWORD: "hunter2' }
    expect(complaints({ CONFIG_FILE: 'c.yaml' }, broken).join('\n')).not.toContain('hunter2')
  })

  it('ignores other variables of the environment', () => {
    expect(complaints({ WINDOW_SIZES: '7', PATH: '/bin' })).toEqual([])
  })
})

describe('values', () => {
  it.each([
    ['WINDOW_SIZE', '1m', 'windowSizeMs', 60_000],
    ['WINDOW_SIZE', '15000ms', 'windowSizeMs', 15_000],
    ['WINDOW_SIZE', '1m', 'rollupsMs', [3_600_000, 86_400_000]],
    ['ROLLUPS', 'none', 'rollupsMs', []],
    ['ROLLUPS', '5m, 1h', 'rollupsMs', [300_000, 3_600_000]],
    ['SLIDING_WINDOWS', '5m/1m', 'slidingWindows', [{ sizeMs: 300_000, hopMs: 60_000 }]],
    ['SLIDING_WINDOWS', '', 'slidingWindows', []],
    [
      'RESULT_RETENTION',
      '10s=2d,1h=1d',
      'resultRetention',
      new Map([
        [10_000, 172_800_000],
        [3_600_000, 86_400_000],
      ]),
    ],
    ['DATABASE_URL_FILE', 'url', 'databaseUrl', 'postgresql://u:p@h/d'],
    ['ALLOWED_LATENESS', '0', 'allowedLatenessMs', 0],
    ['ALLOWED_LATENESS', '2 h', 'allowedLatenessMs', 7_200_000],
    ['STATS_INTERVAL', '0', 'statsIntervalMs', 0],
    ['STATS_INTERVAL', '0s', 'statsIntervalMs', 0],
    ['HTTP_PORT', '9100', 'httpPort', 9_100],
    ['HTTP_PORT', '0', 'httpPort', null],
    ['HEALTH_FAIL_ON', 'lag, error_rate', 'health.failOn', ['lag', 'error_rate']],
    ['HEALTH_FAIL_ON', '', 'health.failOn', []],
    ['HEALTH_MAX_STALL', '30s', 'health.maxStallMs', 30_000],
    ['HEALTH_MAX_LAG', '0', 'health.maxLag', 0],
    ['HEALTH_MAX_FLUSH', '250ms', 'health.maxFlushMs', 250],
    ['HEALTH_MAX_MEMORY', '75%', 'health.maxMemoryShare', 0.75],
    ['MAX_EVENT_BYTES', '512KiB', 'maxEventBytes', 524_288],
    ['MAX_EVENT_BYTES', '300B', 'maxEventBytes', 300],
    ['REJECTED_SHARE', '0.5%', 'rejectedShare', { limit: 0.005, windowMs: 60_000 }],
    ['VALIDATION_REQUIRED', 'ip, locale,ip', 'validationRequired', ['ip', 'locale', 'timestamp', 'user_id']],
  ])('%s=%s', (name, text, key, wanted) => {
    expect(loadSettings({ [name]: text }, files({ url: 'postgresql://u:p@h/d\n' }))).toHaveProperty(key, wanted)
  })

  it.each([
    ['WINDOW_SIZE', '7s'],
    ['WINDOW_SIZE', '500ms'],
    ['WINDOW_SIZE', '2m'],
    ['WINDOW_SIZE', '0'],
    ['WINDOW_SIZE', '10'],
    ['ROLLUPS', '1h,1m'],
    ['ROLLUPS', '1m,,1h'],
    ['ROLLUPS', '30s'],
    ['SLIDING_WINDOWS', '1m'],
    ['SLIDING_WINDOWS', '1m/1m'],
    ['SLIDING_WINDOWS', '5m/2m'],
    ['SLIDING_WINDOWS', '5m/1m,5m/10s'],
    ['RESULT_RETENTION', '10s'],
    ['RESULT_RETENTION', '10s=1d,10s=2d'],
    ['FLUSH_INTERVAL', '1'],
    ['FLUSH_INTERVAL', '0'],
    ['FLUSH_INTERVAL', '1.5s'],
    ['FLUSH_INTERVAL', '-1s'],
    ['FLUSH_INTERVAL', '2m'],
    ['FLUSH_INTERVAL', '1S'],
    ['STATS_INTERVAL', '10ms'],
    ['MAX_EVENT_BYTES', '1MB'],
    ['REJECTED_SHARE', '101%'],
    ['REJECTED_SHARE', '0.1'],
    ['TIME_ZONE', 'Mars/Olympus'],
    ['ENRICHED_FIELDS', 'user_id,,ip'],
    ['ENRICHED_FIELDS', 'user_id:id,device_id:id'],
    ['ENRICHED_FIELDS', 'a:b:c'],
    ['MAX_EVENT_BYTES', '65536'],
    ['MAX_EVENT_BYTES', '99999999GiB'],
    ['HTTP_PORT', '65536'],
    ['HTTP_PORT', ''],
    ['HEALTH_FAIL_ON', 'lag,mood'],
    ['REPLICATION_FACTOR', '101'],
    ['REPLICATION_FACTOR', '0x5'],
    ['CHUNK_SIZE', '1e6'],
    ['STREAM_GENERATION', '0'],
    ['DELIVERY', 'exactly_once'],
    ['KAFKA_TLS_ENABLED', 'yes'],
    ['KAFKA_BROKERS', 'localhost'],
    ['KAFKA_BROKERS', 'a:1,,b:2'],
    ['KAFKA_BROKERS', 'a:70000'],
    ['SOURCE_TOPIC', 'user login'],
    ['SOURCE_TOPIC', '..'],
    ['SOURCE_TOPIC', 'x'.repeat(250)],
    ['VALIDATION_REQUIRED', 'user_id,shoe_size'],
    ['LOG_LEVEL', 'constructor'],
  ])('refuses %s=%s with key, value and what is allowed', (name, text) => {
    const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text
    const [first, ...others] = complaints({ [name]: text })
    expect(first?.startsWith(`${name} is ${JSON.stringify(shown)} (environment): allowed is `)).toBe(true)
    expect(others).toEqual([])
  })

  it('tells all violations at once', () => {
    const lines = complaints({ WINDOW_SIZE: '7s', CHUNK_SIZE: 'x', KAFKA_TLS_CERT: 'c', KAFKA_TLS_ENABLED: 'true' })
    expect(lines.map(line => line.split(' ')[0])).toEqual([
      'WINDOW_SIZE',
      'CHUNK_SIZE',
      'KAFKA_TLS_CERT',
      'KAFKA_TLS_CERT',
    ])
  })
})

describe('settings that must fit together', () => {
  it.each([
    [{ KAFKA_TLS_CA: 'ca' }, 'KAFKA_TLS_CA is given: allowed only with KAFKA_TLS_ENABLED=true'],
    [{ KUBERNETES_ENABLED: 'true', POD_NAME: 'a' }, 'POD_NAMESPACE is not given: needed with KUBERNETES_ENABLED=true'],
    [{ KAFKA_TLS_ENABLED: 'true', KAFKA_TLS_CERT: 'ca' }, 'KAFKA_TLS_CERT is given: allowed only with KAFKA_TLS_KEY'],
    [{ KAFKA_TLS_ENABLED: 'true', KAFKA_TLS_KEY: 'ca' }, 'KAFKA_TLS_KEY is given: allowed only with KAFKA_TLS_CERT'],
    [{ KAFKA_TLS_ENABLED: 'true', KAFKA_TLS_CA: 'pw' }, 'KAFKA_TLS_CA is "pw": allowed is a PEM file'],
    [{ KAFKA_TLS_ENABLED: 'true', KAFKA_TLS_CA: 'gone' }, 'KAFKA_TLS_CA is "gone": it cannot be read (ENOENT)'],
    [{ ROLLUPS: '1m,90m,2h' }, 'ROLLUPS names 2h: allowed is a multiple of 90m, from which it is merged'],
    [
      { SLIDING_WINDOWS: '45s/15s' },
      'SLIDING_WINDOWS names 45s/15s: allowed is a hop that is a multiple of WINDOW_SIZE, 10s',
    ],
    [{ SLIDING_WINDOWS: '1h/1m' }, 'SLIDING_WINDOWS names 1h/1m: allowed is a size that ROLLUPS does not have'],
    [
      { SESSION_GAP: '1m' },
      'USER_SAMPLE_SIZE is "1024": allowed is at most 45, since each user may have 1441 sessions of SESSION_GAP in the longest window, 1d; or make SESSION_GAP longer',
    ],
    [{ RESULT_RETENTION: '5m=1d' }, 'RESULT_RETENTION names 5m: allowed are 10s, 1m, 1h, 1d'],
    [
      { DATABASE_URL: 'postgresql://u:p@h/d', DATABASE_URL_FILE: 'pw' },
      'DATABASE_URL is "***": allowed only without DATABASE_URL_FILE',
    ],
    [
      { DATABASE_URL: 'postgresql://u:p@h/d', DATABASE_DIR: '/data' },
      'DATABASE_DIR is "/data": allowed only without DATABASE_URL, for the database inside the process',
    ],
    [{ KAFKA_SASL_USERNAME: 'u' }, 'KAFKA_SASL_USERNAME is given: allowed only with KAFKA_SASL_MECHANISM'],
    [
      { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u' },
      'KAFKA_SASL_PASSWORD is not given: needed (or KAFKA_SASL_PASSWORD_FILE) with KAFKA_SASL_MECHANISM=plain',
    ],
    [
      { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_PASSWORD: 'hunter2' },
      'KAFKA_SASL_USERNAME is not given: needed with KAFKA_SASL_MECHANISM=plain',
    ],
    [
      { KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_SASL_PASSWORD: 'hunter2', KAFKA_SASL_PASSWORD_FILE: 'pw' },
      'KAFKA_SASL_PASSWORD is "***": allowed only without KAFKA_SASL_PASSWORD_FILE',
    ],
    [
      { DLQ_TOPIC: 'user_login', SOURCE_TOPIC: 'user.login' },
      'DLQ_TOPIC is "user_login": allowed is another topic than SOURCE_TOPIC\'s "user.login"',
    ],
    [
      { MAX_WINDOWS: '64' },
      'MAX_WINDOWS is "64": allowed is at least 65, the windows that (ALLOWED_LATENESS + MAX_FUTURE_SKEW + CORRECTION_HORIZON) / WINDOW_SIZE keeps open',
    ],
  ])('refuses %j', (env, wanted) => {
    expect(complaints(env, { ca: PEM, pw: 'hunter2\n' })).toEqual([wanted])
  })

  it('leaves room for the suffix of a generation', () => {
    expect(complaints({ RESULTS_TOPIC: 'x'.repeat(247) })).toEqual([])
    expect(complaints({ RESULTS_TOPIC: 'x'.repeat(247), STREAM_GENERATION: '2' })).toHaveLength(1)
  })

  it('reads certificates and the password from their files', () => {
    const env = {
      KAFKA_TLS_ENABLED: 'true',
      KAFKA_TLS_CA: 'ca',
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_SASL_USERNAME: 'u',
      KAFKA_SASL_PASSWORD_FILE: 'pw',
    }
    expect(loadSettings(env, files({ ca: PEM, pw: 'hunter2 \r\n' })).kafka).toMatchObject({
      tls: { ca: PEM, cert: null, key: null },
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'hunter2 ' },
    })
  })
})

it('a choice of enriched fields keeps its order and its names', () => {
  const { enriched } = loadSettings({ ENRICHED_FIELDS: 'ip, processed_timestamp:processed_at' }, files())
  expect(enriched.fields).toEqual([
    { field: 'ip', as: 'ip' },
    { field: 'processed_timestamp', as: 'processed_at' },
  ])
})
