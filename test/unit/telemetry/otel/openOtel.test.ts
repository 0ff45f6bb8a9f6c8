import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { openOtel } from '../../../../src/telemetry/otel/openOtel.ts'
import { type SignalsOn, signalsOn } from '../../../../src/telemetry/otel/variables.ts'

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }
const OFF: SignalsOn = { traces: false, metrics: false, logs: false }

describe('signals', () => {
  it.each<[string, Record<string, string>, Partial<SignalsOn>]>([
    ['an endpoint', ENDPOINT, { traces: true }],
    ['an endpoint for traces', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector/v1/traces' }, { traces: true }],
    ['an exporter of traces by name', { OTEL_TRACES_EXPORTER: 'console' }, { traces: true }],
    [
      'empty variables against it',
      { ...ENDPOINT, OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: '' },
      { traces: true },
    ],
    ['an exporter of metrics by name', { OTEL_METRICS_EXPORTER: 'otlp' }, { metrics: true }],
    ['an exporter of logs by name', { OTEL_LOGS_EXPORTER: ' otlp ' }, { logs: true }],
    [
      'all, but no traces',
      { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'otlp', OTEL_LOGS_EXPORTER: 'otlp' },
      { metrics: true, logs: true },
    ],
  ])('are those that are asked for, with %s', (_, env, on) => {
    expect(signalsOn(env)).toEqual({ ...OFF, ...on })
  })

  it.each<[string, Record<string, string>]>([
    ['without all of that', {}],
    ['with an empty endpoint', { OTEL_EXPORTER_OTLP_ENDPOINT: '  ' }],
    ['when the SDK is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE', OTEL_METRICS_EXPORTER: 'otlp' }],
    ['when there is no exporter', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }],
    [
      'with endpoints of metrics and logs alone',
      { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://collector/v1/metrics' },
    ],
    ['with other variables alone', { OTEL_SERVICE_NAME: 'tidemark', OTEL_TRACES_SAMPLER: 'always_on' }],
  ])('are off %s', async (_, env) => {
    expect(signalsOn(env)).toEqual(OFF)
    expect(await openOtel({ env, role: 'aggregate', version: '1', onTrouble: () => {} })).toMatchObject({
      tracing: null,
    })
  })

  it('load nothing of OpenTelemetry while they are off', () => {
    const file = (path: string) => JSON.stringify(new URL(`../../../../src/${path}`, import.meta.url))
    // Whatever resolves a module of that scope says so.
    const script = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ resolve: (specifier, context, next) => {
        // The metrics' client has the API for exemplars; it is not the SDK, and costs nothing.
        const isForMetrics = context.parentURL?.includes('/node_modules/prom-client/')
        if (specifier.startsWith('@opentelemetry/') && !isForMetrics) loaded.push(specifier)
        return next(specifier, context)
      } })
      for (const role of ['aggregate', 'reduce', 'sink', 'serve', 'generate']) await import(${file('commands/')} + role + '.ts')
      const { openOtel } = await import(${file('telemetry/otel/openOtel.ts')})
      const { tracing } = await openOtel({ env: {}, role: 'aggregate', version: '1', onTrouble: () => {} })
      console.log(JSON.stringify({ loaded, tracing }))`
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    expect(JSON.parse(out)).toEqual({ loaded: [], tracing: null })
  })
})
